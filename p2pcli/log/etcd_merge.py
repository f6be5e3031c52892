"""From lanes of batches to one order: which sequence and which hash each batch has. Pure.

Every producer writes its own lane, and etcd numbers every write of all of them (the revision). Merged by
revision, the lanes are the log. So no appender waits for another one or has to try again, and whoever
reads in order knows the place of each batch by counting.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from p2pcli.log.chain import GENESIS, link
from p2pcli.log.check import Problem
from p2pcli.log.entry import Batch, Entry
from p2pcli.log.etcd_keys import Begin, Lane


class Found(NamedTuple):
    """A batch as it was found in its lane."""

    revision: int
    place: int  # orders what was installed under one revision
    before: int  # a number that must have come before in this lane; 0: none is known
    batch: Batch
    problem: str = ""  # what is wrong with it, a part of a sentence; then its body is nothing

    @property
    def place_in_log(self) -> tuple[int, int]:
        return self.revision, self.place


class Page(NamedTuple):
    """What follows in one lane; ``is_cut`` when there may be more."""

    found: Sequence[Found]
    is_cut: bool


class Cursor:
    """A place in the log: its sequence, its hash, and how far each lane had come. Changes in place."""

    __slots__ = ("_following", "chain", "lanes", "sequence")

    def __init__(self, begin: Begin | None) -> None:
        """Stand before the first entry of the log."""
        self.restart(begin)

    def restart(self, begin: Begin | None) -> None:
        """Go back, or on, to before the first entry of the log."""
        self.sequence = 0
        self.chain = GENESIS
        self.lanes: dict[Lane, int] = {}
        self._following: bytes | None = None  # hash of the next entry, where that of this one is not known
        if begin is not None:
            self.sequence = begin.first - 1
            self.lanes = {(producer, epoch): number for producer, epoch, number in begin.lanes}
            self._following = begin.chain

    def copy(self) -> "Cursor":
        """Return another cursor at this place."""
        other = Cursor(None)
        other.sequence, other.chain, other._following = self.sequence, self.chain, self._following
        other.lanes = dict(self.lanes)
        return other

    def step(self, found: Found) -> Entry | Problem:
        """Go on to the next batch and return it as an entry, or stay and say why it cannot be the next."""
        batch = found.batch
        lane = batch.producer, batch.epoch
        if found.problem:
            return Problem(self.sequence + 1, found.problem)
        if self.lanes.get(lane, 0) < found.before:
            return Problem(
                self.sequence + 1,
                f"or one before it is missing: batch {found.before} of {batch.producer} was there before "
                f"batch {batch.number}",
            )
        chain = self._following or link(self.chain, batch)
        entry = Entry(self.sequence + 1, batch, chain)
        self.follow(entry)
        return entry

    def follow(self, entry: Entry) -> None:
        """Go on to an entry, the next one, that is known already."""
        batch = entry.batch
        self.sequence, self.chain, self._following = entry.sequence, entry.chain, None
        self.lanes[batch.producer, batch.epoch] = batch.number

    def begin_at(self, lanes: Iterable[Lane], entry: Entry) -> Begin:
        """Return what a log is told that shall begin with ``entry``, the next one, and has only ``lanes``."""
        known = [(*lane, self.lanes[lane]) for lane in sorted(lanes) if lane in self.lanes]
        return Begin(entry.sequence, entry.chain, known)


def merged(pages: Mapping[Lane, Page], lanes: Mapping[Lane, int]) -> Iterator[Found]:
    """Yield in the log's order whatever certainly has nothing before it that was cut off, or is missing.

    ``lanes`` has how far each lane had come. Where a batch is missing, everything after the one before it
    could be in a wrong place: the batch that tells of it comes last then.
    """
    horizons: list[tuple[int, int]] = []
    telling: list[Found] = []
    for lane, page in pages.items():
        if page.is_cut:
            horizons.append(page.found[-1].place_in_log)
        number, sound = lanes.get(lane, 0), (0, 0)
        for found in page.found:
            if number < found.before:
                horizons.append(sound)
                telling.append(found)
                break
            number, sound = found.batch.number, found.place_in_log
    horizon = min(horizons, default=None)
    every = (one for page in pages.values() for one in page.found)
    for found in sorted(every, key=lambda one: one.place_in_log):
        if horizon is not None and found.place_in_log > horizon:
            yield from telling[:1]
            return
        yield found
