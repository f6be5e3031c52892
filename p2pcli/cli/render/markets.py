"""Markets as a table, and as documents beside their rules."""

from collections.abc import Sequence

from p2pcli.cli.render.table import Cell, Column, Table
from p2pcli.market.instrument import Instrument
from p2pcli.market.views import DayView, MarketStatus


def markets_table(rows: Sequence[tuple[Instrument, MarketStatus, DayView]]) -> Table:
    """Return one row a market: its steps, how it stands, what it did in 24 hours."""
    return Table(
        columns=(
            Column("MARKET"),
            Column("STATE", wraps=True),
            Column("LAST", right=True),
            Column("24H HIGH", right=True),
            Column("24H LOW", right=True),
            Column("24H VOL", right=True),
            Column("TICK", right=True),
            Column("LOT", right=True),
        ),
        rows=[
            (
                instrument.symbol,
                state_cell(state),
                price_or_dash(instrument, state.last_price),
                price_or_dash(instrument, day.high),
                price_or_dash(instrument, day.low),
                instrument.quantity_text(day.volume),
                instrument.price_text(1),
                instrument.quantity_text(1),
            )
            for instrument, state, day in rows
        ],
        empty="this node has no markets",
    )


def state_cell(state: MarketStatus) -> Cell:
    """Return trading, halted, sealed, or why the market is not served."""
    if state.problem:
        return Cell(state.problem, "bad")
    if state.moves_to:
        return Cell("sealed", "warn")
    return Cell("halted", "warn") if state.halted else Cell("trading", "good")


def price_or_dash(instrument: Instrument, ticks: int) -> str:
    """Return a price, or a dash where there was no trade."""
    return instrument.price_text(ticks) if ticks else "-"
