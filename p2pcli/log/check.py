"""Whether a run of entries is what a log promises: dense, in order, each hash following from the last."""

from collections.abc import Iterable
from typing import NamedTuple

from p2pcli.log.chain import GENESIS, link
from p2pcli.log.entry import BadBatch, Corrupt, Entry, Log, Trimmed, check_batch

_READ_ENTRIES = 1000  # at once, while a whole log is checked


class Problem(NamedTuple):
    """The first thing wrong with a log. Nothing from ``sequence`` on is to be trusted."""

    sequence: int
    what: str  # a part of a sentence: "entry 17 " + what


class Report(NamedTuple):
    """What reading a whole log has shown."""

    first: int  # the oldest entry that is still there
    last: int  # the last sound one; first - 1 when there is none
    chain: bytes | None  # its hash, to compare with another node's; None when there is none
    problem: Problem | None


def first_problem(entries: Iterable[Entry], after: int = 0, chain: bytes | None = GENESIS) -> Problem | None:
    """Return the first thing wrong with ``entries``, which should start at ``after + 1``, or None.

    ``chain`` is the hash of entry ``after``; None when it is not known, and then the first entry's own hash
    is taken on trust (a snapshot or a peer can vouch for it). One pass, O(bytes), nothing kept.
    """
    for entry in entries:
        after += 1
        batch, found = entry.batch, entry.chain
        if entry.sequence != after:
            return Problem(after, f"is missing: found entry {entry.sequence} in its place")
        try:
            check_batch(batch)
        except BadBatch as error:
            return Problem(after, f"is no batch: {error}")
        if chain is not None:
            expected = link(chain, batch)
            if found != expected:
                return Problem(
                    after,
                    f"does not follow from the one before it: expected chain {expected.hex()[:16]}..., "
                    f"found {found.hex()[:16]}...",
                )
        chain = found
    return None


def check_log(log: Log) -> Report:
    """Read a log from end to end, also one that is in use, and return what was found.

    Every engine checks what it reads (``Log.read``), so the first failing read is the first problem.
    O(bytes), and memory for one read. Raises Unavailable or Broken when reading itself fails.
    """
    first = log.first()
    last, chain = first - 1, None
    while True:
        try:
            entries = log.read(last, _READ_ENTRIES)
        except Trimmed as trimmed:  # meanwhile, by a node
            first, last, chain = trimmed.first, trimmed.first - 1, None
            continue
        except Corrupt as corrupt:
            return Report(first, last, chain, Problem(corrupt.sequence, corrupt.message))
        if not entries:
            return Report(first, last, chain, None)
        last, chain = entries[-1].sequence, entries[-1].chain
