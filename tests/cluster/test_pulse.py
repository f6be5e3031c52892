"""Health checks of one process, in a thread of its own."""

import socket
import threading
from collections.abc import Iterator

import pytest

from p2pcli.cluster.pulse import MAX_BEAT, Beat, Pulse, decode


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    reader, writer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    reader.settimeout(10)
    writer.setblocking(False)
    with reader, writer:
        yield reader, writer


def threads(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == name]


def test_every_check_is_told(ends, eventually) -> None:
    reader, writer = ends
    answers = iter([True, False, True])
    pulse = Pulse("client1", 3, lambda: next(answers, True), 0.001, writer)
    beats = [decode(reader.recv(MAX_BEAT)) for _ in range(3)]
    pulse.stop()
    assert beats == [Beat("client1", 3, True), Beat("client1", 3, False), Beat("client1", 3, True)]
    eventually(lambda: not threads("pulse-client1"))


def test_a_supervisor_that_does_not_read_stalls_no_check(ends, eventually) -> None:
    _, writer = ends
    checks = []
    pulse = Pulse("client2", 1, lambda: bool(checks.append(1)) or True, 0, writer)
    eventually(lambda: len(checks) > 5000)
    pulse.stop()
    eventually(lambda: not threads("pulse-client2"))


def test_a_check_under_way_is_not_waited_for(ends, eventually) -> None:
    reader, writer = ends
    asked, answer = threading.Event(), threading.Event()

    def probe() -> bool:
        asked.set()
        return answer.wait(10)

    pulse = Pulse("client3", 1, probe, 0, writer)
    assert asked.wait(10)
    pulse.stop()  # returns although the probe has not
    answer.set()
    assert decode(reader.recv(MAX_BEAT)).answered
    eventually(lambda: not threads("pulse-client3"))


def test_checks_end_with_their_listener(ends, eventually) -> None:
    reader, writer = ends
    reader.close()
    Pulse("client4", 1, lambda: True, 0, writer)
    eventually(lambda: not threads("pulse-client4"))
