"""One side of a book: what rests at each price, the best price at hand, the others in order once it matters.

Trades happen near the best price, so only the ``NEAR`` best prices are kept in order. Those further away lie
in *piles*, unordered, with fences between: a pile holds the prices beyond its fence that are not beyond
the next. A price that comes far away is appended to a pile, and one that goes there stays in it until
somebody looks; in which order they are is found out when the near ones are used up, of the nearest pile only,
which is cut in pieces for that. So a far price costs one search among a few fences, however many prices
there are, and no sorting unless the market gets there: an incremental quicksort (Paredes and Navarro,
"Optimal incremental sorting", 2006), O(log n) for each price on average.

Near prices and fences are *ranks*, the larger the better: a bid's rank is its price, an ask's is minus its
price. So both sides run the same code, and the best comes last in a list, where lists are cheap to change.

Rejected: one flat list (linear in the number of prices); sorted blocks (two searches for each price, in
memory that is far away: a third of a deep book's time); ``SortedDict`` (the same in more calls); a heap
(cannot be read in order); an array indexed by tick (wants a bounded range).
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator

from p2pcli.book.level import Level, Order
from p2pcli.market.commands import MAX_WHOLE

NEAR = 256  # prices in order; when there are more, half of them become a pile
SAMPLE = 64  # prices of a pile that are looked at to cut an eighth off it
NO_BID = -1  # the best price of a side where nothing rests: nobody's limit reaches it,
NO_ASK = MAX_WHOLE + 1  # not even that of a market order

_LOWEST = -MAX_WHOLE - 1  # below every rank


class Ladder:
    """The prices of one side. Most prices of a deep book have one order: there it stands for itself,
    without a level around it, which halves memory and time."""

    __slots__ = ("_far", "_fence", "_fences", "_left", "_near", "_none", "_sign", "best", "levels")

    def __init__(self, sign: int) -> None:
        self.levels: dict[int, Order | Level] = {}  # by price
        self._sign = sign  # of a rank: 1 for bids, -1 for asks
        self._none = NO_BID if sign > 0 else NO_ASK
        self.best = self._none  # price; every command compares itself with it
        self._near: list[int] = []  # ranks, best last; empty only when nothing rests
        self._far: list[list[int]] = []  # piles of prices, nearest last
        self._fences: list[int] = []  # all ranks of pile i are below fences[i], none below fences[i - 1]
        self._fence = _LOWEST  # the last of them: no near rank is below it
        self._left = 0  # prices in piles that are there no more, or are there once again

    def open(self, price: int, order: Order) -> None:
        """Add a price, with the first order that rests there. O(log n) on average."""
        self.levels[price] = order
        rank = price * self._sign
        if rank < self._fence:
            self._far[bisect_right(self._fences, rank)].append(price)
            return
        near = self._near
        if rank > self.best * self._sign:
            self.best = price
            near.append(rank)
        else:
            insort(near, rank)
        if len(near) > NEAR:
            self._pile_up()

    def close(self, price: int) -> None:
        """Take a price out, whatever rests there. O(log n) on average."""
        if price == self.best:
            self.close_best()
            return
        del self.levels[price]
        rank = price * self._sign
        if rank >= self._fence:
            del self._near[bisect_left(self._near, rank)]
            return
        self._left += 1
        if self._left > len(self.levels) + NEAR:
            self._far = [self._rest_of(pile) for pile in self._far]
            self._left = 0

    def close_best(self) -> None:
        """Take the best price out. O(1), and what it takes to order the next ones."""
        near = self._near
        del self.levels[near.pop() * self._sign]
        if not near:
            self._draw_near()
            near = self._near
            if not near:
                self.best = self._none
                return
        self.best = near[-1] * self._sign

    def best_first(self) -> Iterator[tuple[int, Order | Level]]:
        """Yield every price and what rests there, best first. The ladder must not change meanwhile.

        O(1) for each of the near ones; further away O(log n), and what it takes to cut the nearest pile.
        """
        levels, sign = self.levels, self._sign
        for rank in reversed(self._near):
            price = rank * sign
            yield price, levels[price]
        self._cut_nearest()
        for pile in reversed(self._far):
            for price in sorted(self._rest_of(pile), reverse=sign > 0):
                yield price, levels[price]

    def _pile_up(self) -> None:
        """Make a pile of the further half of the near prices."""
        near, far, fences, sign = self._near, self._far, self._fences, self._sign
        half = len(near) // 2
        far.append([rank * sign for rank in near[:half]])
        del near[:half]
        fences.append(near[0])
        self._fence = near[0]
        # Each pile is at least twice as large as the next nearer one, so there are few.
        while len(far) > 1 and len(far[-1]) * 2 > len(far[-2]):
            nearest = far.pop()
            far[-1] += nearest
            del fences[-2]

    def _draw_near(self) -> None:
        """Put the nearest prices in order, when none is near any more."""
        self._cut_nearest()
        if self._far:
            sign = self._sign
            self._near = sorted(price * sign for price in self._far.pop())
            self._fences.pop()
            self._fence = self._fences[-1] if self._fences else _LOWEST

    def _cut_nearest(self) -> None:
        """Cut the nearest pile until it is small, and forget what is there no more; an empty one goes."""
        far, fences, sign = self._far, self._fences, self._sign
        while far:
            pile = self._rest_of(far[-1])
            self._left -= len(far[-1]) - len(pile)
            far[-1] = pile
            if not pile:
                far.pop()
                fences.pop()
                self._fence = fences[-1] if fences else _LOWEST
            elif len(pile) <= NEAR // 2:
                return
            else:
                further, edge, nearer = _cut(pile, sign)
                far[-1:] = further, nearer
                fences.insert(len(fences) - 1, edge)

    def _rest_of(self, pile: list[int]) -> list[int]:
        """Return the prices of a pile that are still there, each once."""
        levels = self.levels
        return [price for price in dict.fromkeys(pile) if price in levels]


def _cut(pile: list[int], sign: int) -> tuple[list[int], int, list[int]]:
    """Cut about an eighth off a pile: return the further prices, the rank where the nearer begin, and those.

    O(prices), if a sample shows how they are spread; O(n log n) if somebody saw to it that it does not.
    """
    if len(pile) > NEAR * 4:
        edge = sorted(pile[:: len(pile) // SAMPLE], reverse=sign > 0)[SAMPLE // 8]
        if sign > 0:
            nearer = [price for price in pile if price >= edge]
        else:
            nearer = [price for price in pile if price <= edge]
        if len(pile) < len(nearer) * 32 < len(pile) * 16:
            if sign > 0:
                return [price for price in pile if price < edge], edge, nearer
            return [price for price in pile if price > edge], -edge, nearer
    pile = sorted(pile, reverse=sign < 0)
    at = len(pile) - max(NEAR // 2, len(pile) // 8)
    return pile[:at], pile[at] * sign, pile[at:]
