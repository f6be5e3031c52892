"""What the log carries and promises: batches in, entries out, and what can go wrong on the way.

A *batch* is what one producer (a node) appends at once: opaque bytes under the key
(producer, epoch, number). The log gives it a *sequence*, 1, 2, 3 ... without gap or repeat, and with the
sequence and the chain hash it is an *entry*, the same for every reader for ever.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from p2pcli.errors import BadInput, Conflict, NotFound, P2pxError, TimedOut

MAX_BODY = 256 * 1024  # bytes of one batch
MAX_PRODUCER = 64  # bytes of a producer's name in UTF-8
MAX_NUMBER = (1 << 63) - 1  # of sequence, epoch and number: what SQLite stores as one integer
MAX_READ = 8 * 1024 * 1024  # bytes of bodies one read returns, at least one entry
CHAIN_BYTES = 32

_EPOCH_RANDOM_BITS = 32
_EPOCH_COUNTER_MAX = (1 << 31) - 1


class Batch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one producer appends at once, numbered 1, 2, 3 ... within an epoch, one in flight at a time."""

    producer: str  # 1 to MAX_PRODUCER bytes of UTF-8: the node's name
    epoch: int  # 0 to MAX_NUMBER, higher after every start (new_epoch)
    number: int  # 1 to MAX_NUMBER
    body: bytes  # at most MAX_BODY


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A batch in its place. ``chain`` is the hash of everything up to and including it (``chain.link``)."""

    sequence: int
    batch: Batch
    chain: bytes


class BadBatch(BadInput):
    """The batch is outside the limits of ``Batch``; it was not appended."""

    code = "bad_batch"


class Unavailable(P2pxError):
    """This call did not append the batch, and never will: the lock, the disk or the log was not to be had."""

    code = "log_unavailable"


class OutOfReach(Unavailable):
    """Nobody answers where the log is kept. What was asked may have been done, or still be."""

    code = "log_out_of_reach"


class LogFull(Unavailable):
    """The disk is full; nothing was appended. Reading goes on, and appending when there is space again."""

    code = "log_full"


class LogRefuses(Unavailable):
    """Where the log is kept they refuse what this node asks, until somebody changes something there."""

    code = "log_refuses"


class Ambiguous(TimedOut):
    """The batch may be in the log or not. Repeat the same batch after reopening; never answer "refused"."""

    code = "log_ambiguous"


class Undecided(Ambiguous):
    """The engine did not answer in time: the batch may be in, or come in later. The log object goes on:
    repeat the same batch with it, before any other of this producer."""

    code = "log_undecided"


class Broken(P2pxError):
    """An earlier failure left this log object unsure of its files: close it, open it anew, read again."""

    code = "log_broken"


class Fenced(Conflict):
    """A newer epoch of this producer exists: another process runs under its name. Stop."""

    code = "fenced"


class Trimmed(NotFound):
    """The entries asked for were trimmed away; load a snapshot. ``first`` is the oldest entry still here."""

    code = "log_trimmed"

    def __init__(self, message: str, first: int, hint: str | None = None) -> None:
        super().__init__(message, hint)
        self.first = first


class NotEmpty(Conflict):
    """Entries can only be installed into a log that has none."""

    code = "log_not_empty"


class Corrupt(P2pxError):
    """The log is damaged from entry ``sequence`` on (0: the file as a whole). Stop; never skip it."""

    code = "log_corrupt"

    def __init__(self, message: str, sequence: int, hint: str | None = None) -> None:
        super().__init__(message, hint)
        self.sequence = sequence


class Log(Protocol):
    """A durable, totally ordered sequence of batches for one market.

    Sequences are 1, 2, 3 ... with no gap and never reused; an entry once readable never changes. Every
    method may be called from several threads at once. After ``Corrupt``, and ``Ambiguous`` unless it is
    ``Undecided``, every later call raises ``Broken``: close the log and open it anew. An engine that is
    elsewhere may raise ``Unavailable`` from any method but ``passed`` and ``close``; it goes on.
    """

    @property
    def poll_s(self) -> float:
        """Return how many seconds apart asking ``last`` costs next to nothing."""
        ...

    def append(self, batch: Batch, timeout: float, grown: Callable[[], Batch] | None = None) -> int:
        """Make the batch durable and return its sequence; a batch that is already in keeps its sequence.

        ``grown`` is called once, when there is nobody left to wait for, and what it returns is appended in
        the batch's place: the same key, with what has come meanwhile. After Unavailable it may have been.
        ``timeout`` (seconds) bounds the wait for other writers, not the disk. Raises BadBatch (also when
        another body is in under the same key), Unavailable, LogFull, Ambiguous, Corrupt, Broken.
        """
        ...

    def read(self, after: int, limit: int) -> list[Entry]:
        """Return durable entries from ``after + 1``, dense and in order: up to ``limit`` and MAX_READ bytes.

        An empty list means that ``after`` is the last. Raises Trimmed when ``after + 1 < first()``, and
        Corrupt when the first entry to return is missing, undecodable or has a wrong chain, or when
        ``after > last()`` (entries that were read before are gone). Raises Broken.
        """
        ...

    def wait(self, after: int, timeout: float) -> bool:
        """Return True as soon as ``last() > after``, False after ``timeout`` seconds. True may be spurious;
        a lost wake-up costs one poll."""
        ...

    def last(self) -> int:
        """Return the last sequence (0: none yet), not below any that was acknowledged to anyone before."""
        ...

    def first(self) -> int:
        """Return the oldest sequence still readable; 1 for a log that is empty or was never trimmed."""
        ...

    def trim(self, before: int) -> None:
        """Let entries below ``before`` go. May keep more; the last always stays: numbering never restarts."""
        ...

    def passed(self, entry: Entry) -> None:
        """Take note of an entry that the reader has from elsewhere, so that reading on after it is quick."""
        ...

    def install(self, entries: Iterable[Entry]) -> None:
        """Write entries, dense from any sequence on, as they are into this log, which must be empty.

        Numbering goes on after the last of them. Nobody may append meanwhile. Raises NotEmpty, Corrupt (they
        do not follow from one another) and like ``read``; then the log is of no use: remove it.
        """
        ...

    def close(self) -> None:
        """Let go of files and locks. A second close does nothing."""
        ...


def check_batch(batch: Batch) -> None:
    """Raise BadBatch unless every field is within the limits stated at ``Batch``."""
    producer = batch.producer
    try:
        size = len(producer.encode())
    except UnicodeEncodeError:
        raise BadBatch(f"batch producer {producer[:80]!r}: expected text, found a lone surrogate") from None
    if not 1 <= size <= MAX_PRODUCER:
        raise BadBatch(f"batch producer {producer[:80]!r}: expected 1 to {MAX_PRODUCER} bytes, found {size}")
    if not 0 <= batch.epoch <= MAX_NUMBER:
        raise BadBatch(f"batch epoch: expected 0 to {MAX_NUMBER}, found {batch.epoch}")
    if not 1 <= batch.number <= MAX_NUMBER:
        raise BadBatch(f"batch number: expected 1 to {MAX_NUMBER}, found {batch.number}")
    if len(batch.body) > MAX_BODY:
        raise BadBatch(f"batch body: expected at most {MAX_BODY} bytes, found {len(batch.body)}")


def new_epoch(previous: int, random_bits: int) -> int:
    """Return an epoch above ``previous`` (0: none yet): a counter, and below it 32 random bits.

    Two processes that start under one name from the same ``previous`` get different epochs, but for one
    chance in 2**32, and so notice each other. Raises BadBatch when the counter is used up (2**31 starts).
    """
    counter = (previous >> _EPOCH_RANDOM_BITS) + 1
    if not 0 < counter <= _EPOCH_COUNTER_MAX:
        raise BadBatch(f"epoch counter: expected 1 to {_EPOCH_COUNTER_MAX}, found {counter}")
    return counter << _EPOCH_RANDOM_BITS | random_bits & ((1 << _EPOCH_RANDOM_BITS) - 1)
