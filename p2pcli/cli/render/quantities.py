"""What several rooms say alike: moments, ages, and an order in words."""

from datetime import UTC, datetime

from p2pcli.market.instrument import Instrument, units_text
from p2pcli.market.views import OrderView


def moment(time_ns: int) -> str:
    """Return nanoseconds since 1970 as RFC 3339 in UTC, to the millisecond; 0 means unknown: a dash."""
    if not time_ns:
        return "-"
    seconds, rest = divmod(time_ns, 1_000_000_000)
    stamp = datetime.fromtimestamp(seconds, UTC)
    return f"{stamp:%Y-%m-%dT%H:%M:%S}.{rest // 1_000_000:03d}Z"


def age(seconds: float) -> str:
    """Return a length of time in at most two units, as kubectl does: ``42s``, ``3m12s``, ``2d5h``."""
    whole = max(0, int(seconds))
    for name, size, smaller_name, smaller in (
        ("d", 86400, "h", 3600),
        ("h", 3600, "m", 60),
        ("m", 60, "s", 1),
    ):
        if whole >= size:
            count, rest = divmod(whole, size)
            less = rest // smaller
            return f"{count}{name}{less}{smaller_name}" if less else f"{count}{name}"
    return f"{whole}s"


def price_or_market(instrument: Instrument, ticks: int) -> str:
    """Return a price as text; ``market`` for 0, which is how a market order is written."""
    return instrument.price_text(ticks) if ticks else "market"


def order_words(instrument: Instrument, view: OrderView) -> str:
    """Return an order as people say it: ``BUY 0.5 BTC/USD @ 30000.00  gtc``."""
    words = (
        f"{view.side.name} {instrument.quantity_text(view.quantity)} {instrument.symbol}"
        f" @ {price_or_market(instrument, view.price)}  {view.tif.name.lower()}"
    )
    return words + " post-only" if view.post_only else words


def average_price(instrument: Instrument, view: OrderView) -> str | None:
    """Return the average price of an order's fills, rounded half up to 8 decimals; None without fills."""
    traded = sum(fill.quantity for fill in view.fills)
    if not traded:
        return None
    units = (2 * view.notional * instrument.tick + traded) // (2 * traded)
    return units_text(units, len(units_text(instrument.tick).partition(".")[2]))
