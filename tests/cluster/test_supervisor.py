"""A real supervisor and its real children, through crashes, kills and requests."""

import os
import shutil
import signal
import socket
import threading
from pathlib import Path

import msgspec
import pytest

from p2pcli.cluster.control import ChildFailed, Control, StillChanging
from p2pcli.cluster.folder import ClusterNotRunning
from p2pcli.cluster.plan import NodeSlot
from p2pcli.cluster.report import ClusterState, NoSuchChild, State
from p2pcli.cluster.requests import BadCount, NothingToKill
from p2pcli.cluster.up import StartFailed

pytestmark = pytest.mark.slow


def test_a_killed_child_is_restarted(trial, eventually) -> None:
    before = trial.up().report.child("client1")
    os.kill(before.pid, signal.SIGKILL)
    eventually(lambda: trial.report().child("client1").restarts == 1)
    eventually(lambda: trial.report().state is ClusterState.READY)
    after = trial.report().child("client1")
    assert after.pid != before.pid
    assert after.last_error == "was ended by SIGKILL"


def test_a_child_that_keeps_falling_over_is_tried_again_with_its_last_words_shown(trial, eventually) -> None:
    before = trial.up().report.child("client1")
    trial.behave("client1", "fail")
    os.kill(before.pid, signal.SIGKILL)
    eventually(lambda: trial.report().child("client1").restarts >= 3)
    report = trial.report()
    assert report.state is ClusterState.DEGRADED
    assert report.child("client1").last_error == "ValueError: the trial was to fail"
    assert report.child("registry1").state is State.RUNNING


def test_a_child_that_waits_says_why_and_is_not_started_again(trial, eventually, tmp_path) -> None:
    trial.up()
    gate = tmp_path / "gate"
    trial.behave("client1", f"wait until there is {gate}")
    first = trial.report().child("client1").pid
    os.kill(first, signal.SIGKILL)
    eventually(lambda: trial.report().child("client1").last_error == "waits: nobody answers")
    waiting = trial.report().child("client1")
    assert (waiting.state, waiting.restarts) == (State.STARTING, 1)
    assert trial.report().state is ClusterState.DEGRADED
    gate.touch()
    eventually(lambda: trial.report().child("client1").state is State.RUNNING)
    assert trial.report().child("client1").pid == waiting.pid
    assert trial.report().child("client1").last_error == "was ended by SIGKILL"


def test_a_first_start_does_not_wait(trial, tmp_path) -> None:
    trial.behave("client1", f"wait until there is {tmp_path}/nothing")
    with pytest.raises(StartFailed, match="client1 could not be started: nobody answers"):
        trial.up()
    assert not trial.is_running()


def test_no_process_outlives_a_killed_supervisor_and_up_works_again(trial, eventually, is_alive) -> None:
    supervisor, *children = trial.up() and trial.pids()
    os.kill(supervisor, signal.SIGKILL)
    eventually(lambda: not any(map(is_alive, [supervisor, *children])))
    started = trial.up()
    assert not started.already_running
    assert started.report.state is ClusterState.READY


def test_up_right_after_the_kill_waits_for_the_last_child(trial, is_alive) -> None:
    trial.up()
    supervisor, *children = trial.pids()
    os.kill(supervisor, signal.SIGKILL)
    trial.up()
    assert not any(map(is_alive, children))


def test_a_supervisor_that_dies_after_it_took_the_call_is_not_waited_for(trial, monkeypatch) -> None:
    def dies(control: Control, deadline: float) -> None:
        nonlocal died
        died = True
        monkeypatch.undo()
        raise ClusterNotRunning("cluster trial is not running")

    died = False
    trial.up()
    monkeypatch.setattr(Control, "watch", dies)
    assert trial.up().already_running
    assert died


def test_a_terminal_that_closes_does_not_end_the_cluster(trial) -> None:
    supervisor = trial.up().report.supervisor
    assert os.getsid(supervisor) != os.getsid(0)
    os.kill(supervisor, signal.SIGHUP)
    assert trial.report().state is ClusterState.READY


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_everything_in_order(trial, eventually, is_alive, number: signal.Signals) -> None:
    trial.up()
    pids = trial.pids()
    os.kill(pids[0], number)
    eventually(lambda: not any(map(is_alive, pids)))
    assert trial.folder.report() is None


def test_a_second_signal_kills_what_takes_its_time(trial, eventually, is_alive) -> None:
    trial.behave("client1", "ignore the end")
    trial.up()
    pids = trial.pids()
    os.kill(pids[0], signal.SIGTERM)
    eventually(lambda: trial.report().state is ClusterState.STOPPING)
    os.kill(pids[0], signal.SIGTERM)
    eventually(lambda: not any(map(is_alive, pids)))


def test_a_child_that_ignores_sigterm_is_killed_at_the_deadline(trial) -> None:
    trial.plan = msgspec.structs.replace(trial.plan, stop_timeout=0.2)
    trial.behave("client1", "ignore the end")
    trial.up()
    with Control(trial.folder) as control:
        assert control.stop_node("client1").child("client1").state is State.STOPPED


def test_a_silent_child_is_killed_and_restarted(trial, eventually) -> None:
    trial.plan = msgspec.structs.replace(trial.plan, health_check_s=0.1)
    trial.behave("registry1", "serve http")
    before = trial.up().report.child("registry1")
    os.kill(before.pid, signal.SIGSTOP)
    eventually(lambda: trial.report().child("registry1").restarts == 1)
    eventually(lambda: trial.report().state is ClusterState.READY)
    after = trial.report().child("registry1")
    assert after.last_error == "did not answer 5 health checks in a row"
    assert trial.report().child("client1").restarts == 0


def test_a_child_that_hangs_up_is_still_looked_after(trial, eventually) -> None:
    trial.behave("client1", "hang up early")
    pid = trial.up().report.child("client1").pid
    with Control(trial.folder) as control:
        control.kill_node("client1")
        eventually(lambda: control.report().child("client1").pid not in (0, pid))


def test_a_supervisor_that_was_paused_blames_nobody(trial, eventually) -> None:
    trial.plan = msgspec.structs.replace(trial.plan, health_check_s=0.01)
    trial.behave("registry1", "serve http")
    report = trial.up().report
    pids = [child.pid for child in report.children]
    for _ in range(3):
        os.kill(report.supervisor, signal.SIGSTOP)
        eventually(lambda: Path(f"/proc/{report.supervisor}/stat").read_text().split()[2] == "T")
        os.kill(report.supervisor, signal.SIGCONT)
        assert [child.pid for child in trial.report().children] == pids


def test_a_removed_folder_stops_the_cluster(trial, eventually, is_alive) -> None:
    trial.up()
    pids = trial.pids()
    shutil.rmtree(trial.folder.path)
    eventually(lambda: not any(map(is_alive, pids)))
    assert not trial.folder.path.exists()


def test_the_state_file_names_what_runs_now(trial, eventually) -> None:
    started = trial.up().report
    assert trial.folder.report() == started
    os.kill(started.child("registry1").pid, signal.SIGKILL)
    eventually(lambda: (trial.folder.report() or started).child("registry1").restarts == 1)


def test_children_hold_neither_the_supervisors_lock_nor_its_socket(trial) -> None:
    report = trial.up().report
    for child in report.children:
        files = [os.path.realpath(link) for link in Path(f"/proc/{child.pid}/fd").iterdir()]
        assert str(trial.folder.lock_path) not in files
        assert str(trial.folder.children_lock_path) in files
    sockets = Path("/proc/net/unix").read_text().splitlines()
    inodes = {line.split()[6] for line in sockets if line.endswith("/control")}
    assert inodes
    for child in report.children:
        links = [os.readlink(link) for link in Path(f"/proc/{child.pid}/fd").iterdir()]
        assert not inodes & {link[8:-1] for link in links if link.startswith("socket:[")}


def test_a_node_keeps_its_port_while_it_is_free(trial, eventually) -> None:
    trial.behave("client1", "take the port")
    address = trial.up().report.child("client1").addresses["rpc"]
    with Control(trial.folder) as control:
        assert control.restart_node("client1").child("client1").addresses["rpc"] == address
        control.stop_node("client1")
        host, _, port = address.rpartition(":")
        with socket.create_server((host, int(port))):
            assert control.start_node("client1").child("client1").addresses["rpc"] != address
    eventually(lambda: trial.folder.plan().nodes[0] != NodeSlot("client1", int(port)))


# -- requests -----------------------------------------------------------------------------------------


def test_a_node_is_stopped_started_and_restarted_on_request(trial) -> None:
    pid = trial.up().report.child("client1").pid
    with Control(trial.folder) as control:
        stopped = control.stop_node("client1")
        assert (stopped.child("client1").state, stopped.child("client1").pid) == (State.STOPPED, 0)
        assert stopped.state is ClusterState.READY, "a node that nobody wants is no fault"
        started = control.start_node("client1")
        assert started.child("client1").pid not in (0, pid)
        again = control.restart_node("client1")
        assert again.child("client1").pid != started.child("client1").pid
        assert again.child("client1").last_error == ""


def test_a_killed_node_comes_back_by_itself(trial, eventually) -> None:
    pid = trial.up().report.child("client1").pid
    with Control(trial.folder) as control:
        control.kill_node("client1")
        eventually(lambda: control.report().child("client1").pid not in (0, pid))


def test_a_node_that_cannot_start_is_reported_with_its_reason(trial) -> None:
    trial.up()
    trial.behave("client1", "fail")
    with Control(trial.folder) as control:
        with pytest.raises(ChildFailed, match="client1 is tried again: ValueError: the trial was to fail"):
            control.restart_node("client1")
        control.stop_node("client1")
        with pytest.raises(NothingToKill, match="client1 does not run, it is stopped"):
            control.kill_node("client1")


def test_a_request_that_takes_too_long_says_so(trial) -> None:
    trial.up()
    trial.behave("client1", "hang at start")
    with Control(trial.folder) as control, pytest.raises(StillChanging):
        control.restart_node("client1", timeout=0.2)


def test_an_unknown_node_is_refused(trial) -> None:
    trial.up()
    with Control(trial.folder) as control:
        for request in (control.start_node, control.stop_node, control.restart_node, control.kill_node):
            with pytest.raises(NoSuchChild, match="'client9'"):
                request("client9")


def test_scaling_adds_and_removes_the_highest_and_is_remembered(trial) -> None:
    trial.up()
    with Control(trial.folder) as control:
        before = control.report().child("client1").pid
        more = control.scale(3)
        assert [child.name for child in more.nodes] == ["client1", "client2", "client3"]
        assert all(child.state is State.RUNNING for child in more.children)
        fewer = control.scale(1)
        assert [(child.name, child.pid) for child in fewer.nodes] == [("client1", before)]
        for count in (0, -1, 65):
            with pytest.raises(BadCount, match="1 to 64"):
                control.scale(count)
    assert [node.name for node in trial.folder.plan().nodes] == ["client1"]


def test_a_watcher_sees_every_change_until_the_end(trial) -> None:
    trial.up()
    with Control(trial.folder) as watcher, Control(trial.folder) as control:
        reports = watcher.watch()
        assert next(reports).state is ClusterState.READY
        control.stop_node("registry1")
        assert next(reports).child("registry1").state is State.STOPPING
        control.shut_down()
        states = [report.state for report in reports]
    assert states[-1] is ClusterState.STOPPED


def test_bots_start_once_the_exchange_serves_and_say_nothing_about_its_state(
    trial, eventually, tmp_path
) -> None:
    trial.plan = msgspec.structs.replace(trial.plan, bots=1, bot_program="trial_program")
    gate = tmp_path / "gate"
    trial.behave("client1", f"serve once there is {gate}")
    starting = threading.Thread(target=trial.up)
    starting.start()
    eventually(lambda: trial.is_running() and trial.report().child("client1").state is State.STARTING)
    eventually(lambda: trial.report().child("registry1").state is State.RUNNING)
    assert trial.report().child("bot1").state is State.STOPPED
    gate.touch()
    starting.join()
    eventually(lambda: trial.report().child("bot1").state is State.RUNNING)
    (trial.folder.path / "behaviour").write_text("fail")  # the bot's own folder is the cluster's
    os.kill(trial.report().child("bot1").pid, signal.SIGKILL)
    eventually(lambda: trial.report().child("bot1").restarts >= 2)
    assert trial.report().state is ClusterState.READY


def test_bots_are_scaled_apart_from_nodes(trial) -> None:
    trial.plan = msgspec.structs.replace(trial.plan, bot_program="trial_program")
    trial.up()
    with Control(trial.folder) as control:
        assert [bot.name for bot in control.scale(bots=2).bots] == ["bot1", "bot2"]
        report = control.scale(2)
        assert (len(report.nodes), len(report.bots)) == (2, 2)
        assert control.scale(bots=0).bots == []
        with pytest.raises(BadCount, match="0 to 10 bots, not 11"):
            control.scale(bots=11)
