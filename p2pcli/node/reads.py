"""What a hosted market answers to each kind of read: the state asked for, and the sequence it is of."""

from collections import OrderedDict
from typing import Any

import msgspec

from p2pcli.clock import monotonic
from p2pcli.market.views import OrderView, TradeView
from p2pcli.node.hosted import HostedMarket
from p2pcli.node.requests import (
    BOOK_PAGE,
    FILLS_PAGE,
    MAX_ROWS,
    MAX_WAIT_S,
    ORDERS_PAGE,
    TRADES_PAGE,
    BadRequest,
    BookPage,
    NoSuchOrder,
    NotCaughtUp,
    Read,
    ReadBook,
    ReadDay,
    ReadDigest,
    ReadFullBook,
    ReadKeys,
    ReadMarket,
    ReadOrder,
    ReadOrders,
    ReadSnapshot,
    ReadTrades,
)
from p2pcli.node.state import fingerprint

AT_LEAST_S = 5.0  # longest wait for a sequence that a read asks for


MAX_PICTURES = 4  # full books that the clients of one connection are reading at once


class Pictures:
    """Full books that are being read page by page, one a session; the oldest is dropped beyond a few."""

    def __init__(self) -> None:
        self._pictures: OrderedDict[int, tuple[int, int, list[OrderView]]] = OrderedDict()

    def page(self, session: int, market: HostedMarket, request: ReadFullBook) -> tuple[int, BookPage]:
        """Return a page of the picture taken at offset 0, which goes with the last page."""
        if request.offset <= 0:
            with market.replica.reading() as machine:
                self._pictures[session] = request.market, machine.sequence, machine.full_book()
            self._pictures.move_to_end(session)
            while len(self._pictures) > MAX_PICTURES:
                self._pictures.popitem(last=False)
        number, sequence, orders = self._pictures.get(session, (0, 0, []))
        if number != request.market or request.offset > len(orders):
            raise BadRequest("begin a full book at offset 0", hint="its pages are asked for in order")
        start = max(0, request.offset)
        page = BookPage(len(orders), orders[start : start + BOOK_PAGE])
        if start + BOOK_PAGE >= len(orders):
            del self._pictures[session]
        return sequence, page


def await_sequence(market: HostedMarket, request: Read) -> None:
    """Return once the read can show what it asks for at least. Raises ``NotCaughtUp``."""
    if request.at_least:
        market.replica.wait_for(request.at_least, monotonic() + AT_LEAST_S)


def may_wait(market: HostedMarket, request: Read) -> bool:
    """Say whether a read is not answered at once: it waits for news, or for a sequence to be applied."""
    return request.at_least > market.replica.sequence or (
        isinstance(request, ReadTrades) and request.wait > 0
    )


def carry_out(market: HostedMarket, request: Read) -> tuple[int, Any]:
    """Return sequence and body. Raises ``NoSuchOrder``, ``NoSnapshot`` and what stops the market."""
    replica = market.replica
    match request:
        case ReadBook(levels=levels):
            with replica.reading() as machine:
                return machine.sequence, machine.depth(max(0, min(levels, MAX_ROWS)))
        case ReadFullBook():
            raise AssertionError("a full book is read page by page")
        case ReadDigest():
            with replica.reading() as machine:
                sequence, picture = machine.sequence, machine.picture()
            return sequence, fingerprint(picture.encoded())
        case ReadKeys():
            with replica.reading() as machine:
                return machine.sequence, list(machine.keys)
        case ReadDay():
            with replica.reading() as machine:
                return machine.sequence, machine.day()
        case ReadMarket():
            status = market.status()
            return status.sequence, status
        case ReadOrders():
            return _orders(market, request)
        case ReadOrder(order=order, skip=skip):
            return _order(market, order, max(0, skip))
        case ReadSnapshot(sequence=sequence, offset=offset):
            return replica.sequence, market.snapshots.piece(sequence, max(0, offset))
        case ReadTrades():
            return _trades(market, request)


def _orders(market: HostedMarket, request: ReadOrders) -> tuple[int, list[OrderView]]:
    limit = max(1, min(request.limit, ORDERS_PAGE))
    with market.replica.reading() as machine:
        sequence = machine.sequence
        if not request.closed:
            return sequence, machine.orders(request.owner, limit, max(0, request.beyond))
    newest = market.history.orders(request.owner, limit, request.beyond)
    return sequence, newest_page(newest)


def newest_page(orders: list[OrderView]) -> list[OrderView]:
    """Return the newest of these orders, oldest first: until they and their fills are a page."""
    page: list[OrderView] = []
    rows = 0
    for view in reversed(orders):
        if rows >= ORDERS_PAGE:
            break
        page.append(msgspec.structs.replace(view, fills=view.fills[:ORDERS_PAGE]))
        rows += page[-1].rows
    return page[::-1]


def _order(market: HostedMarket, order: int, skip: int) -> tuple[int, OrderView]:
    with market.replica.reading() as machine:
        sequence, newest = machine.sequence, machine.last_order
    found = market.history.order(order) if order <= newest else None
    if found is None:
        raise NoSuchOrder(
            f"no order {market.instrument.order_name(order)} in {market.instrument.symbol}",
            hint="p2px order ls --all shows the orders there are",
        )
    fills = found.fills[skip : skip + FILLS_PAGE]
    return sequence, found if fills == found.fills else msgspec.structs.replace(found, fills=fills)


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
    last = max(1, min(request.last, TRADES_PAGE))
    after = request.after
    if after is None:
        after = newest - last
    else:  # the oldest that are new, so that a follower who pages misses none
        newest = min(newest, after + last)
    return sequence, market.history.trades(max(0, after), newest)
