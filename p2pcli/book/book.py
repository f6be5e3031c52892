"""A price-time book: orders in, fills out (rules M1 to M4 and M10). It decides who trades with whom, no more.

Who may ask, and what else a market demands of an order, is the desk's business (``node/desk.py``).

Speed. The functions that run for every order are written out rather than divided up: a call costs 50 ns
here, a tenth of a whole command. Attributes used in a loop are taken into locals first. Whatever only
some commands need (self-trade prevention, fill-or-kill) looks ahead in ``foresee`` and then uses the same
plain matching as everybody.
"""

from collections.abc import Iterator
from typing import NamedTuple

from p2pcli.book.ladder import Ladder
from p2pcli.book.level import Level, Order
from p2pcli.market.commands import MAX_WHOLE, SelfTrade, Side
from p2pcli.market.events import Fill

ANY_BUY_PRICE = MAX_WHOLE  # the limit of a market order that buys
ANY_SELL_PRICE = 0  # ... and of one that sells

NO_FILLS: list[Fill] = []  # shared by all who did not trade; never changed


class Foreseen(NamedTuple):
    """What an arriving order would meet."""

    takes: int  # lots it would trade
    own: list[Order]  # orders of the same owner that would have to go
    stops: bool  # an order of the same owner would end it there


class Book:
    """Both ladders, and the open orders of every owner.

    There is no table of all orders by id, because only its owner may touch an order (M8): the owners'
    tables serve for both.
    """

    __slots__ = ("asks", "bids", "last_trade", "owners")

    def __init__(self, last_trade: int = 0) -> None:
        self.bids = Ladder()
        self.asks = Ladder()
        self.owners: dict[str, dict[int, Order]] = {}  # owner -> id -> open order; nobody has an empty one
        self.last_trade = last_trade  # trade numbers are 1, 2, 3 ...

    def place(self, order: Order) -> list[Fill]:
        """Match an order and let the rest of it rest. O(log prices) and O(1) per fill."""
        if order.side:
            mine, best, rank = self.asks, self.bids.best, -order.price
        else:
            mine, best, rank = self.bids, self.asks.best, order.price
        # Prices cross when the buyer's is at least the seller's (M3). Of the two ranks one is negative.
        if best is not None and best.rank + rank >= 0:
            fills = self.take(order)
            if not order.remaining:
                return fills
        else:
            fills = NO_FILLS
        level = mine.levels.get(rank)
        if level is None:
            level = mine.open(rank, order.price)
        level.queue.append(order)
        level.quantity += order.remaining
        try:
            self.owners[order.owner][order.id] = order
        except KeyError:
            self.owners[order.owner] = {order.id: order}
        return fills

    def take(self, order: Order) -> list[Fill]:
        """Match an order with what it crosses, best price first, longest at rest first (M1, M2).

        ``order.remaining`` says how much may trade, and afterwards how much did not.
        """
        ladder, rank = (self.bids, -order.price) if order.side else (self.asks, order.price)
        level = ladder.best
        if level is None or level.rank + rank < 0:
            return NO_FILLS
        fills: list[Fill] = []
        wanted = order.remaining
        trade = self.last_trade
        while wanted and level is not None and level.rank + rank >= 0:
            if level.quantity <= wanted:
                trade = self._clear(level, trade, fills)
                wanted -= level.quantity
                ladder.close(level)
                level = ladder.best
            else:
                trade = self._nibble(level, wanted, trade, fills)
                wanted = 0
        self.last_trade = trade
        order.remaining = wanted
        return fills

    def _clear(self, level: Level, trade: int, fills: list[Fill]) -> int:
        """Fill every order of a level; the caller closes it. Return the last trade number."""
        price = level.price
        owners = self.owners
        for maker in level.queue[level.head :] if level.head else level.queue:
            held = maker.remaining
            if held:
                trade += 1
                number = maker.id
                owner = maker.owner
                fills.append(Fill(trade, price, held, number, owner, 0))
                table = owners[owner]
                del table[number]
                if not table:
                    del owners[owner]
        return trade

    def _nibble(self, level: Level, wanted: int, trade: int, fills: list[Fill]) -> int:
        """Fill orders of a level that holds more than is wanted. Return the last trade number."""
        level.quantity -= wanted
        price = level.price
        owners = self.owners
        queue = level.queue
        head = level.head
        while True:
            maker = queue[head]
            held = maker.remaining
            if not held:
                level.gone -= 1
            elif held > wanted:
                if wanted:
                    trade += 1
                    maker.remaining = held = held - wanted
                    fills.append(Fill(trade, price, wanted, maker.id, maker.owner, held))
                break
            else:
                trade += 1
                number = maker.id
                owner = maker.owner
                fills.append(Fill(trade, price, held, number, owner, 0))
                table = owners[owner]
                del table[number]
                if not table:
                    del owners[owner]
                wanted -= held
            head += 1
        level.head = head
        if head > 16:
            level.sweep()
        return trade

    def remove(self, order: Order) -> int:
        """Take a resting order out and return the lots that had not traded. O(1), O(log n) for a last one."""
        ladder, rank = (self.asks, -order.price) if order.side else (self.bids, order.price)
        level = ladder.levels[rank]
        remaining = order.remaining
        if level.quantity == remaining:
            ladder.close(level)
        else:
            level.quantity -= remaining
            order.remaining = 0
            level.gone = gone = level.gone + 1
            if gone > 16:
                level.sweep()
        table = self.owners[order.owner]
        del table[order.id]
        if not table:
            del self.owners[order.owner]
        return remaining

    def reduce(self, order: Order, quantity: int) -> None:
        """Give a resting order a smaller total; it keeps its place (M10). Something must remain."""
        less = order.quantity - quantity
        assert 0 <= less < order.remaining
        ladder, rank = (self.asks, -order.price) if order.side else (self.bids, order.price)
        ladder.levels[rank].quantity -= less
        order.remaining -= less
        order.quantity = quantity

    def orders(self) -> Iterator[Order]:
        """Yield every order at rest in priority order: bids best first, then asks."""
        for ladder in (self.bids, self.asks):
            for level in ladder.best_first():
                yield from level.orders()

    def order(self, owner: str, order_id: int) -> Order | None:
        """Return an open order of this owner, or None. O(1)."""
        table = self.owners.get(owner)
        return table.get(order_id) if table is not None else None

    def crossed(self, side: Side, price: int) -> int:
        """Return the best opposite price if an order at ``price`` would meet it, else 0."""
        best, rank = (self.bids.best, -price) if side else (self.asks.best, price)
        return best.price if best is not None and best.rank + rank >= 0 else 0

    def foresee(self, order: Order, self_trade: SelfTrade) -> Foreseen:
        """Return what would happen to an arriving order; changes nothing (M4 for FOK, M12).

        O(orders it would meet); without self-trade prevention O(prices it would meet).
        """
        wanted = order.remaining
        takes = 0
        own: list[Order] = []
        for level in self._crossed_levels(order):
            if self_trade is SelfTrade.ALLOW:
                takes += level.quantity
                if takes >= wanted:
                    return Foreseen(wanted, own, False)
                continue
            for maker in level.orders():
                if maker.owner != order.owner:
                    takes += maker.remaining
                    if takes >= wanted:
                        return Foreseen(wanted, own, False)
                    continue
                if self_trade is not SelfTrade.CANCEL_NEWEST:
                    own.append(maker)
                if self_trade is not SelfTrade.CANCEL_OLDEST:
                    return Foreseen(takes, own, True)
        return Foreseen(takes, own, False)

    def _crossed_levels(self, order: Order) -> Iterator[Level]:
        ladder, rank = (self.bids, -order.price) if order.side else (self.asks, order.price)
        for level in ladder.best_first():
            if level.rank + rank < 0:
                return
            yield level
