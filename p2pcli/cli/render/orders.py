"""What became of an order, line by line."""

from collections.abc import Sequence

from p2pcli.cli.render.ink import Paint, harmless, plain
from p2pcli.cli.render.quantities import average_price, moment, order_words, price_or_market
from p2pcli.cli.render.table import Cell, Column, Table
from p2pcli.market.commands import Place, TimeInForce
from p2pcli.market.events import Amended, Fill, Placed, Removed, Status
from p2pcli.market.instrument import Instrument
from p2pcli.market.views import BookView, FillView, OrderView, TradeView

WORD = 10  # columns of the first word of a line: accepted, filled, cancelled
FILL = 48  # columns before "remaining", so that fills of usual length stand in a column

STATUS_STYLES = {
    Status.OPEN: "",
    Status.PARTIALLY_FILLED: "warn",
    Status.FILLED: "good",
    Status.CANCELLED: "dim",
    Status.REJECTED: "bad",
    Status.EXPIRED: "dim",
}


def placed_view(place: Place, owner: str, sequence: int, placed: Placed) -> OrderView:
    """Return the order that ``place`` became, as its answer tells it; the time is not in an answer."""
    return OrderView(
        order=placed.order,
        client_order_id=place.client_order_id,
        owner=owner,
        side=place.side,
        price=place.price,
        quantity=place.quantity,
        filled=placed.filled,
        remaining=placed.remaining,
        status=placed.status,
        tif=place.tif,
        post_only=place.post_only,
        self_trade=place.self_trade,
        sequence=sequence,
        time_ns=0,
        fills=[_seen_by_taker(fill, placed.order, sequence) for fill in placed.fills],
    )


def placed_lines(
    instrument: Instrument,
    view: OrderView,
    removed: Sequence[Removed],
    node: str,
    paint: Paint = plain,
) -> list[str]:
    """Return what a person reads after placing an order: accepted, each fill, what became of the rest."""
    lines = [_line("accepted", f"{_named(instrument, view)}  on {harmless(node)}", "good", paint)]
    lines += fill_lines(instrument, view.fills, view.quantity, paint)
    lines += removed_lines(instrument, removed, paint)
    rest = instrument.quantity_text(view.cancelled)
    if view.status is Status.EXPIRED:
        why = "could not be filled at once" if view.tif is TimeInForce.FOK else "found no counterparty"
        lines.append(_line("expired", f"{rest} {why}", "warn", paint))
    if view.status is Status.CANCELLED:
        lines.append(
            _line("cancelled", f"{rest} instead of trading with an order of the same owner", "warn", paint)
        )
    return lines


def amended_lines(
    instrument: Instrument, view: OrderView, amended: Amended, node: str, paint: Paint = plain
) -> list[str]:
    """Return what a person reads after an amend; only the fills that the amend itself caused."""
    before = amended.filled - sum(fill.quantity for fill in amended.fills)
    fills = [_seen_by_taker(fill, amended.order, 0) for fill in amended.fills]
    lines = [_line("amended", f"{_named(instrument, view)}  on {harmless(node)}", "good", paint)]
    lines += fill_lines(instrument, fills, amended.quantity - before, paint)
    lines += removed_lines(instrument, amended.removed, paint)
    if amended.status is Status.FILLED and not amended.fills:
        traded = instrument.quantity_text(amended.filled)
        lines.append(
            _line("filled", f"with the {traded} that had traded before: it is closed", "good", paint)
        )
    if amended.status is Status.CANCELLED:
        lines.append(_line("cancelled", "nothing of it is left to trade", "warn", paint))
    return lines


def fill_lines(
    instrument: Instrument, fills: Sequence[FillView], quantity: int, paint: Paint = plain
) -> list[str]:
    """Return a line for each fill with what was left of ``quantity`` lots after it."""
    lines = []
    for fill in fills:
        quantity -= fill.quantity
        traded = f"{instrument.quantity_text(fill.quantity)} @ {instrument.price_text(fill.price)}"
        text = f"{traded} against {harmless(fill.counterparty)}"
        room = max(FILL - WORD, len(text) + 2)
        lines.append(
            _line("filled", f"{text:<{room}}remaining {instrument.quantity_text(quantity)}", "good", paint)
        )
    return lines


def standing_line(
    instrument: Instrument, book: BookView, owner: str, open_orders: int, paint: Paint = plain
) -> str:
    """Return the market and an owner's part in it on one line."""
    best = [
        f"{name} {instrument.price_text(side[0].price)}" if side else f"no {name}s"
        for name, side in (("bid", book.bids), ("ask", book.asks))
    ]
    last = f"last {instrument.price_text(book.last_price)}" if book.last_price else "no trades yet"
    text = f"{instrument.symbol}  {best[0]}  {best[1]}  {last}  {harmless(owner)} has {open_orders} open"
    return _line("status", text, "dim", paint)


def met_line(instrument: Instrument, trade: TradeView, paint: Paint = plain) -> str:
    """Return the line that says that a resting order traded."""
    text = (
        f"{instrument.quantity_text(trade.quantity)} @ {instrument.price_text(trade.price)}"
        f" of order {instrument.order_name(trade.maker)}, taken by {harmless(trade.taker_owner)}"
    )
    return _line("traded", text, "good", paint)


def cancelled_line(instrument: Instrument, order: int, remaining: int, paint: Paint = plain) -> str:
    """Return the line that says an order left the book, and with how much unfilled."""
    rest = f"{instrument.quantity_text(remaining)} {instrument.symbol} unfilled"
    return _line("cancelled", f"{instrument.order_name(order)}  {rest}", "good", paint)


def removed_lines(instrument: Instrument, removed: Sequence[Removed], paint: Paint = plain) -> list[str]:
    """Return a line for each resting order that self-trade prevention took out."""
    return [
        _line(
            "cancelled",
            f"{instrument.order_name(gone.order)}  own resting order, "
            f"{instrument.quantity_text(gone.remaining)} unfilled, instead of trading with it",
            "warn",
            paint,
        )
        for gone in removed
    ]


def repeated_line(sequence: int, paint: Paint = plain) -> str:
    """Return the line before a first answer that is given again."""
    return _line(
        "repeated",
        f"this id was answered before, at sequence {sequence}: nothing was done again",
        "warn",
        paint,
    )


def order_page(instrument: Instrument, view: OrderView, paint: Paint = plain) -> list[str]:
    """Return one order with everything known about it."""
    filled = f"filled {instrument.quantity_text(view.filled)} of {instrument.quantity_text(view.quantity)}"
    average = average_price(instrument, view)
    lines = [
        _line("order", f"{_named(instrument, view)}  by {harmless(view.owner)}", "head", paint),
        _line(
            "status",
            f"{paint(view.status.name.lower(), STATUS_STYLES[view.status])}  {filled}"
            f"  remaining {instrument.quantity_text(view.remaining)}"
            + (f"  average {average}" if average else ""),
            "head",
            paint,
        ),
        _line("placed", f"{moment(view.time_ns)}  at sequence {view.sequence}", "head", paint),
    ]
    if view.client_order_id:
        lines.append(_line("client id", harmless(view.client_order_id), "head", paint))
    left = view.quantity
    for fill in view.fills:
        left -= fill.quantity
        lines.append(
            _line(
                "filled",
                f"{instrument.quantity_text(fill.quantity)} @ {instrument.price_text(fill.price)}"
                f" against {harmless(fill.counterparty)}  trade {instrument.trade_name(fill.trade)}"
                f"  {moment(fill.time_ns)}  remaining {instrument.quantity_text(left)}",
                "good",
                paint,
            )
        )
    return lines


def orders_table(rows: Sequence[tuple[Instrument, OrderView]], empty: str = "no open orders") -> Table:
    """Return orders as a table, in the order given."""
    return Table(
        columns=(
            Column("ORDER", right=True),
            Column("SIDE"),
            Column("MARKET"),
            Column("PRICE", right=True),
            Column("QTY", right=True),
            Column("FILLED", right=True),
            Column("STATUS"),
            Column("TIF"),
            Column("OWNER"),
        ),
        rows=[
            (
                instrument.order_name(view.order),
                Cell(view.side.name.lower(), "bid" if view.side == 0 else "ask"),
                instrument.symbol,
                price_or_market(instrument, view.price),
                instrument.quantity_text(view.quantity),
                instrument.quantity_text(view.filled),
                Cell(view.status.name.lower(), STATUS_STYLES[view.status]),
                view.tif.name.lower() + (" post" if view.post_only else ""),
                view.owner,
            )
            for instrument, view in rows
        ],
        empty=empty,
    )


def _named(instrument: Instrument, view: OrderView) -> str:
    return f"{instrument.order_name(view.order)}  {order_words(instrument, view)}"


def _line(word: str, text: str, style: str, paint: Paint) -> str:
    return paint(word, style) + " " * max(1, WORD - len(word)) + text


def _seen_by_taker(fill: Fill, taker: int, sequence: int) -> FillView:
    return FillView(
        trade=fill.trade,
        sequence=sequence,
        time_ns=0,
        price=fill.price,
        quantity=fill.quantity,
        maker=fill.maker,
        taker=taker,
        counterparty=fill.maker_owner,
    )
