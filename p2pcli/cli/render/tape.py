"""Trades, one a line: the same columns whether they are listed or followed."""

from collections.abc import Iterable

import msgspec

from p2pcli.cli.render.ink import Paint, harmless, plain
from p2pcli.cli.render.quantities import moment
from p2pcli.market.commands import Side
from p2pcli.market.instrument import Instrument
from p2pcli.market.views import TradeView

TITLES = ("TIME", "TRADE", "SIDE", "PRICE", "QUANTITY", "TAKER", "MAKER")
WIDTHS = (24, 5, 4, 8, 8, 7, 7)  # of usual trades, for a title that comes before the first one
RIGHT = frozenset({"TRADE", "PRICE", "QUANTITY"})
EXPORT_FIELDS = (
    "trade_id",
    "sequence",
    "market",
    "price",
    "quantity",
    "taker_side",
    "maker_order_id",
    "taker_order_id",
    "maker",
    "taker",
    "time_ns",
    "time",  # for people and spreadsheets; not in JSON
)


class Tape(msgspec.Struct):
    """Column widths that only grow, so that lines printed later still stand under the first ones."""

    widths: list[int] = msgspec.field(default_factory=lambda: list(WIDTHS))

    def lines(self, instrument: Instrument, trades: Iterable[TradeView], paint: Paint = plain) -> list[str]:
        """Return a line for each trade, coloured by the taker's side."""
        rows = [(view, _cells(instrument, view)) for view in trades]
        for _, cells in rows:
            self.widths = [max(width, len(cell)) for width, cell in zip(self.widths, cells, strict=True)]
        return [
            self._line(cells, "bid" if view.taker_side is Side.BUY else "ask", paint) for view, cells in rows
        ]

    def title(self, paint: Paint = plain) -> str:
        """Return the titles at the widths known now: ask after ``lines``."""
        return paint(self._line(TITLES, "", plain), "head")

    def _line(self, cells: tuple[str, ...], style: str, paint: Paint) -> str:
        padded = [
            f"{cell:>{width}}" if title in RIGHT else f"{cell:<{width}}"
            for title, cell, width in zip(TITLES, cells, self.widths, strict=True)
        ]
        padded[2] = paint(padded[2], style)
        padded[3] = paint(padded[3], style)
        return "  ".join(padded).rstrip()


def _cells(instrument: Instrument, view: TradeView) -> tuple[str, ...]:
    return (
        moment(view.time_ns),
        instrument.trade_name(view.trade),
        view.taker_side.name.lower(),
        instrument.price_text(view.price),
        instrument.quantity_text(view.quantity),
        harmless(view.taker_owner),
        harmless(view.maker_owner),
    )
