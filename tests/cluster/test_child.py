"""A child never outlives its supervisor, whatever either of them is doing."""

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from p2pcli.cluster import child
from p2pcli.cluster.process import ChildProcess


@pytest.fixture
def orphan(trial, tmp_path: Path) -> Iterator[Callable[[], tuple[subprocess.Popen, int]]]:
    """Starts a parent with one child, and returns both: the parent's process and the child's pid."""
    parents = []

    def make() -> tuple[subprocess.Popen, int]:
        trial.folder.prepare()
        plan = tmp_path / "plan"
        plan.write_bytes(msgspec.json.encode(trial.plan))
        script = Path(__file__).with_name("orphan_maker.py")
        parent = subprocess.Popen(
            [sys.executable, script, trial.folder.path.parent, "client1", plan],
            stdout=subprocess.PIPE,
            text=True,
        )
        parents.append(parent)
        return parent, int(parent.stdout.readline())

    yield make
    for parent in parents:
        parent.kill()
        parent.wait()
        parent.stdout.close()


def test_a_serving_child_ends_when_its_parent_is_killed(orphan, eventually, is_alive, trial) -> None:
    parent, pid = orphan()
    eventually((trial.folder.nodes / "client1" / "pid").exists)
    parent.kill()
    eventually(lambda: not is_alive(pid))


def test_a_paused_child_ends_when_its_parent_is_killed(orphan, eventually, is_alive, trial) -> None:
    parent, pid = orphan()
    eventually((trial.folder.nodes / "client1" / "pid").exists)
    os.kill(pid, signal.SIGSTOP)
    parent.kill()
    eventually(lambda: not is_alive(pid))


def test_a_child_still_importing_ends_when_its_parent_is_killed(
    orphan, eventually, is_alive, trial, monkeypatch
) -> None:
    monkeypatch.setenv("TRIAL_SLOW_IMPORT", str(trial.folder.path / "never"))
    parent, pid = orphan()
    eventually(lambda: "p2px:client1" in Path(f"/proc/{pid}/comm").read_text())
    parent.kill()
    eventually(lambda: not is_alive(pid))
    assert not (trial.folder.nodes / "client1" / "pid").exists(), "the fault came too late"


def test_a_child_whose_parent_died_before_it_could_ask_ends(orphan, eventually, is_alive, trial) -> None:
    parent, pid = orphan()
    parent.kill()  # at this moment the child's interpreter is starting
    eventually(lambda: not is_alive(pid))


def test_a_child_of_a_stranger_ends_before_it_does_anything(trial) -> None:
    trial.folder.prepare()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    stranger = os.getppid()
    arguments = (stranger, theirs, str(trial.folder.path.parent), "client1", msgspec.json.encode(trial.plan))
    process = multiprocessing.get_context("spawn").Process(target=child.run, args=arguments)
    process.start()
    theirs.close()
    process.join(20)
    ours.close()
    assert process.exitcode == child.ORPHANED
    process.close()
    assert not (trial.folder.nodes / "client1" / "pid").exists()


@pytest.mark.parametrize(("behaviour", "code"), [("serve", 0), ("ignore the end", child.ORPHANED)])
def test_the_end_of_the_lifeline_stops_a_child_and_then_ends_it(
    trial, eventually, behaviour: str, code: int
) -> None:
    trial.behave("client1", behaviour)
    process = ChildProcess(trial.folder.path.parent, "client1", msgspec.json.encode(trial.plan))
    eventually(lambda: process.news())
    process.line.close()
    eventually(lambda: process.exit_code() is not None)
    assert process.exit_code() == code
    process.close()
