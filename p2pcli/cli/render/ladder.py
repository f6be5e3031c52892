"""A book as a ladder: asks above bids, the spread between, a bar for each level's size."""

from collections.abc import Mapping, Sequence

from p2pcli.cli.render.ink import Paint, harmless, plain
from p2pcli.market.commands import Side
from p2pcli.market.depth import Depth, Level
from p2pcli.market.instrument import Instrument
from p2pcli.market.views import BookView, OrderView

EIGHTHS = " ▏▎▍▌▋▊▉█"
LARGEST_BAR = 40  # columns; a longer bar tells no more
MARK = "*"  # beside a level that holds orders of the reader

Key = tuple[Side, int]  # side and price of a level
Notes = Mapping[Key, str]  # what to write behind a level


def ladder(
    instrument: Instrument,
    view: BookView,
    node: str,
    width: int = 80,
    paint: Paint = plain,
    own: frozenset[Key] = frozenset(),
    notes: Notes | None = None,
) -> list[str]:
    """Return the book as lines; those of levels have at most ``width`` columns.

    ``own`` levels are marked; ``notes``, when given, stand where the bars would be.
    """
    lines = [heading(instrument, view, node, paint)]
    if not view.bids and not view.asks:
        return [*lines, paint("the book is empty", "dim")]
    rows = [(Side.SELL, level) for level in reversed(view.asks)] + [(Side.BUY, level) for level in view.bids]
    cells = [
        (instrument.price_text(level.price), instrument.quantity_text(level.quantity), str(level.orders))
        for _, level in rows
    ]
    titles = ("PRICE", "QUANTITY", "ORDERS")
    widths = [max(len(titles[i]), *(len(row[i]) for row in cells)) for i in range(3)]
    lines.append(paint("  " + "  ".join(f"{titles[i]:>{widths[i]}}" for i in range(3)), "dim"))
    largest = max(level.quantity for _, level in rows)
    room = min(LARGEST_BAR, width - 2 - sum(widths) - 4 - 2)
    body = []
    for (side, level), row in zip(rows, cells, strict=True):
        mark = paint(MARK, "own") if (side, level.price) in own else " "
        style = "bid" if side is Side.BUY else "ask"
        price = paint(f"{row[0]:>{widths[0]}}", style)
        text = f"{mark} {price}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}"
        behind = (
            (notes or {}).get((side, level.price), "")
            if notes is not None
            else bar(level.quantity, largest, room)
        )
        behind = behind[: max(0, room)] if notes is None else behind
        body.append((text + (f"  {paint(behind, style)}" if behind else "")).rstrip())
    return [
        *lines,
        *body[: len(view.asks)],
        _between(instrument, view, widths[0], paint),
        *body[len(view.asks) :],
    ]


def heading(instrument: Instrument, view: BookView, node: str, paint: Paint = plain) -> str:
    """Return the line above a book: of which market it is, on which node, and from when."""
    text = f"{instrument.symbol}  on {harmless(node)}  at sequence {view.sequence}"
    if view.last_price:
        text += f"  last {instrument.price_text(view.last_price)}"
    return paint(text, "head") + (paint("  halted", "bad") if view.halted else "")


def bar(quantity: int, largest: int, columns: int) -> str:
    """Return a bar as long as ``quantity`` is of ``largest``, in eighths of a column, never empty."""
    if columns < 1:
        return ""
    eighths = max(1, quantity * columns * 8 // largest)
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()


def levels_of(orders: Sequence[OrderView], owner: str) -> frozenset[Key]:
    """Return the levels at which ``owner`` has resting orders."""
    return frozenset((view.side, view.price) for view in orders if view.owner == owner)


def owners_notes(instrument: Instrument, orders: Sequence[OrderView]) -> dict[Key, str]:
    """Return for each level who rests there with how much, first in the queue first."""
    sums: dict[Key, dict[str, int]] = {}
    for view in orders:
        level = sums.setdefault((view.side, view.price), {})
        level[view.owner] = level.get(view.owner, 0) + view.remaining
    return {
        key: "  ".join(f"{harmless(owner)} {instrument.quantity_text(lots)}" for owner, lots in level.items())
        for key, level in sums.items()
    }


def ladder_difference(
    instrument: Instrument, left: BookView, right: BookView, names: tuple[str, str], paint: Paint = plain
) -> list[str]:
    """Return the levels that differ between two books, asks first; no lines when the books are equal."""
    lines = []
    sides = (("ask", left.asks, right.asks, True), ("bid", left.bids, right.bids, True))
    for name, ours, theirs, downwards in sides:
        a = {level.price: level for level in ours}
        b = {level.price: level for level in theirs}
        for price in sorted(a.keys() | b.keys(), reverse=downwards):
            if a.get(price) == b.get(price):
                continue
            shown = f"{name}  {instrument.price_text(price)}"
            for sign, node, level, style in (
                ("-", names[0], a.get(price), "bad"),
                ("+", names[1], b.get(price), "good"),
            ):
                lines.append(
                    paint(f"{sign} {shown}  {_level_words(instrument, level)}  {harmless(node)}", style)
                )
    return lines


def _level_words(instrument: Instrument, level: Level | None) -> str:
    if level is None:
        return "nothing"
    orders = "order" if level.orders == 1 else "orders"
    return f"{instrument.quantity_text(level.quantity)} in {level.orders} {orders}"


def _between(instrument: Instrument, view: BookView, width: int, paint: Paint) -> str:
    spread = Depth(view.bids, view.asks).spread
    if spread is not None:
        return paint(f"  {instrument.price_text(spread):>{width}}  spread", "dim")
    return paint(f"  {'-':>{width}}  no {'bids' if view.asks else 'asks'}", "dim")
