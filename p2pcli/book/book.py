"""A price-time book: commands in, trades out (rules M1 to M4 and M10). It decides who trades with whom.

Who may ask, and what else a market demands of an order, is the desk's business (``node/desk.py``).

Speed. A call costs 50 ns here, a tenth of a whole command, so ``place`` is written out and not divided up;
every attribute that a loop uses twice is a local. It hands back the makers themselves: their price, owner
and lots are there to be read by whoever wants them, and nobody else pays for a copy. What only some commands
need (self-trade prevention, fill-or-kill) looks ahead in ``foresee`` and then matches like everybody.
"""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from p2pcli.book.ladder import Ladder
from p2pcli.book.level import SPARSE, Level, Moment, Order, Owner
from p2pcli.market.commands import MAX_WHOLE, Place, SelfTrade, Side

ANY_BUY_PRICE = MAX_WHOLE  # the limit of a market order that buys; one that sells takes 0

# Makers in the order they traded; the lots that the last of them gave, if it still rests, else 0, which
# says that all of them gave everything; and the lots of the taker that did not trade.
Trades = tuple[list[Order], int, int]


class Foreseen(NamedTuple):
    """What an arriving order would meet."""

    takes: int  # lots it would trade
    own: list[Order]  # orders of its own owner that would have to go
    stops: bool  # an order of its own owner would end it there


class Book:
    """Both sides of one market."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids = Ladder(1)
        self.asks = Ladder(-1)

    def place(
        self, number: int, owner: Owner, place: Place, wanted: int, moment: Moment, rests: bool = True
    ) -> Trades | None:
        """Match up to ``wanted`` lots of a new order; what is left of them may rest, as order ``number``.

        None: nothing traded. O(1) for each maker, O(log prices) where a price comes or goes.
        """
        price = place.price
        other: Ladder | None
        if place.side:
            mine = self.asks
            if (other := self.bids).best < price:  # equal prices cross (M3)
                other = None
        else:
            mine = self.bids
            if (other := self.asks).best > price:
                other = None
        trades = None
        if other is not None:
            makers: list[Order] = []
            while True:
                level = other.levels[other.best]
                if type(level) is Order:
                    makers.append(level)
                    held = level.remaining
                    if held > wanted:
                        level.remaining = held - wanted
                        return makers, wanted, 0
                    wanted -= held
                    del level.owner.orders[level.id]
                else:
                    queue = level.queue
                    at = level.head
                    while (held := (maker := queue[at]).remaining) <= wanted:
                        if held > 0:
                            wanted -= held
                            makers.append(maker)
                            del maker.owner.orders[maker.id]
                        else:
                            level.gone -= 1
                        at += 1
                        if at == len(queue):
                            break
                    else:
                        if wanted:
                            maker.remaining = held - wanted
                            makers.append(maker)
                        level.head = at
                        if at > SPARSE and (at + level.gone) * 2 > len(queue):
                            level.sweep()
                        return makers, wanted, 0
                other.close_best()
                if not wanted:
                    return makers, 0, 0
                if (other.best < price) if place.side else (other.best > price):
                    break
            trades = makers, 0, wanted
        if rests:
            owner.orders[number] = order = Order(number, owner, place, wanted, moment)
            there = mine.levels.get(price)
            if type(there) is Level:
                there.queue.append(order)
            elif there is None:
                mine.open(price, order)
            else:
                mine.levels[price] = Level(there, order)
        return trades

    def cancel(self, owner: Owner, number: int) -> Order | None:
        """Take an open order of this owner out; None: it has none of that id (M8).

        What had not traded is abs(order.remaining). O(1), O(log prices) for the last one at a price.
        """
        order = owner.orders.pop(number, None)
        if order is None:
            return None
        place = order.place
        ladder = self.asks if place.side else self.bids
        level = ladder.levels[place.price]
        if type(level) is Level:
            order.remaining = -order.remaining
            level.gone = gone = level.gone + 1
            left, all_of_it = gone + level.head, len(level.queue)
            if left * 2 > all_of_it:
                if left == all_of_it:
                    ladder.close(place.price)
                elif left > SPARSE:
                    level.sweep()
        else:
            ladder.close(place.price)
        return order

    def reduce(self, order: Order, quantity: int) -> None:
        """Give a resting order a smaller total; it keeps its place (M10). Something must remain."""
        place = order.place
        less = place.quantity - quantity
        assert 0 <= less < order.remaining
        level = (self.asks if place.side else self.bids).levels[place.price]
        if type(level) is Level:
            level.told = None
        order.remaining -= less
        order.place = msgspec.structs.replace(place, quantity=quantity)

    def crossed(self, side: Side, price: int) -> int:
        """Return the best opposite price if an order at ``price`` would meet it, else 0."""
        if side:
            return self.bids.best if self.bids.best >= price else 0
        return self.asks.best if self.asks.best <= price else 0

    def foresee(self, owner: Owner, place: Place, wanted: int, self_trade: SelfTrade) -> Foreseen:
        """Return what would happen to an arriving order; changes nothing (M4 for FOK, M12).

        O(orders it would meet), without self-trade prevention O(prices it would meet).
        """
        takes = 0
        own: list[Order] = []
        for level in self._met(place):
            if self_trade is SelfTrade.ALLOW:
                takes += level.remaining
                if takes >= wanted:
                    return Foreseen(wanted, own, False)
                continue
            for maker in level.orders():
                if maker.owner is not owner:
                    takes += maker.remaining
                    if takes >= wanted:
                        return Foreseen(wanted, own, False)
                    continue
                if self_trade is not SelfTrade.CANCEL_NEWEST:
                    own.append(maker)
                if self_trade is not SelfTrade.CANCEL_OLDEST:
                    return Foreseen(takes, own, True)
        return Foreseen(takes, own, False)

    def _met(self, place: Place) -> Iterator[Order | Level]:
        price = place.price
        for best, level in (self.bids if place.side else self.asks).best_first():
            if (best < price) if place.side else (best > price):
                return
            yield level

    def orders(self) -> Iterator[Order]:
        """Yield every order at rest in priority order: bids best first, then asks."""
        for ladder in (self.bids, self.asks):
            for _, level in ladder.best_first():
                yield from level.orders()
