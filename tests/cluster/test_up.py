"""Starting a cluster: once, twice, at once, and when it cannot be started."""

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from p2pcli.cluster.control import Control
from p2pcli.cluster.down import down
from p2pcli.cluster.folder import ClusterFolder, ClusterNotRunning, FolderUnusable
from p2pcli.cluster.folder_lock import FolderLock
from p2pcli.cluster.plan import MemberSlot, with_node_count
from p2pcli.cluster.planning import PlanConflict
from p2pcli.cluster.ports import PortClaims, PortTaken
from p2pcli.cluster.report import ClusterState, State
from p2pcli.cluster.up import StartFailed, StartTimedOut, bring_up

pytestmark = pytest.mark.slow


def nothing_is_left(trial) -> bool:
    """Whether no process of the cluster lives: each would hold one of its locks."""
    for path in (trial.folder.lock_path, trial.folder.children_lock_path):
        lock = FolderLock(path)
        if not lock.take():
            return False
        lock.release()
    return not trial.is_running()


def test_up_returns_when_every_process_serves(trial) -> None:
    started = trial.up()
    assert (started.already_running, started.differences) == (False, [])
    assert started.report.state is ClusterState.READY
    assert [child.name for child in started.report.children] == ["client1", "registry1"]
    assert all(child.state is State.RUNNING and child.addresses for child in started.report.children)


def test_progress_is_shown_from_starting_to_ready(trial) -> None:
    seen = []
    trial.up(on_progress=seen.append)
    assert seen[0].state is ClusterState.STARTING
    assert seen[-1].state is ClusterState.READY


def test_a_second_up_changes_nothing_and_tells_what_differs(trial) -> None:
    trial.up()
    pids = trial.pids()
    again = bring_up(trial.folder, lambda former: with_node_count(former, 5), 20, lambda report: None)
    assert again.already_running
    assert again.differences == ["nodes: 1 runs, 5 is configured"]
    assert trial.pids() == pids


def test_a_second_up_that_asks_the_impossible_is_told_so(trial) -> None:
    trial.up()

    def refuse(former):
        raise PlanConflict("the log cannot move")

    assert bring_up(trial.folder, refuse, 20, lambda report: None).differences == ["the log cannot move"]


def test_of_many_ups_at_once_one_starts_the_cluster_and_all_see_it_ready(trial) -> None:
    started = []
    threads = [threading.Thread(target=lambda: started.append(trial.up())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.already_running for one in started) == [False, True, True, True]
    assert {one.report.supervisor for one in started} == {trial.report().supervisor}


def test_two_clusters_at_once_get_different_ports(trial) -> None:
    other = type(trial)(trial.folder.path.parent, "other")
    with closing(PortClaims("127.0.0.1")) as claims:
        wanted = MemberSlot(
            "registry1",
            claims.claim(0, socket.SOCK_STREAM, or_free=True),
            claims.claim(0, socket.SOCK_DGRAM, or_free=True),
        )
    for one in (trial, other):
        one.plan = msgspec.structs.replace(one.plan, members=(wanted,))
    threads = [threading.Thread(target=one.up) for one in (trial, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first, second = trial.folder.plan().members[0], other.folder.plan().members[0]
    warnings = trial.report().warnings + other.report().warnings
    down(other.folder)
    assert wanted in (first, second)
    assert {first.http_port, first.dht_port}.isdisjoint({second.http_port, second.dht_port})
    assert warnings[0].startswith(f"HTTP port {wanted.http_port} of registry1 is taken; it uses ")


def test_a_port_that_must_be_this_one_and_is_taken_is_one_clear_error(trial) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        trial.plan = msgspec.structs.replace(
            trial.plan, members=(MemberSlot("registry1", port, 0),), free_ports=False
        )
        with pytest.raises(PortTaken, match=f"port {port} on 127.0.0.1 is taken"):
            trial.up()
    assert nothing_is_left(trial)


@pytest.mark.parametrize("name", ["client1", "registry1"])
def test_a_child_that_fails_fails_the_start_with_its_log_and_leaves_nothing(trial, name: str) -> None:
    trial.behave(name, "fail")
    with pytest.raises(StartFailed) as caught:
        trial.up()
    message = str(caught.value)
    assert message.startswith(f"{name} could not be started: ValueError: the trial was to fail\n")
    assert f"{name} ends: ValueError: the trial was to fail" in message
    assert "words on stdout" in message
    assert nothing_is_left(trial)


def test_a_child_that_vanishes_fails_the_start_with_its_exit_code(trial) -> None:
    trial.behave("client1", "vanish")
    with pytest.raises(StartFailed, match="client1 could not be started: ended with exit code 7"):
        trial.up()
    assert nothing_is_left(trial)


def test_a_child_that_is_killed_while_it_starts_does_not_fail_the_start(trial) -> None:
    trial.behave("client1", "crash once")
    assert trial.up().report.child("client1").restarts == 1


def test_a_program_that_is_not_there_is_named(trial) -> None:
    trial.plan = msgspec.structs.replace(trial.plan, node_program="no_such_program")
    with pytest.raises(StartFailed, match="No module named 'no_such_program'"):
        trial.up()


def test_a_child_that_hangs_times_the_start_out_and_leaves_nothing(trial) -> None:
    trial.behave("client1", "hang at start")
    with pytest.raises(StartTimedOut, match="was not ready in 1 s, waiting for client1"):
        trial.up(timeout=1)
    assert nothing_is_left(trial)


def test_a_start_that_failed_can_be_repeated(trial) -> None:
    trial.behave("client1", "vanish")
    with pytest.raises(StartFailed, match="exit code 7"):
        trial.up()
    trial.behave("client1", "serve")
    assert trial.up().report.state is ClusterState.READY


def test_an_interrupted_up_stops_what_it_started(trial, eventually) -> None:
    trial.behave("client1", "hang at start")

    def interrupt(report) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trial.up(on_progress=interrupt)
    assert nothing_is_left(trial)


def test_an_up_during_a_down_waits_for_its_end_and_starts(trial, eventually) -> None:
    trial.behave("client1", "ignore the end")
    trial.plan = msgspec.structs.replace(trial.plan, stop_timeout=0.3)
    first = trial.up().report.supervisor
    with Control(trial.folder) as control:
        control.shut_down()
        started = trial.up()
    assert not started.already_running
    assert started.report.supervisor != first


def test_pid_files_are_not_believed(trial) -> None:
    """A state file that names a living process of somebody else, as after a reboot, changes nothing."""
    trial.up()
    report = trial.folder.report()
    down(trial.folder)
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with bystander:
        trial.folder.keep_report(msgspec.structs.replace(report, supervisor=bystander.pid))
        assert not trial.is_running()
        assert not trial.up().already_running
        down(trial.folder)
        assert bystander.poll() is None
        bystander.communicate(b"\n")
    assert bystander.returncode == 0


def test_a_folder_that_cannot_be_made_is_one_clear_error(trial) -> None:
    folder = ClusterFolder(Path("/proc/p2px"), "default")
    with pytest.raises(FolderUnusable):
        bring_up(folder, lambda former: trial.plan, 20, lambda report: None)


def test_a_long_home_is_no_problem(trial, tmp_path: Path) -> None:
    trial.folder = ClusterFolder(tmp_path / ("x" * 120), "trial")
    assert trial.up().report.state is ClusterState.READY


def test_the_folder_where_up_was_typed_lends_no_modules(trial, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "socket.py").write_text("raise SystemExit('the wrong socket')")
    monkeypatch.chdir(tmp_path)
    assert trial.up().report.state is ClusterState.READY


def test_a_plan_of_an_ephemeral_cluster_starts_with_an_empty_folder(trial) -> None:
    trial.plan = msgspec.structs.replace(trial.plan, ephemeral=True)
    supervisor = trial.up().report.supervisor
    (trial.folder.data / "left").write_text("over")
    os.kill(supervisor, signal.SIGKILL)
    trial.up()
    assert not (trial.folder.data / "left").exists()


def test_a_supervisor_that_ends_while_starting_is_named(trial) -> None:
    trial.behave("client1", "hang at start")

    def end(report) -> None:
        os.kill(report.supervisor, signal.SIGKILL)

    with pytest.raises(StartFailed, match="supervisor could not be started: it ended while starting"):
        trial.up(on_progress=end)
    with pytest.raises(ClusterNotRunning):
        trial.report()
