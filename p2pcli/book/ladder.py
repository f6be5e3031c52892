"""One side of a book: what rests at each price, the best price at hand, the others in order.

Prices are kept in order as *ranks*, the larger the better: a bid's rank is its price, an ask's is minus its
price. So both sides run the same code, and the best comes last in a list, where lists are cheap to change.

Ranks lie in blocks of at most ``BLOCK``, each a sorted array, with fences between them: block i holds the
ranks from ``fences[i]`` up to ``fences[i + 1]``. A new price costs two binary searches and moves at most
half a page of memory, with ten prices or a million. A fence only says where to look, so neither a new best
price nor a vanishing one touches any. Arrays, because the numbers lie in them side by side: on the deep
flow a tenth faster than lists of separate ints, and 8 bytes a price instead of 40.

Rejected: one flat list (linear in the number of prices); ``SortedDict`` (the same idea in more calls: two to
three times the time); a heap (cannot be read in order); an array indexed by tick (wants a bounded range).
"""

from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator

from p2pcli.book.level import Level, Order
from p2pcli.market.commands import MAX_WHOLE

BLOCK = 128  # ranks; a longer block is split in two
NO_BID = -1  # the best price of a side where nothing rests: nobody's limit reaches it,
NO_ASK = MAX_WHOLE + 1  # not even that of a market order

_LOWEST = -MAX_WHOLE - 1  # below every rank


class Ladder:
    """The prices of one side. Most prices of a deep book have one order: there it stands for itself,
    without a level around it, which halves memory and time."""

    __slots__ = ("_blocks", "_fences", "_none", "_sign", "best", "levels")

    def __init__(self, sign: int) -> None:
        self.levels: dict[int, Order | Level] = {}  # by price
        self._sign = sign  # of a rank: 1 for bids, -1 for asks
        self._none = NO_BID if sign > 0 else NO_ASK
        self.best = self._none  # price; every command compares itself with it
        self._blocks = [array("q")]  # only the first may be empty, and only while it is alone
        self._fences = [_LOWEST]

    def open(self, price: int, order: Order) -> None:
        """Add a price, with the first order that rests there. O(log n)."""
        self.levels[price] = order
        rank = price * self._sign
        at = bisect_right(self._fences, rank) - 1
        block = self._blocks[at]
        if rank > self.best * self._sign:
            self.best = price
            block.append(rank)
        else:
            insort(block, rank)
        if len(block) > BLOCK:
            half = len(block) // 2
            self._blocks.insert(at + 1, block[half:])
            self._fences.insert(at + 1, block[half])
            del block[half:]

    def close(self, price: int) -> None:
        """Take a price out, whatever rests there. O(log n)."""
        if price == self.best:
            self.close_best()
            return
        del self.levels[price]
        rank = price * self._sign
        at = bisect_right(self._fences, rank) - 1
        block = self._blocks[at]
        del block[bisect_left(block, rank)]
        if not block:  # not the last one: the best rank is still in there
            del self._blocks[at]
            # The lowest fence stands for ever: without its first block the second reaches down to it.
            del self._fences[at or 1]

    def close_best(self) -> None:
        """Take the best price out. O(1)."""
        blocks = self._blocks
        block = blocks[-1]
        del self.levels[block.pop() * self._sign]
        if not block:
            if len(blocks) == 1:
                self.best = self._none
                return
            blocks.pop()
            self._fences.pop()
            block = blocks[-1]
        self.best = block[-1] * self._sign

    def best_first(self) -> Iterator[tuple[int, Order | Level]]:
        """Yield every price and what rests there, best first. The ladder must not change meanwhile."""
        levels, sign = self.levels, self._sign
        for block in reversed(self._blocks):
            for rank in reversed(block):
                price = rank * sign
                yield price, levels[price]
