"""The caller's side of the control socket: supervisors that are gone, silent or of another version."""

import os
import socket
import threading
from pathlib import Path

import pytest

from p2pcli.cluster.control import Control, StillChanging, SupervisorSilent
from p2pcli.cluster.door import CONTROL, short_address
from p2pcli.cluster.folder import ClusterFolder, ClusterNotRunning
from p2pcli.cluster.report import ClusterReport, ClusterState
from p2pcli.cluster.requests import OtherSupervisor, encode

REPORT = ClusterReport("default", ClusterState.READY, "sqlite", 7)


@pytest.fixture
def folder(tmp_path: Path) -> ClusterFolder:
    folder = ClusterFolder(tmp_path, "default")
    folder.prepare()
    return folder


@pytest.fixture
def supervisor(folder: ClusterFolder):
    """A listening socket, and so a supervisor that has not said anything yet."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        with short_address(folder.path) as address:
            listener.bind(address)
        listener.listen()
        yield listener


def answering(listener: socket.socket, *answers: bytes) -> threading.Thread:
    """Answer each request of one caller with the next answer, then hang up."""

    def serve() -> None:
        caller, _ = listener.accept()
        with caller:
            for answer in answers:
                caller.recv(4096)
                caller.send(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def test_no_folder_means_that_nothing_runs(tmp_path: Path) -> None:
    with pytest.raises(ClusterNotRunning, match="cluster test is not running") as caught:
        Control(ClusterFolder(tmp_path, "test"))
    assert caught.value.hint == "p2px cluster up -n 3 --name test"


def test_the_socket_of_a_killed_supervisor_means_that_nothing_runs(folder: ClusterFolder) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        with short_address(folder.path) as address:
            listener.bind(address)
        listener.listen()
    assert (folder.path / CONTROL).exists()
    with pytest.raises(ClusterNotRunning):
        Control(folder)


def test_the_pid_of_the_supervisor_is_the_kernels_word(folder: ClusterFolder, supervisor) -> None:
    with Control(folder) as control:
        assert control.supervisor == os.getpid()


def test_a_supervisor_that_hangs_up_is_not_running(folder: ClusterFolder, supervisor) -> None:
    thread = answering(supervisor)
    with Control(folder) as control, pytest.raises(ClusterNotRunning):
        control.report()
    thread.join()


def test_a_silent_supervisor_is_given_up(folder: ClusterFolder, supervisor) -> None:
    with Control(folder, answer_s=0.05) as control, pytest.raises(SupervisorSilent, match="does not answer"):
        control.report()


def test_a_watcher_without_news_gives_up_at_its_deadline(folder: ClusterFolder, supervisor) -> None:
    with Control(folder) as control, pytest.raises(StillChanging):
        next(control.watch(deadline=0.0))


@pytest.mark.parametrize("answer", [b"\x02{}", b"\x01{", b"garbage", encode(REPORT)[:-1]])
def test_an_answer_that_is_none_is_another_version(folder: ClusterFolder, supervisor, answer: bytes) -> None:
    thread = answering(supervisor, answer)
    with Control(folder) as control, pytest.raises(OtherSupervisor):
        control.report()
    thread.join()


def test_a_report_is_what_was_answered(folder: ClusterFolder, supervisor) -> None:
    thread = answering(supervisor, encode(REPORT))
    with Control(folder) as control:
        assert control.report() == REPORT
    thread.join()
