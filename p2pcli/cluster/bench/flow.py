"""The commands of a benchmark: orders around one price, and a sweep now and then. Pure.

About a third of the orders trade at once. A third rest too far away to ever trade, so each client cancels
all of its own every ``SWEEP`` commands: the book then stays as it is, however long the benchmark takes.
"""

import random

from p2pcli.market.commands import CancelAll, ClientCommand, Place, Side
from p2pcli.market.instrument import Instrument

SWEEP = 1_000  # commands between two that cancel everything
PRICE = 1_000_000  # ticks around which orders are placed, unless the market's maximum is lower
LOTS = 1_000_000  # the unit of quantities, likewise


def around(instrument: Instrument) -> tuple[int, int]:
    """Return the middle price in ticks and the unit of quantities in lots for a market."""
    return (
        max(1, min(PRICE, instrument.max_price // 2)),
        max(1, min(LOTS, instrument.max_quantity // 1000)),
    )


def orders(count: int, seed: int, price: int, lots: int) -> list[ClientCommand]:
    """Return ``count`` orders; the same seed gives the same ones."""
    rng = random.Random(seed)
    flow: list[ClientCommand] = []
    for _ in range(count):
        side = Side.BUY if rng.random() < 0.5 else Side.SELL
        away = rng.randrange(-20, 40)
        flow.append(
            Place(
                side, rng.randrange(1, 100) * lots, max(1, price - away if side is Side.BUY else price + away)
            )
        )
    return flow


def swept(flow: list[ClientCommand]) -> list[ClientCommand]:
    """Return the flow with every ``SWEEP``-th order replaced by one that cancels all before it."""
    return [CancelAll() if number % SWEEP == 0 else each for number, each in enumerate(flow, 1)]


def resting(count: int, price: int, lots: int) -> list[ClientCommand]:
    """Return orders that no other of this room trades with: at 1,000 prices below and 1,000 above."""
    flow: list[ClientCommand] = []
    for number in range(count):
        away = 100 + number // 2 % 1000
        side = Side.SELL if number % 2 else Side.BUY
        at = price - away if side is Side.BUY else price + away
        flow.append(Place(side, lots, max(1, at)))
    return flow
