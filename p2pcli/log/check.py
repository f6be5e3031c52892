"""Whether a run of entries is what a log promises: dense, in order, each hash following from the last."""

from collections.abc import Iterable
from typing import NamedTuple

from p2pcli.log.chain import GENESIS, link
from p2pcli.log.entry import Entry


class Problem(NamedTuple):
    """The first thing wrong with a log. Nothing from ``sequence`` on is to be trusted."""

    sequence: int
    what: str  # a part of a sentence: "entry 17 " + what


def first_problem(entries: Iterable[Entry], after: int = 0, chain: bytes | None = GENESIS) -> Problem | None:
    """Return the first thing wrong with ``entries``, which should start at ``after + 1``, or None.

    ``chain`` is the hash of entry ``after``; None when it is not known, and then the first entry's own hash
    is taken on trust (a snapshot or a peer can vouch for it). One pass, O(bytes), nothing kept.
    """
    for entry in entries:
        after += 1
        if entry.sequence != after:
            return Problem(after, f"is missing: found entry {entry.sequence} in its place")
        if chain is not None:
            expected = link(chain, entry.batch)
            if entry.chain != expected:
                return Problem(
                    after,
                    f"does not follow from the one before it: expected chain {expected.hex()[:16]}..., "
                    f"found {entry.chain.hex()[:16]}...",
                )
        chain = entry.chain
    return None
