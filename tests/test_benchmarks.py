"""``make bench`` runs, and keeps what it measured with the facts of the machine."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    names = ("--only", "wire", "--only", "restart")
    subprocess.run(
        [sys.executable, "-m", "benchmarks.suite", "--quick", *names, "--folder", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (path,) = folder.iterdir()
    return path


def test_a_result_is_kept_with_the_facts_of_the_machine(kept):
    result = json.loads(kept.read_text())
    assert set(result) == {"at", "machine", "wire", "restart", "took_s"}
    assert {"cores", "processor", "system", "python", "sqlite", "fdatasync_us", "commit"} <= set(
        result["machine"]
    )
    assert float(result["machine"]["fdatasync_us"]) > 0


def test_every_step_of_an_orders_bytes_has_its_cost(kept):
    wire = json.loads(kept.read_text())["wire"]
    assert set(wire) == {"1", "100"}
    assert wire["1"].keys() == wire["100"].keys()
    assert all(cost > 0 for size in wire.values() for cost in size.values())


def test_a_node_is_ready_again_with_and_without_a_snapshot(kept):
    restart = json.loads(kept.read_text())["restart"]
    assert restart["commands"] == 50_000
    assert restart["entries"] == 1 + 50_000 // restart["batch"]
    assert min(restart["first_s"], restart["again_s"], restart["snapshot_s"]) > 0
