"""What a read is answered: from the machine where that is enough, from this node's history where not."""

from typing import Any

from p2pcli.clock import monotonic
from p2pcli.market.views import OrderView, TradeView
from p2pcli.node.hosted import HostedMarket
from p2pcli.node.requests import (
    MAX_ROWS,
    MAX_WAIT_S,
    NoSuchOrder,
    NotCaughtUp,
    Read,
    ReadBook,
    ReadDay,
    ReadDigest,
    ReadFullBook,
    ReadOrder,
    ReadOrders,
    ReadSnapshot,
    ReadTrades,
)


def carry_out(market: HostedMarket, request: Read) -> tuple[int, Any]:
    """Return the sequence and what was asked for, as it is there. A full book is read page by page."""
    replica = market.replica
    match request:
        case ReadBook(levels=levels):
            with replica.reading() as machine:
                return machine.sequence, machine.depth(min(levels, MAX_ROWS))
        case ReadFullBook():
            raise AssertionError("a full book is read page by page")
        case ReadDigest():
            with replica.reading() as machine:
                return machine.sequence, machine.state_digest()
        case ReadDay():
            with replica.reading() as machine:
                return machine.sequence, machine.day()
        case ReadOrders(owner=owner, closed=closed, limit=limit):
            limit = max(1, min(limit, MAX_ROWS))
            with replica.reading() as machine:
                sequence = machine.sequence
                orders = machine.orders(owner, limit)
            return sequence, market.history.orders(owner, limit) if closed else orders
        case ReadOrder(order=order):
            return _order(market, order)
        case ReadSnapshot(sequence=sequence, offset=offset):
            return replica.sequence, market.snapshots.piece(sequence, max(0, offset))
        case ReadTrades():
            return _trades(market, request)


def _order(market: HostedMarket, order: int) -> tuple[int, OrderView]:
    with market.replica.reading() as machine:
        sequence, newest = machine.sequence, machine.last_order
    found = market.history.order(order) if order <= newest else None
    if found is None:
        raise NoSuchOrder(
            f"no order {market.instrument.order_name(order)} in {market.instrument.symbol}",
            hint="p2px order ls --all shows the orders there are",
        )
    return sequence, found


def _trades(market: HostedMarket, request: ReadTrades) -> tuple[int, list[TradeView]]:
    deadline = monotonic() + max(0.0, min(request.wait, MAX_WAIT_S))
    while True:
        with market.replica.reading() as machine:
            sequence, newest = machine.sequence, machine.last_trade
        if newest > (request.after or 0) or monotonic() >= deadline:
            break
        try:
            market.replica.wait_for(sequence + 1, deadline)
        except NotCaughtUp:
            break
    last = max(1, min(request.last, MAX_ROWS))
    after = request.after
    if after is None:
        after = newest - last
    else:  # the oldest that are new, so that a follower who pages misses none
        newest = min(newest, after + last)
    return sequence, market.history.trades(max(0, after), newest)
