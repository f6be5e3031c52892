"""The book's depth as a chart: how much there is to buy or sell up to each price. Pure.

Price goes to the right, as far on one side of the middle as on the other, and quantity goes up. Bids rise to
the left, asks to the right, so the flatter side is the thinner one.
"""

from collections.abc import Sequence

from p2pcli.cli.render.ink import Paint, plain
from p2pcli.cli.render.ladder import MARK, Key, heading
from p2pcli.market.commands import Side
from p2pcli.market.depth import Depth, Level
from p2pcli.market.instrument import Instrument
from p2pcli.market.views import BookView

EIGHTHS = " ▁▂▃▄▅▆▇█"
SHORTEST, TALLEST = 4, 24  # rows of the chart itself
AROUND = 7  # lines above and below it
FAR = 10  # times the usual distance from the middle; what rests beyond would squeeze everything else
SIGNIFICANT = 4  # digits of a quantity beside the axis


def depth_chart(
    instrument: Instrument,
    view: BookView,
    node: str,
    size: tuple[int, int] = (80, 24),
    paint: Paint = plain,
    own: frozenset[Key] = frozenset(),
) -> list[str]:
    """Return the chart as lines that fit ``size``, columns and rows. ``own`` levels are marked below it.

    O(levels + columns x rows).
    """
    lines = [heading(instrument, view, node, paint)]
    if not view.bids and not view.asks:
        return [*lines, paint("the book is empty", "dim")]
    columns, rows = size
    height = max(SHORTEST, min(TALLEST, rows - AROUND))
    highest = max(sum(level.quantity for level in side) for side in (view.bids, view.asks))
    labels = [_label(instrument, highest), _label(instrument, highest // 2) if highest > 1 else "", "0"]
    margin = max(map(len, labels))
    half = max(8, (columns - margin - 4) // 2)
    middle, reach = _middle(view), _reach(view)
    bids = _heights(view.bids, middle, reach, half)[::-1]
    asks = _heights(view.asks, middle, reach, half)
    for row in range(height, 0, -1):
        label = {height: labels[0], height // 2: labels[1]}.get(row, "")
        left = "".join(_cell(amount, highest, row, height) for amount in bids)
        right = "".join(_cell(amount, highest, row, height) for amount in asks)
        lines.append(f"{label:>{margin}} │{paint(left, 'bid')} {paint(right.rstrip(), 'ask')}".rstrip())
    lines.append(f"{labels[2]:>{margin}} └" + "─" * (2 * half + 1))
    marks = _marks(own, middle, reach, half)
    if marks:
        lines.append(" " * (margin + 2) + paint(marks, "own"))
    return [*lines, *_below(instrument, view, middle, reach, margin + 2, 2 * half + 1, paint)]


def _heights(levels: Sequence[Level], middle: int, reach: int, columns: int) -> list[int]:
    """Return for each column, from the middle outwards, the lots up to the price at its far edge."""
    heights, total, place = [], 0, 0
    for column in range(1, columns + 1):
        edge = reach * column
        while place < len(levels) and abs(levels[place].price - middle) * columns <= edge:
            total += levels[place].quantity
            place += 1
        heights.append(total)
    return heights


def _cell(amount: int, highest: int, row: int, height: int) -> str:
    """Return the character of one column in a row, 1 the lowest; what there is shows, however little."""
    eighths = max(1, amount * height * 8 // highest) if amount else 0
    return EIGHTHS[max(0, min(8, eighths - 8 * (row - 1)))]


def _middle(view: BookView) -> int:
    if view.bids and view.asks:
        return (view.bids[0].price + view.asks[0].price) // 2
    return (view.bids or view.asks)[0].price


def _reach(view: BookView) -> int:
    """Return how far from the middle the chart goes, in ticks: to the last level that is not far out."""
    middle = _middle(view)
    distances = sorted(abs(level.price - middle) for level in (*view.bids, *view.asks))
    usual = max(1, distances[len(distances) // 2])
    return max(1, *(distance for distance in distances if distance <= FAR * usual))


def _marks(own: frozenset[Key], middle: int, reach: int, half: int) -> str:
    marks = [" "] * (2 * half + 1)
    for side, price in own:
        column = -(-abs(price - middle) * half // reach)  # upwards, as in _heights
        if column <= half:
            marks[half - max(1, column) if side is Side.BUY else half + max(1, column)] = MARK
    return "".join(marks).rstrip()


def _below(
    instrument: Instrument, view: BookView, middle: int, reach: int, margin: int, width: int, paint: Paint
) -> list[str]:
    """Return the prices below the axis, and how much there is on each side."""
    low, high = instrument.price_text(max(0, middle - reach)), instrument.price_text(middle + reach)
    spread = Depth(view.bids, view.asks).spread
    gap = "no spread" if spread is None else f"spread {instrument.price_text(spread)}"
    prices = f"{low}{gap:^{max(0, width - len(low) - len(high))}}{high}"
    shown = [
        f"{name} {instrument.quantity_text(sum(level.quantity for level in side))}"
        f" in {len(side)} level{'' if len(side) == 1 else 's'}"
        for name, side in (("bids", view.bids), ("asks", view.asks))
    ]
    room = width - sum(map(len, shown))
    # On a narrow terminal the sums stand one below the other.
    between = " " * room if room > 1 else "\n" + " " * margin
    sums = f"{' ' * margin}{paint(shown[0], 'bid')}{between}{paint(shown[1], 'ask')}"
    lines = [" " * margin + paint(prices, "dim"), *sums.split("\n")]
    far = sum(abs(level.price - middle) > reach for level in (*view.bids, *view.asks))
    if far:
        lines.append(" " * margin + paint(f"{far} further out not drawn", "dim"))
    return lines


def _label(instrument: Instrument, lots: int) -> str:
    step = 10 ** max(0, len(str(lots)) - SIGNIFICANT)
    return instrument.quantity_text(lots // step * step)
