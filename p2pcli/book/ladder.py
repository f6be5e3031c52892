"""One side of a book: its prices in order, best last, and the level at each.

Prices are held as *ranks*, the larger the better: a bid's rank is its price, an ask's is minus its price.
So both sides run the same code, and the best rank is the last of a list, where lists are cheap to change.

The ranks lie in blocks of at most ``BLOCK``, each a sorted list, separated by fences: block i holds the
ranks from ``fences[i]`` up to ``fences[i + 1]``. A new price costs two binary searches and moves at most
half a page of memory: 0.2 us with ten prices, 0.5 us with a million. Fences only say where to look, so
neither a new best price nor a vanishing one has to touch them. (Rejected: one flat list is linear in the
number of prices; ``SortedDict`` does the same as here in more calls, three times the time; a heap cannot
be read in order; an array indexed by tick needs a bounded range.)
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator

from p2pcli.book.level import Level
from p2pcli.market.commands import MAX_WHOLE

BLOCK = 256  # ranks; longer blocks are split in two


class Ladder:
    """Levels of one side. ``best`` is kept at hand, because every command asks for it."""

    __slots__ = ("_blocks", "_fences", "best", "levels")

    def __init__(self) -> None:
        self.levels: dict[int, Level] = {}  # by rank
        self.best: Level | None = None
        self._blocks: list[list[int]] = [[]]  # only the first may be empty, and only when it is alone
        self._fences = [-MAX_WHOLE - 1]  # below every rank

    def open(self, rank: int, price: int) -> Level:
        """Return a new, empty level. There must be none of this rank. O(log n)."""
        level = self.levels[rank] = Level()
        level.rank = rank
        level.price = price
        level.quantity = level.head = level.gone = 0
        level.queue = []
        best = self.best
        if best is None or rank > best.rank:
            self.best = level
            at = len(self._blocks) - 1
            block = self._blocks[at]
            block.append(rank)
        else:
            at = bisect_right(self._fences, rank) - 1
            block = self._blocks[at]
            insort(block, rank)
        if len(block) > BLOCK:
            self._split(at)
        return level

    def close(self, level: Level) -> None:
        """Take a level out, whatever lies in its queue. O(log n), O(1) for the best."""
        rank = level.rank
        del self.levels[rank]
        blocks = self._blocks
        if level is self.best:
            block = blocks[-1]
            block.pop()
            if not block and len(blocks) > 1:
                blocks.pop()
                self._fences.pop()
                block = blocks[-1]
            self.best = self.levels[block[-1]] if block else None
            return
        at = bisect_right(self._fences, rank) - 1
        block = blocks[at]
        del block[bisect_left(block, rank)]
        if not block:  # not the last one: the best rank is still in there
            del blocks[at]
            # The lowest fence stands for ever: without its first block the second reaches down to it.
            del self._fences[at or 1]

    def best_first(self) -> Iterator[Level]:
        """Yield every level, best first. The ladder must not change meanwhile."""
        levels = self.levels
        for block in reversed(self._blocks):
            for rank in reversed(block):
                yield levels[rank]

    def _split(self, at: int) -> None:
        block = self._blocks[at]
        half = len(block) // 2
        self._blocks.insert(at + 1, block[half:])
        self._fences.insert(at + 1, block[half])
        del block[half:]
