"""Real writer processes for the tests of the log, cheap enough to be killed by the hundred."""

import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

REPORT = struct.Struct(">QQ")  # batch number, sequence: as writers.py reports
AMBIGUOUS = 2**64 - 1  # in place of the sequence
DEADLINE_S = 30.0


class Writer:
    """One process that appends (or holds the lock), and what it has reported so far."""

    def __init__(self, pid: int, pipe: int, producer: str, epoch: int) -> None:
        self.pid = pid
        self.producer = producer
        self.epoch = epoch
        self.acknowledged: dict[int, int] = {}  # batch number -> sequence
        self.ambiguous: list[int] = []  # batch numbers whose commit failed, perhaps
        self._pipe = pipe
        self._rest = b""
        self._alive = True

    def reports(self, count: int) -> None:
        """Wait until ``count`` further sequences have been acknowledged; 0 takes in what has been."""
        wanted = len(self.acknowledged) + count
        self._until(lambda: len(self.acknowledged) >= wanted)

    def doubts(self, count: int) -> None:
        """Wait until ``count`` commits were ambiguous."""
        self._until(lambda: len(self.ambiguous) >= count)

    def pause(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """Kill it in mid-work, take in what it managed to report, and see it gone. Again: nothing."""
        if not self._alive:
            return
        self._alive = False
        os.kill(self.pid, signal.SIGKILL)
        while self._take():
            pass
        os.close(self._pipe)

    def _until(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while select.select([self._pipe], [], [], 0)[0] and self._take():
            pass
        while not done():
            ready, _, _ = select.select([self._pipe], [], [], max(deadline - time.monotonic(), 0))
            assert ready, f"writer {self.pid} is silent after {len(self.acknowledged)} reports"
            assert self._take(), f"writer {self.pid} has ended"

    def _take(self) -> bool:
        data = os.read(self._pipe, 65536)
        self._rest += data
        whole = len(self._rest) - len(self._rest) % REPORT.size
        for number, sequence in REPORT.iter_unpack(self._rest[:whole]):
            if sequence == AMBIGUOUS:
                self.ambiguous.append(number)
            else:
                self.acknowledged[number] = sequence
        self._rest = self._rest[whole:]
        return bool(data)


class Nursery:
    """Where writers come from."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        script = Path(__file__).with_name("writers.py")
        self._process = subprocess.Popen(
            [sys.executable, str(script), str(theirs.fileno())], pass_fds=[theirs.fileno()]
        )
        theirs.close()
        self._epoch = 0
        self._writers: list[Writer] = []

    def append(self, folder: Path, producer: str, body_bytes: int = 40, durable: bool = True) -> Writer:
        """Start a process that appends without pause."""
        self._epoch += 1
        return self._start(
            producer,
            job="append",
            folder=str(folder),
            producer=producer,
            epoch=self._epoch,
            body_bytes=body_bytes,
            durable=durable,
        )

    def hold(self, folder: Path) -> Writer:
        """Start a process that takes the lock and keeps it; it reports once it has."""
        return self._start("", job="hold", folder=str(folder))

    def kill_all(self) -> None:
        while self._writers:
            self._writers.pop().kill()

    def close(self) -> None:
        self._socket.close()
        self._process.wait(DEADLINE_S)

    def _start(self, name: str, **work: object) -> Writer:
        ours, theirs = os.pipe()
        socket.send_fds(self._socket, [json.dumps(work).encode()], [theirs])
        os.close(theirs)
        pid = int(self._socket.recv(64))
        writer = Writer(pid, ours, name, self._epoch)
        self._writers.append(writer)
        return writer


@pytest.fixture(scope="session")
def _nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.close()


@pytest.fixture
def nursery(_nursery: Nursery) -> Iterator[Nursery]:
    yield _nursery
    _nursery.kill_all()
