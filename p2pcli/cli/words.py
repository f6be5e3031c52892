"""What people type about orders, turned into commands. Text in, values out."""

from collections.abc import Iterable, Mapping

from p2pcli.errors import BadInput, NotFound
from p2pcli.market.commands import Place, SelfTrade, Side, TimeInForce
from p2pcli.market.instrument import (
    MARKET_PRICE,
    Instrument,
    first_market,
    order_parts,
    parse_order_name,
    symbol_meant,
    units_of,
)

TIFS = {"gtc": TimeInForce.GTC, "ioc": TimeInForce.IOC, "fok": TimeInForce.FOK}
SELF_TRADES = {
    "allow": SelfTrade.ALLOW,
    "cancel-newest": SelfTrade.CANCEL_NEWEST,
    "cancel-oldest": SelfTrade.CANCEL_OLDEST,
    "cancel-both": SelfTrade.CANCEL_BOTH,
}


class NoSuchMarket(NotFound):
    """No market of this cluster has that symbol or number."""

    code = "no_such_market"


class BadOrder(BadInput):
    """The options of an order contradict each other."""

    code = "bad_order"


def check_grammar(text: str) -> None:
    """Raise ``BadNumber`` when ``text`` is not QTY@PRICE in any market.

    It needs no market, so a slip of the pen is named before a cluster is looked for.
    """
    quantity, price = order_parts(text)
    units_of("quantity", quantity)
    if price != MARKET_PRICE:
        units_of("price", price)


def place(
    instrument: Instrument,
    side: Side,
    text: str,
    *,
    tif: str | None = None,
    post_only: bool = False,
    self_trade: str | None = None,
    client_order_id: str = "",
) -> Place:
    """Return the command for ``0.5@30000`` or ``0.5@market`` with its options.

    A market order is ioc unless fok is asked. Raises ``BadNumber`` and ``BadOrder``.
    """
    lots, ticks = instrument.quantity_at_price(text)
    return Place(
        side=side,
        quantity=lots,
        price=ticks,
        tif=time_in_force(tif, ticks, post_only),
        post_only=post_only,
        self_trade=SELF_TRADES[self_trade] if self_trade else SelfTrade.DEFAULT,
        client_order_id=client_order_id,
    )


def time_in_force(tif: str | None, ticks: int, post_only: bool) -> TimeInForce:
    """Return what becomes of the rest, refusing what rule M4 and M5 would refuse anyway."""
    if not ticks and tif == "gtc":
        raise BadOrder(
            "a market order never rests, so --tif gtc cannot apply",
            hint="leave --tif out, or use --tif fok to fill everything or nothing",
        )
    if post_only and (not ticks or tif in ("ioc", "fok")):
        raise BadOrder(
            "a post-only order rests or does nothing, so it cannot be ioc, fok or at market",
            hint="leave --post-only out, or give a price and no --tif",
        )
    if tif:
        return TIFS[tif]
    return TimeInForce.GTC if ticks else TimeInForce.IOC


def market_named(instruments: Mapping[str, Instrument], wanted: str) -> Instrument:
    """Return the market that ``wanted`` names, in capitals or not; "" names the first.

    Raises ``NoSuchMarket``.
    """
    if not wanted:
        return first_market(instruments.values())
    symbol = symbol_meant(wanted)
    if symbol in instruments:
        return instruments[symbol]
    raise NoSuchMarket(
        f"no market {wanted!a} in this cluster, which has {listed(instruments)}",
        hint=did_you_mean(symbol, instruments) or "p2px market ls",
    )


def order_named(instruments: Mapping[str, Instrument], text: str) -> tuple[Instrument, int]:
    """Return the market and number of an order id such as 1042 or 2-1042.

    Raises ``BadOrderId`` for other text and ``NoSuchMarket`` for a prefix no market has.
    """
    number, order = parse_order_name(text)
    for instrument in instruments.values():
        if instrument.number == number:
            return instrument, order
    numbers = ", ".join(f"{i.number} ({i.symbol})" for i in instruments.values())
    raise NoSuchMarket(
        f"order {text} belongs to market number {number}; this cluster has {numbers}", hint="p2px market ls"
    )


def listed(names: Iterable[str]) -> str:
    """Return names as people list them: ``a, b and c``."""
    known = list(names)
    if not known:
        return "none"
    return " and ".join([", ".join(known[:-1]), known[-1]]) if len(known) > 1 else known[0]


def did_you_mean(word: str, known: Iterable[str], before: str = "") -> str | None:
    """Return ``did you mean X?`` for the closest known word, or None when none is close."""
    from difflib import get_close_matches  # only a mistake pays for it

    close = get_close_matches(word, list(known), n=1)
    return f"did you mean {before}{close[0]}?" if close else None
