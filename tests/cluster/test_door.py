"""The supervisor's side of the control socket: bounded, never waiting, proof against garbage."""

import selectors
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from p2pcli.cluster.door import CONTROL, MAX_CALLERS, Door, short_address
from p2pcli.cluster.folder import FolderUnusable
from p2pcli.cluster.report import ChildReport, ClusterReport, ClusterState, State
from p2pcli.cluster.requests import (
    MAX_ANSWER,
    Kill,
    Refused,
    Report,
    Watch,
    decode_answer,
    encode,
)


def report(generation: int) -> ClusterReport:
    """A report of the largest size there is; its supervisor's pid tells which one it is."""
    child = ChildReport("client1", "node", State.BACKOFF, last_error="x" * 300)
    return ClusterReport("default", ClusterState.READY, "sqlite", generation, (child,) * 80)


class Room:
    """A door with a loop that is turned by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.selector = selectors.DefaultSelector()
        self.asked: list = []
        self.door = Door(folder, self.selector, self.answer)
        self.callers: list[socket.socket] = []

    def answer(self, request):
        self.asked.append(request)
        return report(0), isinstance(request, Watch)

    def turn(self) -> None:
        """Serve everyone who is waiting, a few times over: a request may follow an acceptance."""
        for _ in range(3):
            for key, _ in self.selector.select(0):
                key.data()

    def call(self) -> socket.socket:
        caller = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        caller.settimeout(5)
        self.callers.append(caller)
        with short_address(self.folder) as address:
            caller.connect(address)
        return caller

    def ask(self, caller: socket.socket, data: bytes):
        caller.send(data)
        self.turn()
        return decode_answer(caller.recv(MAX_ANSWER))

    def close(self) -> None:
        self.door.close()
        self.selector.close()
        for caller in self.callers:
            caller.close()


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    room = Room(tmp_path)
    yield room
    room.close()


def test_a_request_is_answered(room: Room) -> None:
    assert room.ask(room.call(), encode(Report())) == report(0)
    assert room.asked == [Report()]


def test_the_socket_is_for_the_user_alone_and_goes_with_the_door(room: Room, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / CONTROL).stat().st_mode) == 0o600
    room.door.close()
    assert not (tmp_path / CONTROL).exists()
    room.door = Door(tmp_path, room.selector, room.answer)


def test_the_socket_of_a_killed_supervisor_is_replaced(room: Room, tmp_path: Path) -> None:
    second = Room(tmp_path)
    assert second.ask(second.call(), encode(Report())) == report(0)
    second.close()


def test_a_folder_that_is_gone_is_one_clear_error(tmp_path: Path) -> None:
    with selectors.DefaultSelector() as selector, pytest.raises(FolderUnusable, match="nowhere"):
        Door(tmp_path / "nowhere", selector, lambda request: (report(0), False))


@pytest.mark.parametrize(
    "garbage", [b"\0", b"GET / HTTP/1.1\r\n\r\n", b"\1{", b"\x80\x04\x95", encode(Kill("x" * 5000))]
)
def test_garbage_is_refused_and_the_next_request_answered(room: Room, garbage: bytes) -> None:
    caller = room.call()
    assert isinstance(room.ask(caller, garbage), Refused)
    assert room.ask(caller, encode(Report())) == report(0)
    assert room.asked == [Report()]


def test_only_those_who_watch_are_shown_changes(room: Room) -> None:
    watcher, asker = room.call(), room.call()
    room.ask(watcher, encode(Watch()))
    room.ask(asker, encode(Report()))
    room.door.show(report(1))
    assert decode_answer(watcher.recv(MAX_ANSWER)) == report(1)
    asker.setblocking(False)
    with pytest.raises(BlockingIOError):
        asker.recv(1)


def test_a_slow_watcher_stalls_nobody_and_is_shown_the_latest_change(room: Room) -> None:
    slow, quick = room.call(), room.call()
    room.ask(slow, encode(Watch()))
    for generation in range(1, 200):
        room.door.show(report(generation))
        assert room.ask(quick, encode(Report())) == report(0)
    seen = []
    slow.setblocking(False)
    while True:
        try:
            seen.append(decode_answer(slow.recv(MAX_ANSWER)).supervisor)
        except BlockingIOError:
            if seen and seen[-1] == 199:
                break
            room.turn()
    assert len(seen) < 100, "the changes in between were kept for a reader who did not read"
    assert seen == sorted(seen)


def test_one_caller_too_many_is_turned_away_and_a_place_that_is_left_is_given_again(room: Room) -> None:
    callers = []
    for _ in range(MAX_CALLERS):
        callers.append(room.call())
        room.turn()
    late = room.call()
    room.turn()
    assert late.recv(1) == b""
    callers[0].close()
    room.turn()
    assert room.ask(room.call(), encode(Report())) == report(0)


def test_a_caller_that_leaves_before_its_answer_harms_nobody(room: Room) -> None:
    caller = room.call()
    caller.send(encode(Watch()))
    caller.close()
    room.turn()
    room.door.show(report(1))
    assert room.ask(room.call(), encode(Report())) == report(0)


def test_a_door_leaves_the_socket_of_the_one_that_took_its_place(room: Room, tmp_path: Path) -> None:
    room.door.close()
    assert not (room.folder / CONTROL).exists()
    old, new = Door(tmp_path, room.selector, room.answer), Door(tmp_path, room.selector, room.answer)
    old.close()
    assert (tmp_path / CONTROL).exists()
    new.close()
    assert not (tmp_path / CONTROL).exists()
    room.door = Door(room.folder, room.selector, room.answer)  # the fixture closes it
