"""The fixtures in a project of somebody else: pytest in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

OTHER_PROJECT = """
import sys

def test_a_cluster_for_this_test_alone(p2px_cluster):
    with p2px_cluster.client("client1") as client:
        assert client.buy("0.5", "30000").status == "open"
        assert client.orders() != []

def test_and_another_for_the_next(p2px_cluster):
    with p2px_cluster.client("client1") as client:
        assert client.history() == []

def test_one_for_the_whole_run(p2px_shared_cluster):
    with p2px_shared_cluster.client() as client:
        client.buy("0.5", "30000")

def test_is_the_same_later(p2px_shared_cluster):
    with p2px_shared_cluster.client() as client:
        assert len(client.orders()) == 1
"""

IDLE_PROJECT = """
import sys

def test_nothing_of_p2px_is_loaded_but_the_plugin():
    loaded = {name for name in sys.modules if name.partition(".")[0] == "p2pcli"}
    assert loaded <= {"p2pcli", "p2pcli.pytest_plugin"}, loaded
"""


def run(folder: Path, source: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_theirs.py").write_text(source)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", folder, folder],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=120,
        check=False,
    )


@pytest.mark.slow
def test_any_project_gets_clusters(tmp_path: Path) -> None:
    done = run(tmp_path, OTHER_PROJECT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout


def test_a_project_that_asks_for_none_loads_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, IDLE_PROJECT)
    assert done.returncode == 0, done.stdout + done.stderr
