"""Stopping a cluster, and deleting it."""

import os
import signal

import msgspec
import pytest

from p2pcli.cluster.down import LogNotDeleted, down
from p2pcli.cluster.folder_lock import FolderLock
from p2pcli.cluster.report import ClusterState

pytestmark = pytest.mark.slow


def test_down_ends_every_process_and_keeps_the_data(trial, eventually, is_alive) -> None:
    trial.up()
    pids = trial.pids()
    (trial.folder.data / "log").write_text("entries")
    assert down(trial.folder)
    eventually(lambda: not any(map(is_alive, pids)))
    assert (trial.folder.data / "log").read_text() == "entries"
    assert trial.folder.report() is None


def test_a_second_down_has_nothing_to_do(trial) -> None:
    trial.up()
    assert down(trial.folder)
    assert not down(trial.folder)


def test_down_where_no_cluster_ever_was_touches_nothing(trial) -> None:
    assert not down(trial.folder, wipe=True)
    assert not trial.folder.path.exists()


def test_wiping_deletes_the_folder_after_the_last_process(trial, eventually, is_alive) -> None:
    trial.up()
    pids = trial.pids()
    assert down(trial.folder, wipe=True)
    eventually(lambda: not any(map(is_alive, pids)))
    assert not trial.folder.path.exists()


def test_a_stopped_cluster_can_be_wiped(trial) -> None:
    trial.up()
    down(trial.folder)
    assert not down(trial.folder, wipe=True)
    assert not trial.folder.path.exists()


def test_an_ephemeral_cluster_is_wiped_always(trial) -> None:
    trial.plan = msgspec.structs.replace(trial.plan, ephemeral=True)
    trial.up()
    down(trial.folder)
    assert not trial.folder.path.exists()


def test_progress_is_shown_to_the_end(trial) -> None:
    trial.up()
    seen = []
    down(trial.folder, on_progress=seen.append)
    assert seen[-1].state is ClusterState.STOPPED


def test_a_child_that_does_not_stop_is_killed_when_time_is_up(trial, eventually, is_alive) -> None:
    trial.behave("client1", "ignore the end")
    trial.up()
    pids = trial.pids()
    assert down(trial.folder, timeout=0.3)
    eventually(lambda: not any(map(is_alive, pids)))


def test_a_paused_supervisor_and_its_children_are_killed(trial, eventually, is_alive) -> None:
    trial.up()
    pids = trial.pids()
    os.kill(pids[0], signal.SIGSTOP)
    assert down(trial.folder, timeout=0.3)
    eventually(lambda: not any(map(is_alive, pids)))


def test_down_after_a_killed_supervisor_waits_for_the_children(trial, eventually, is_alive) -> None:
    trial.up()
    supervisor, *children = trial.pids()
    os.kill(supervisor, signal.SIGKILL)
    down(trial.folder)
    assert not any(map(is_alive, children))
    lock = FolderLock(trial.folder.lock_path)
    assert lock.take()
    lock.release()


def test_wiping_deletes_the_log_on_etcd_too_and_nothing_while_etcd_is_silent(trial, etcd_url) -> None:
    from p2pcli.cluster.briefing import log_url
    from p2pcli.node.engine import open_log

    trial.plan = msgspec.structs.replace(trial.plan, log_url="etcd://127.0.0.1:1/trial", log_identity="one")
    trial.up()
    with pytest.raises(LogNotDeleted, match=r"stopped but not deleted.*no member answered"):
        down(trial.folder, wipe=True)
    assert trial.folder.path.exists()
    there = msgspec.structs.replace(trial.plan, log_url=f"{etcd_url}/trial")
    trial.folder.keep_plan(there)
    log = open_log(log_url(there, trial.folder), "BTC-USD", True)
    log.close()
    down(trial.folder, wipe=True)
    assert not trial.folder.path.exists()
    another = msgspec.structs.replace(there, log_identity="two")  # would be refused, were anything left
    open_log(log_url(another, trial.folder), "BTC-USD", True).close()
