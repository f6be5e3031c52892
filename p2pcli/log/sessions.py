"""Which batches count: the table that makes an at-least-once log exactly-once, on every node alike.

A producer (a node) numbers its batches 1, 2, 3 ... within an epoch and takes a higher epoch whenever it
starts. The log may hold a batch twice, or a late one of a process that was replaced; the table is part of
the replicated state, so every node drops the same ones.
"""

from collections.abc import Iterable
from enum import IntEnum

from p2pcli.errors import BadInput

MAX_PRODUCERS = 10_000  # node names one market ever sees; a table that only grows needs an end


class Admission(IntEnum):
    """What becomes of a batch. All but NEW change nothing of the market."""

    NEW = 1
    REPEATED = 2  # this number, or a later one, was applied before
    FENCED = 3  # its producer has a newer epoch: the sender was replaced and should stop
    HOLE = 4  # an earlier number of this epoch never came
    FULL = 5  # a producer nobody knows, beyond MAX_PRODUCERS
    SEALED = 6  # in its place, but the log is being moved (node/moving.py): certainly not carried out


class BadSessions(BadInput):
    """Stored values that are no session table."""

    code = "bad_sessions"


class Sessions:
    """The last batch of every producer. It starts empty."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[int, int]] = {}  # producer -> epoch, number

    def judge(self, producer: str, epoch: int, number: int) -> Admission:
        """Say what ``admit`` would, and change nothing."""
        known = self._last.get(producer)
        if known is None:
            if len(self._last) >= MAX_PRODUCERS:
                return Admission.FULL
            return Admission.NEW if number == 1 else Admission.HOLE
        last_epoch, last_number = known
        if epoch < last_epoch:
            return Admission.FENCED
        if epoch > last_epoch:
            last_number = 0
        if number <= last_number:
            return Admission.REPEATED
        return Admission.NEW if number == last_number + 1 else Admission.HOLE

    def admit(self, producer: str, epoch: int, number: int) -> Admission:
        """Judge a batch and, if it is new, remember it as its producer's last."""
        admission = self.judge(producer, epoch, number)
        if admission is Admission.NEW:
            self.remember(producer, epoch, number)
        return admission

    def remember(self, producer: str, epoch: int, number: int) -> None:
        """Remember a batch that was judged new as its producer's last."""
        self._last[producer] = (epoch, number)

    def epoch(self, producer: str) -> int:
        """Return the highest epoch this producer used, 0 when it never did."""
        return self._last.get(producer, (0, 0))[0]

    def number(self, producer: str) -> int:
        """Return the last number admitted in that epoch, 0 when there is none."""
        return self._last.get(producer, (0, 0))[1]

    def to_values(self) -> list[tuple[str, int, int]]:
        """Return the table as plain values, ordered by producer."""
        return [(producer, *self._last[producer]) for producer in sorted(self._last)]

    @classmethod
    def from_values(cls, values: Iterable[tuple[str, int, int]]) -> "Sessions":
        """Return the table that ``to_values`` wrote. Raises BadSessions when a producer occurs twice."""
        sessions = cls()
        for producer, epoch, number in values:
            if producer in sessions._last:
                raise BadSessions(f"session table: producer {producer[:64]!r} occurs twice")
            sessions._last[producer] = (epoch, number)
        return sessions
