"""A market's tick, lot and limits. The one room where decimal text and integers meet.

Outside p2px a number is exact decimal text; inside it is a whole number of ticks or lots. The grammar
is ``[0-9]{1,12}(\\.[0-9]{1,8})?`` in ASCII digits: no sign, no exponent, no spaces, no other alphabet.
Tick and lot are themselves whole multiples of 10**-8, so text, tick and lot meet in one integer unit
and no float or Decimal is needed.
"""

import re
from collections.abc import Iterable

import msgspec

from p2pcli.errors import BadInput
from p2pcli.market.commands import MAX_WHOLE, Define, SelfTrade

UNIT_DIGITS = 8
UNITS = 10**UNIT_DIGITS  # units in 1
MAX_MARKETS = 999  # highest market number of a cluster
MAX_PRICE_BAND = 1_000_000  # basis points
MARKET_PRICE = "market"  # what stands for a price where an order takes any

_NUMBER = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,8}))?", re.ASCII)
_SYMBOL = re.compile(r"[A-Z0-9]{1,12}/[A-Z0-9]{1,12}", re.ASCII)
_ORDER_NAME = re.compile(r"(?:([1-9][0-9]{0,2})-)?([1-9][0-9]{0,17})", re.ASCII)


class BadNumber(BadInput):
    """Text that is not a valid price or quantity of this market."""

    code = "bad_number"


class BadInstrument(BadInput):
    """A market definition that makes no sense."""

    code = "bad_instrument"


class BadOrderId(BadInput):
    """Text that is not an order id."""

    code = "bad_order_id"


class Instrument(msgspec.Struct, frozen=True, array_like=True):
    """What is traded in one market, and within which limits.

    Raises ``BadInstrument`` from ``checked`` when a field is out of range.
    """

    symbol: str  # BTC/USD
    number: int  # 1..999, position of the market in its cluster; the prefix of its order ids
    tick: int  # smallest price step, in 10**-8
    lot: int  # smallest quantity step, in 10**-8
    max_price: int  # ticks
    max_quantity: int  # lots
    self_trade: SelfTrade = SelfTrade.ALLOW  # for orders that do not say
    price_band: int = 0  # basis points around the last trade in which an order's price must lie; 0: none
    max_open_orders: int = 0  # per owner; 0: no limit
    remembered_ids: int = 100_000  # client order ids remembered per owner (M7)

    def checked(self) -> "Instrument":
        """Return this instrument, or raise ``BadInstrument`` naming the field and its limits."""
        if not _SYMBOL.fullmatch(self.symbol):
            raise BadInstrument(f"market {self.symbol!r} is not BASE/QUOTE in capital letters and digits")
        for name, value, limit in (
            ("number", self.number, MAX_MARKETS),
            ("tick", self.tick, 10**12 * UNITS),
            ("lot", self.lot, 10**12 * UNITS),
            ("max_price", self.max_price, MAX_WHOLE),
            ("max_quantity", self.max_quantity, MAX_WHOLE),
            ("remembered_ids", self.remembered_ids, 10_000_000),
        ):
            if not 1 <= value <= limit:
                raise BadInstrument(f"market {self.symbol}: {name} must be 1 to {limit}, not {value}")
        for name, value, limit in (
            ("price_band", self.price_band, MAX_PRICE_BAND),
            ("max_open_orders", self.max_open_orders, MAX_WHOLE),
        ):
            if not 0 <= value <= limit:
                raise BadInstrument(f"market {self.symbol}: {name} must be 0 to {limit}, not {value}")
        if self.self_trade is SelfTrade.DEFAULT:
            raise BadInstrument(f"market {self.symbol}: self_trade must name what to do")
        return self

    # -- text to integers -------------------------------------------------------------------------

    def price(self, text: str) -> int:
        """Return ``text`` in ticks. Raises ``BadNumber`` naming the nearest valid prices."""
        return self._whole("price", text, self.tick, self.max_price)

    def quantity(self, text: str) -> int:
        """Return ``text`` in lots. Raises ``BadNumber`` naming the nearest valid quantities."""
        return self._whole("quantity", text, self.lot, self.max_quantity)

    def quantity_at_price(self, text: str) -> tuple[int, int]:
        """Return ``0.5@30000`` as (lots, ticks) and ``0.5@market`` as (lots, 0)."""
        quantity, price = order_parts(text)
        lots = self.quantity(quantity)
        return lots, 0 if price == MARKET_PRICE else self.price(price)

    def _whole(self, what: str, text: str, step: int, maximum: int) -> int:
        units = units_of(what, text)
        whole, rest = divmod(units, step)
        step_name = "tick" if what == "price" else "lot"
        plural = "prices" if what == "price" else "quantities"
        if whole > maximum or (whole == maximum and rest):
            raise BadNumber(
                f"{what} {text} is above the maximum {self._shown(what, maximum)} of {self.symbol}",
                hint=f"the largest valid {what} is {self._shown(what, maximum)}",
            )
        if rest:
            below = [self._shown(what, whole)] if whole else []
            above = [self._shown(what, whole + 1)] if whole < maximum else []
            near = " and ".join(below + above)
            raise BadNumber(
                f"{what} {text} is not a multiple of the {step_name} {units_text(step)} of {self.symbol}",
                hint=f"nearest valid {plural} are {near}"
                if below and above
                else f"nearest valid {what} is {near}",
            )
        if whole == 0:
            raise BadNumber(
                f"{what} must be above zero, not {text}",
                hint=f"the smallest valid {what} of {self.symbol} is {self._shown(what, 1)}",
            )
        return whole

    # -- integers to text -------------------------------------------------------------------------

    def price_text(self, ticks: int) -> str:
        """Return ticks as decimal text with the tick's own number of decimals: ``30000.00``."""
        return units_text(ticks * self.tick, _decimals(self.tick))

    def quantity_text(self, lots: int) -> str:
        """Return lots as decimal text without trailing zeros: ``0.5``."""
        return units_text(lots * self.lot)

    def order_name(self, order: int) -> str:
        """Return an order's id as people write it: ``1042``, in the second market ``2-1042``."""
        return str(order) if self.number == 1 else f"{self.number}-{order}"

    trade_name = order_name

    def _shown(self, what: str, whole: int) -> str:
        return self.price_text(whole) if what == "price" else self.quantity_text(whole)


def parse_order_name(text: str) -> tuple[int, int]:
    """Return (market number, order id) of an id as people write it. Raises ``BadOrderId``."""
    match = _ORDER_NAME.fullmatch(text)
    if not match:
        raise BadOrderId(f"order id {_shown(text)} is not a number like 1042 or 2-1042", hint="p2px order ls")
    return int(match[1] or 1), int(match[2])


def order_parts(text: str) -> tuple[str, str]:
    """Return quantity and price text of ``0.5@30000``. Raises ``BadNumber`` when it has not both."""
    quantity, at, price = text.partition("@")
    if not at or not quantity or not price:
        raise BadNumber(
            f"order {_shown(text)} is not QTY@PRICE", hint="write it like 0.5@30000, or 0.5@market"
        )
    return quantity, MARKET_PRICE if price.lower() == MARKET_PRICE else price


def symbol_meant(text: str) -> str:
    """Return a symbol that people wrote in small letters, or with - for /, as markets have it."""
    return text.upper().replace("-", "/")


def first_market(instruments: Iterable[Instrument]) -> Instrument:
    """Return the market that is meant when none is named."""
    return min(instruments, key=lambda instrument: instrument.number)


def units_of(what: str, text: str) -> int:
    """Return decimal text in 10**-8. Raises ``BadNumber`` naming ``what``."""
    match = _NUMBER.fullmatch(text)
    if not match:
        raise BadNumber(
            f"{what} {_shown(text)} is not a plain decimal number",
            hint=f"up to 12 digits, then a point and up to {UNIT_DIGITS} more if needed, like 0.5",
        )
    whole, fraction = match[1], match[2] or ""
    units: int = int(whole) * UNITS + int(fraction.ljust(UNIT_DIGITS, "0"))
    return units


def units_text(units: int, decimals: int = 0) -> str:
    """Return 10**-8 units as decimal text with at least ``decimals`` decimals."""
    sign = "-" if units < 0 else ""
    whole, fraction = divmod(abs(units), UNITS)
    digits = f"{fraction:0{UNIT_DIGITS}d}".rstrip("0").ljust(decimals, "0")
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"


def as_define(instrument: Instrument) -> Define:
    """Return the command that gives a log this instrument."""
    return Define(*(getattr(instrument, name) for name in Define.__struct_fields__))


def as_instrument(command: Define) -> Instrument:
    """Return the instrument a definition names. Raises ``BadInstrument``."""
    return Instrument(*(getattr(command, name) for name in Define.__struct_fields__)).checked()


def _decimals(step: int) -> int:
    text = units_text(step)
    return len(text.partition(".")[2])


def _shown(text: str) -> str:
    shown = text if len(text) <= 60 else text[:57] + "..."
    return ascii(shown)
