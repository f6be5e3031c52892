"""Asks one child again and again whether it answers, in a thread of its own.

A silent child is asked every ``RETRY_S``, whatever the interval: with five misses allowed
(supervision.py) a child that hangs is found out five to six seconds after the first check that it
misses, and one that is only slow for a moment is not.

One thread a child, because a child that hangs must not make the others look silent. A check is bounded
by its probe's own timeout; what it found goes to the supervisor as a datagram, dropped when the
supervisor does not read (it would find later ones just as good).
"""

import socket
import threading
from collections.abc import Callable

import msgspec

from p2pcli.clock import monotonic

MAX_BEAT = 256  # bytes
RETRY_S = 1.0  # from the start of one unanswered check to the next


class Beat(msgspec.Struct, frozen=True, array_like=True):
    """What one health check found."""

    name: str
    spawn: int  # which process of that name was asked: news of an earlier one is stale
    answered: bool


_beat = msgspec.msgpack.Decoder(Beat)


class Pulse:
    """Health checks of one process, one every ``interval`` seconds, from now until ``stop``."""

    def __init__(
        self, name: str, spawn: int, probe: Callable[[], bool], interval: float, news: socket.socket
    ) -> None:
        self._name, self._spawn, self._probe, self._interval = name, spawn, probe, interval
        self._news = news
        self._stop = threading.Event()
        threading.Thread(target=self._run, name=f"pulse-{name}", daemon=True).start()

    def stop(self) -> None:
        """End after the check under way, without waiting for it."""
        self._stop.set()

    def _run(self) -> None:
        pause = self._interval  # a process that has just said it serves need not be asked at once
        while not self._stop.wait(pause):
            began = monotonic()
            answered = self._probe()
            pause = self._interval if answered else max(0.0, began + RETRY_S - monotonic())
            try:
                self._news.send(msgspec.msgpack.encode(Beat(self._name, self._spawn, answered)))
            except BlockingIOError:
                continue
            except OSError:
                return  # the supervisor has closed its side


def decode(data: bytes) -> Beat:
    """Return what a datagram of a ``Pulse`` says."""
    return _beat.decode(data)
