"""One order at rest, and the queue of all orders at one price.

Nothing here points back: a level knows its orders, an order knows only values. So dropping a book frees
it at once, and orders can stay out of the cyclic garbage collector's sight (``gc=False``), which would
otherwise visit a million of them again and again.
"""

from collections.abc import Iterator

import msgspec

from p2pcli.market.commands import SelfTrade, Side

_SPARSE = 16  # gone orders a queue may carry before anybody looks whether it is worth rebuilding


class Order(msgspec.Struct, array_like=True, gc=False):
    """An order on its way in or at rest. It changes in place, and only inside the book.

    A msgspec struct, because one is made per place: 80 ns here, 225 ns for a class with ``__slots__``
    and ``__init__``. (Its assignments cost 25 ns instead of 6, so they are few.)
    """

    id: int
    owner: str
    side: Side
    price: int  # ticks; what it pays at most or takes at least
    remaining: int  # lots that have not traded; 0 once it has left the book
    quantity: int  # lots, total; filled = quantity - remaining while it rests
    client_order_id: str = ""
    post_only: bool = False
    self_trade: SelfTrade = SelfTrade.DEFAULT
    sequence: int = 0  # of the entry that placed it
    time_ns: int = 0  # when it was placed


class Level:
    """All orders of one side at one price, in the order they came to rest.

    ``queue`` is a plain list. Orders leave its front by moving ``head``, and its middle by staying there
    with nothing remaining, counted in ``gone``; both kinds are swept out when they are most of the list,
    so leaving costs O(1) on average. (Rejected: a ``deque`` takes 600 bytes for a single order; a dict
    finds its first key in time linear in the keys deleted before it; linked orders are cycles.)
    """

    # No __init__: assigning seven fields from outside saves the 100 ns of its call, half of the cost of
    # a new level. ``Ladder.open`` is the only place that makes one.
    __slots__ = ("gone", "head", "price", "quantity", "queue", "rank")

    rank: int  # the larger, the better: price for bids, -price for asks
    price: int  # ticks
    quantity: int  # lots, the sum of what remains; 0 never stays in a ladder
    queue: list[Order]
    head: int  # index of the first order that has not traded away
    gone: int  # cancelled orders at or behind head

    def orders(self) -> Iterator[Order]:
        """Yield the orders at rest, longest first."""
        for order in self.queue[self.head :] if self.head else self.queue:
            if order.remaining:
                yield order

    @property
    def count(self) -> int:
        """Return how many orders rest here. O(1)."""
        return len(self.queue) - self.head - self.gone

    def sweep(self) -> None:
        """Forget orders that left, if they are most of the queue: O(1) per order that leaves."""
        left = self.head + self.gone
        if left > _SPARSE and left * 2 > len(self.queue):
            self.queue = list(self.orders())
            self.head = self.gone = 0
