"""What the example client wants to trade: a ladder around the market, then orders at random. Pure.

Whole numbers only, and chance comes from the generator that is given, so the same seed in the same
market places the same orders.
"""

from collections.abc import Iterator
from random import Random

from p2pcli.market.commands import Place, Side, TimeInForce
from p2pcli.market.instrument import Instrument
from p2pcli.market.views import BookView

FIRST_PRICE = "30000"  # of a market that never traded
STEP_BP = 10  # basis points between two levels of the first ladder
LEVELS = 3
REACH_BP = 40  # how far from the middle a random order may be priced
SMALLEST, LARGEST = 1, 50  # hundredths of the base, of a random order


def middle(instrument: Instrument, book: BookView) -> int:
    """Return the price, in ticks, around which to trade: between the best ones, else the last, else 30000."""
    if book.bids and book.asks:
        return (book.bids[0].price + book.asks[0].price) // 2
    if book.last_price:
        return book.last_price
    if book.bids or book.asks:
        return (book.bids or book.asks)[0].price
    return _bounded(10**8 * int(FIRST_PRICE) // instrument.tick, instrument.max_price)


def first_orders(instrument: Instrument, book: BookView) -> Iterator[Place]:
    """Yield three bids and three asks, the nearest first, each larger than the one before."""
    price = middle(instrument, book)
    for level in range(1, LEVELS + 1):
        step = max(level, price * STEP_BP * level // 10_000)
        for side, at in ((Side.BUY, price - step), (Side.SELL, price + step)):
            yield Place(side, _lots(instrument, 10 * level), _bounded(at, instrument.max_price))


def next_order(instrument: Instrument, book: BookView, random: Random) -> Place:
    """Return an order at random: mostly limits around the middle, now and then at market."""
    side = random.choice((Side.BUY, Side.SELL))
    lots = _lots(instrument, random.randint(SMALLEST, LARGEST))
    if random.randrange(10) == 0:
        return Place(side, lots, 0, TimeInForce.IOC)
    price = middle(instrument, book)
    away = max(1, price * REACH_BP // 10_000)
    return Place(side, lots, _bounded(price + random.randint(-away, away), instrument.max_price))


def _lots(instrument: Instrument, hundredths: int) -> int:
    return _bounded(hundredths * 10**6 // instrument.lot, instrument.max_quantity)


def _bounded(value: int, maximum: int) -> int:
    return max(1, min(value, maximum))
