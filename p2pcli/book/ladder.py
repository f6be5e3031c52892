"""One side of a book: what rests at each price, the best price at hand, the others in order once it matters.

Trades happen near the best price, so only the ``NEAR`` best prices are kept in order. Those further away lie
in *piles*, unordered, with fences between: all prices of a pile lie beyond its fence and none beyond the
next. A price that comes far away is appended to a pile, one that goes there stays in it until somebody looks.
Which is better than which is found out when the near ones are used up, and then of the nearest pile only. So
a far price costs one search among a few fences, and no sorting unless the market gets there, as in Paredes
and Navarro, "Optimal incremental sorting", 2006. Piles are halved before they get so large that somebody
would have to wait until one is sorted.

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
PILE = 1024  # prices of a pile that is made of prices in order
MOST = 131_072  # prices of any pile; to sort so many takes some 30 ms
NO_BID = -1  # the best price of a side where nothing rests: nobody's limit reaches it,
NO_ASK = MAX_WHOLE + 1  # not even that of a market order

_LOWEST = -MAX_WHOLE - 1  # below every rank


class _Pile:
    """Prices that are further away than others, in no order."""

    __slots__ = ("left", "prices")

    def __init__(self, prices: list[int]) -> None:
        self.prices = prices
        self.left = 0  # how many of them are there no more, or are in it once again

    def still(self, levels: dict[int, Order | Level]) -> list[int]:
        """Return the prices that are still there, each once."""
        if self.left:
            self.prices = [price for price in dict.fromkeys(self.prices) if price in levels]
            self.left = 0
        return self.prices


class Ladder:
    """The prices of one side. Most prices of a deep book have one order: there it stands for itself,
    without a level around it, which halves memory and time."""

    __slots__ = ("_far", "_fence", "_fences", "_near", "_none", "_sign", "best", "levels")

    def __init__(self, sign: int) -> None:
        self.levels: dict[int, Order | Level] = {}  # by price
        self._sign = sign  # of a rank: 1 for bids, -1 for asks
        self._none = NO_BID if sign > 0 else NO_ASK
        self.best = self._none  # price; every command compares itself with it
        self._near: list[int] = []  # ranks, best last; empty only when nothing rests
        self._far: list[_Pile] = []  # nearest last
        self._fences: list[int] = []  # all ranks of pile i are below fences[i], none below fences[i - 1]
        self._fence = _LOWEST  # the last of them: no near rank is below it

    def open(self, price: int, order: Order) -> None:
        """Add a price, with the first order that rests there. O(log n) on average."""
        self.levels[price] = order
        rank = price * self._sign
        if rank < self._fence:
            at = bisect_right(self._fences, rank)
            prices = self._far[at].prices
            prices.append(price)
            if len(prices) > MOST:
                self._halve(at)
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
        pile = self._far[bisect_right(self._fences, rank)]
        pile.left += 1
        if pile.left * 2 > len(pile.prices) + NEAR:
            pile.still(self.levels)

    def close_best(self) -> None:
        """Take the best price out. O(1), and what it takes to order the next ones."""
        near = self._near
        del self.levels[near.pop() * self._sign]
        if not near:
            near = self._draw_near()
            if not near:
                self.best = self._none
                return
        self.best = near[-1] * self._sign

    def best_first(self) -> Iterator[tuple[int, Order | Level]]:
        """Yield every price and what rests there, best first. The ladder must not change meanwhile.

        O(1) for each of the near ones; further away O(log n), and what it takes to order the nearest pile.
        """
        levels, sign = self.levels, self._sign
        for rank in reversed(self._near):
            price = rank * sign
            yield price, levels[price]
        self._order_nearest()
        for pile in reversed(self._far):
            for price in sorted(pile.still(levels), reverse=sign > 0):
                yield price, levels[price]

    def _pile_up(self) -> None:
        """Add the further half of the near prices to the nearest pile, or make one of them."""
        near, far, sign = self._near, self._far, self._sign
        half = len(near) // 2
        prices = [rank * sign for rank in near[:half]]
        del near[:half]
        if far and len(far[-1].prices) < PILE:
            far[-1].prices += prices
            self._fences.pop()
        else:
            far.append(_Pile(prices))
        self._fences.append(near[0])
        self._fence = near[0]

    def _draw_near(self) -> list[int]:
        """Make the nearest pile the near prices, when there are none any more, and return their ranks."""
        self._order_nearest()
        if self._far:
            sign = self._sign
            self._near = sorted(price * sign for price in self._take_nearest().still(self.levels))
        return self._near

    def _order_nearest(self) -> None:
        """See to it that the nearest pile is small and not empty, or that there is none."""
        while self._far:
            prices = self._far[-1].still(self.levels)
            if not prices:
                self._take_nearest()
            elif len(prices) > NEAR // 2:
                prices = self._ordered(prices)
                at = len(prices) - NEAR // 2
                ends = [*range(PILE, at - PILE // 2, PILE), at, len(prices)]
                self._replace(len(self._far) - 1, prices, ends)
            else:
                return

    def _halve(self, at: int) -> None:
        """Make two piles of one."""
        prices = self._ordered(self._far[at].still(self.levels))
        self._replace(at, prices, [len(prices) // 2, len(prices)])

    def _ordered(self, prices: list[int]) -> list[int]:
        return sorted(prices, reverse=self._sign < 0)

    def _replace(self, at: int, prices: list[int], ends: list[int]) -> None:
        """Put piles of these ordered prices in the place of one; ``ends`` says where each ends."""
        begins = [0, *ends[:-1]]
        self._far[at : at + 1] = [_Pile(prices[begin:end]) for begin, end in zip(begins, ends, strict=True)]
        self._fences[at:at] = [prices[end] * self._sign for end in ends[:-1]]

    def _take_nearest(self) -> _Pile:
        """Take the nearest pile away, and the fence before it."""
        pile = self._far.pop()
        self._fences.pop()
        self._fence = self._fences[-1] if self._fences else _LOWEST
        return pile
