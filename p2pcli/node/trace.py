"""Which orders an applied entry is about, as log records name them, so that one order can be followed. Pure.

A record names at most ``MAX_NAMED`` orders, because a log line is cut beyond it; more take more records.
"""

from collections.abc import Iterator, Sequence

from p2pcli.market.events import Amended, Cancelled, CancelledAll, Outcome, Placed, Refused
from p2pcli.market.instrument import Instrument

MAX_NAMED = 64  # as many items as p2pcli.logging writes of a list


def orders_of(outcomes: Sequence[Outcome]) -> list[int]:
    """Return every order that these outcomes placed, changed, filled or removed, each once, ascending."""
    orders: set[int] = set()
    for outcome in outcomes:
        match outcome:
            case (
                Placed(order=order, fills=fills, removed=removed)
                | Amended(order=order, fills=fills, removed=removed)
            ):
                orders.add(order)
                orders.update(fill.maker for fill in fills)
                orders.update(gone.order for gone in removed)
            case CancelledAll(removed=removed):
                orders.update(gone.order for gone in removed)
            case Cancelled(order=order) | Refused(order=order):
                orders.add(order)
    orders.discard(0)
    return sorted(orders)


def named(instrument: Instrument, outcomes: Sequence[Outcome]) -> Iterator[list[str]]:
    """Yield the names of those orders, at most ``MAX_NAMED`` at a time; [] once when there are none."""
    orders = orders_of(outcomes)
    for start in range(0, max(1, len(orders)), MAX_NAMED):
        yield [instrument.order_name(order) for order in orders[start : start + MAX_NAMED]]
