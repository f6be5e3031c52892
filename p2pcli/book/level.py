"""One order at rest, whose it is, and the queue of several orders at one price."""

from collections.abc import Iterator
from typing import NamedTuple, final

import msgspec

from p2pcli.market.commands import Place

SPARSE = 16  # orders gone from a queue before anybody looks whether it is worth rebuilding


class Owner:
    """Somebody who has orders in a book.

    An owner knows its orders and they know their owner, which is what makes cancelling and filling one
    lookup each. The cyclic garbage collector cannot see that cycle (``Order``), so whoever drops an owner
    that still has orders clears ``orders`` first.
    """

    __slots__ = ("name", "orders")

    def __init__(self, name: str) -> None:
        self.name = name
        self.orders: dict[int, Order] = {}  # open ones, by id


class Moment(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """When something was done: one for all commands of an entry."""

    sequence: int
    time_ns: int


@final
class Order(msgspec.Struct, gc=False, eq=False):
    """An order at rest: the command that placed it, and what is left of it.

    A msgspec struct out of the garbage collector's sight: made in 70 ns where a class with ``__slots__``
    and ``__init__`` takes 220, and a million of them are not visited again and again. (An assignment costs
    25 ns instead of 6, so there are few.) Holding the command itself saves copying five of its fields.
    """

    id: int
    owner: Owner
    place: Place  # as amended: quantity is the total, the filled part included
    # Lots that have not traded. Negative once the order was withdrawn from the middle of a queue, where it
    # stays until others pass: so one comparison tells a taker that there is nothing to take.
    remaining: int
    moment: Moment  # when it was placed
    memo: object = None  # for whoever placed it; the book never looks

    @property
    def count(self) -> int:
        """A lone order is a level of one."""
        return 1

    @property
    def filled(self) -> int:
        """Return the lots that have traded so far."""
        return self.place.quantity - abs(self.remaining)

    def orders(self) -> Iterator["Order"]:
        """Yield itself, the only one at its price."""
        yield self


class Told(NamedTuple):
    """How many lots a level had, and when: its queue's length, its head, how many were gone, and what was
    left of the order at the head. While these are equal, no order came, went or traded."""

    when: tuple[int, int, int, int]
    lots: int


@final
class Level:
    """Several orders of one side at one price, in the order they came to rest.

    ``queue`` is a plain list. Orders leave its front by moving ``head`` and its middle by staying there,
    counted in ``gone``; both kinds are swept out when they are most of the list, so that leaving costs
    O(1) on average. (Rejected: a ``deque`` takes 600 bytes however few orders it holds; a dict finds its
    first key in time linear in the keys deleted before it; linked orders are cycles nobody collects.)
    """

    __slots__ = ("gone", "head", "queue", "told")

    def __init__(self, first: Order, second: Order) -> None:
        self.queue = [first, second]
        self.head = 0  # index of the first order that has not traded away
        self.gone = 0  # withdrawn orders at or behind head
        self.told: Told | None = None  # None: an order has since got smaller where it is

    @property
    def remaining(self) -> int:
        """Return the lots at rest here. O(orders), O(1) as long as nothing changes.

        Added up for who asks: kept up to date, the sum took a tenth of every command's time.
        """
        told = self.told
        now = len(self.queue), self.head, self.gone, self.queue[self.head].remaining
        if told is None or told.when != now:
            self.told = told = Told(now, sum(order.remaining for order in self.orders()))
        return told.lots

    @property
    def count(self) -> int:
        """Return how many orders rest here. O(1)."""
        return len(self.queue) - self.head - self.gone

    def orders(self) -> Iterator[Order]:
        """Yield the orders at rest, longest first."""
        for order in self.queue[self.head :]:
            if order.remaining > 0:
                yield order

    def sweep(self) -> None:
        """Forget the orders that left. O(queue), so the book waits until they are most of it."""
        self.queue = list(self.orders())
        self.head = self.gone = 0
        self.told = None
