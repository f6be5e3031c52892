"""The design that most published Python books have: a SortedDict of prices, a dict as queue at each price.

It is also the example of a file for ``benchmarks/book.py --engine-from FILE.py``, with which any other Python
book is measured beside ours: the same commands in the same runs, and its trades compared with the oracle's.
Such a file has two functions:

    engine()            a new book, as two functions. ``prepare`` makes of operations whatever the book is
                        given, and is not timed; ``run`` carries that out, and is. They are called in turn
                        for the same book, with 5,000 operations at a time.
    trades(operations)  yields (taker, maker, price, quantity) of every trade that a new book makes of these
                        operations, in order. Orders have the flow's ids: 1, 2, 3 ... in the order they come.

An operation has ``order``, ``side`` (0 buys, 1 sells), ``price`` in ticks and ``quantity`` in lots; with
quantity 0 it cancels that order, which rests at that moment in the flows of ../shared/workloads.
"""

from collections.abc import Iterator
from typing import Any

from order_flows import Operation
from sortedcontainers import SortedDict


class PeerBook:
    """Both sides of a market."""

    def __init__(self) -> None:
        self.sides = (SortedDict(), SortedDict())
        self.where: dict[int, tuple[int, int]] = {}

    def place(self, order: int, side: int, price: int, quantity: int) -> list[tuple[int, int, int]]:
        opposite = self.sides[1 - side]
        trades = []
        while quantity and opposite:
            best, queue = opposite.peekitem(-1 if side else 0)
            if best < price if side else best > price:
                break
            while quantity and queue:
                maker, held = next(iter(queue.items()))
                taken = min(held, quantity)
                trades.append((maker, best, taken))
                quantity -= taken
                if taken == held:
                    del queue[maker], self.where[maker]
                else:
                    queue[maker] = held - taken
            if not queue:
                del opposite[best]
        if quantity:
            mine = self.sides[side]
            queue = mine.get(price)
            if queue is None:
                mine[price] = {order: quantity}
            else:
                queue[order] = quantity
            self.where[order] = (side, price)
        return trades

    def cancel(self, order: int) -> None:
        side, price = self.where.pop(order, (0, 0))
        if price:
            queue = self.sides[side][price]
            del queue[order]
            if not queue:
                del self.sides[side][price]


def engine() -> tuple[Any, Any]:
    """Return ``prepare`` and ``run`` of a new book."""
    book = PeerBook()
    place, cancel = book.place, book.cancel

    def prepare(operations: list[Operation]) -> list[Any]:
        return [(each.order, each.side, each.price, each.quantity) for each in operations]

    def run(operations: Any) -> None:
        for order, side, price, quantity in operations:
            if quantity:
                place(order, side, price, quantity)
            else:
                cancel(order)

    return prepare, run


def trades(operations: list[Operation]) -> Iterator[tuple[int, int, int, int]]:
    """Yield what a new book trades."""
    book = PeerBook()
    for each in operations:
        if not each.quantity:
            book.cancel(each.order)
            continue
        for maker, price, quantity in book.place(each.order, each.side, each.price, each.quantity):
            yield each.order, maker, price, quantity
