"""``p2px chaos run`` as it is typed: on a cluster of its own, on one that runs, and interrupted."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from herd import wait_until

from p2pcli.cluster.control import Control
from p2pcli.cluster.folder import ClusterFolder, clusters

pytestmark = pytest.mark.slow


def chaos(home: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "p2pcli.cli.main", "chaos", "run", *words],
        env={**os.environ, "P2PX_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def stopped(pid: int) -> bool:
    """Whether that process is paused by a signal."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_without_a_cluster_it_makes_one_and_deletes_it(tmp_path):
    words = ("--seed", "1", "--duration", "3s", "--clients", "2", "--fault", "node-killed", "-o", "json")
    with chaos(tmp_path, *words) as process:
        printed, messages = process.communicate(timeout=110)
    assert process.returncode == 0, messages
    report = json.loads(printed)
    assert report["violations"] == []
    assert report["orders"]["ok"] > 0
    assert report["orders"]["sent"] == sum(report["orders"][kind] for kind in ("ok", "refused", "unknown"))
    assert [fault["kind"] for fault in report["faults"]] == ["node-killed"]
    assert clusters(tmp_path) == []


def test_ctrl_c_lets_a_paused_process_go_on_and_reports(cluster: ClusterFolder):
    words = ("--name", cluster.name, "--seed", "2", "--clients", "2", "--fault", "supervisor-paused")
    with chaos(cluster.path.parent, *words, "--every", "1s", "--duration", "100s") as process:
        with Control(cluster) as control:
            supervisor = control.supervisor
        wait_until(lambda: stopped(supervisor), 40, "the supervisor is paused")
        process.send_signal(signal.SIGINT)
        printed, messages = process.communicate(timeout=110)
    assert process.returncode == 0, messages
    assert "(interrupted)" in printed
    assert "nothing violated" in printed
    assert "supervisor-paused" in printed
    assert not stopped(supervisor)
