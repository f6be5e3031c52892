"""What the Python API returns: orders, trades and books in exact decimals. Values only.

Prices and quantities are ``decimal.Decimal``, exact, never float. Ids are text, as people write them
(``1042``, in the second market ``2-1042``). Words are those of the command line: ``buy``, ``sell``,
``open``, ``partially_filled`` and so on. Times are nanoseconds since 1970, from the log.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext

from p2pcli.market.commands import Side
from p2pcli.market.depth import Level as Summed
from p2pcli.market.instrument import Instrument
from p2pcli.market.views import BookView, DayView, FillView, MarketStatus, OrderView, TradeView


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution, seen from one of its two orders. The price is the resting order's (M1)."""

    trade_id: str
    sequence: int  # of the log's entry that caused it
    price: Decimal
    quantity: Decimal
    maker_order_id: str
    taker_order_id: str
    counterparty: str  # owner of the other order
    time_ns: int


@dataclass(frozen=True, slots=True)
class Order:
    """One order, open or closed, as it is at the moment it was read."""

    order_id: str
    client_order_id: str | None
    owner: str
    market: str
    side: str  # buy, sell
    price: Decimal | None  # None: a market order
    quantity: Decimal  # asked for in all
    filled: Decimal
    remaining: Decimal  # still resting; 0 once closed
    status: str  # open, partially_filled, filled, cancelled, rejected, expired
    tif: str  # gtc, ioc, fok
    post_only: bool
    sequence: int  # of the log's entry that placed it
    time_ns: int  # when that was
    fills: tuple[Fill, ...]

    @property
    def average_price(self) -> Decimal | None:
        """Average price of the fills, rounded half up to 8 decimals; None when it comes without any."""
        traded = sum((fill.quantity for fill in self.fills), Decimal(0))
        if not traded:
            return None
        with localcontext(Context(prec=60, rounding=ROUND_HALF_UP)):  # enough for exact sums of any fills
            paid = sum((fill.price * fill.quantity for fill in self.fills), Decimal(0))
            return (paid / traded).quantize(Decimal("1E-8"))

    @property
    def is_open(self) -> bool:
        """Whether it still rests in the book."""
        return self.status in ("open", "partially_filled")


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade with both sides named."""

    trade_id: str
    sequence: int
    market: str
    price: Decimal
    quantity: Decimal
    taker_side: str  # buy, sell
    maker_order_id: str
    taker_order_id: str
    maker: str  # owner of the order that rested
    taker: str  # owner of the order that arrived
    time_ns: int


@dataclass(frozen=True, slots=True)
class Level:
    """Everything that rests at one price."""

    price: Decimal
    quantity: Decimal
    orders: int


@dataclass(frozen=True, slots=True)
class Book:
    """The top of a book at one sequence, best price first on both sides."""

    market: str
    sequence: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    last_price: Decimal | None  # None: nothing has traded
    halted: bool

    @property
    def spread(self) -> Decimal | None:
        """Best ask less best bid; None while a side is empty."""
        return self.asks[0].price - self.bids[0].price if self.bids and self.asks else None


@dataclass(frozen=True, slots=True)
class FullBook:
    """Every resting order at one sequence, without fills, in the order it will fill: best price, then age."""

    market: str
    sequence: int
    bids: tuple[Order, ...]
    asks: tuple[Order, ...]


@dataclass(frozen=True, slots=True)
class Market:
    """A market's rules and how it stands. Prices are None where nothing has traded."""

    symbol: str
    tick: Decimal  # every price is a multiple of it
    lot: Decimal  # every quantity is a multiple of it
    max_price: Decimal
    max_quantity: Decimal
    max_open_orders: int | None  # of one owner; None: no limit
    price_band_bp: int | None  # hundredths of a percent around the last trade; None: no band
    halted: bool
    sequence: int
    open_orders: int
    last_price: Decimal | None
    open_24h: Decimal | None
    high_24h: Decimal | None
    low_24h: Decimal | None
    volume_24h: Decimal


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether all nodes agree. ``sequences`` says where each market was compared."""

    ok: bool
    sequences: dict[str, int]
    problems: tuple[str, ...]  # one sentence each; () when ok


def order_of(instrument: Instrument, view: OrderView) -> Order:
    """Return an order in decimals."""
    return Order(
        order_id=instrument.order_name(view.order),
        client_order_id=view.client_order_id or None,
        owner=view.owner,
        market=instrument.symbol,
        side=view.side.name.lower(),
        price=_price(instrument, view.price) if view.price else None,
        quantity=_quantity(instrument, view.quantity),
        filled=_quantity(instrument, view.filled),
        remaining=_quantity(instrument, view.remaining),
        status=view.status.name.lower(),
        tif=view.tif.name.lower(),
        post_only=view.post_only,
        sequence=view.sequence,
        time_ns=view.time_ns,
        fills=tuple(_fill(instrument, fill) for fill in view.fills),
    )


def trade_of(instrument: Instrument, view: TradeView) -> Trade:
    """Return a trade in decimals."""
    return Trade(
        trade_id=instrument.trade_name(view.trade),
        sequence=view.sequence,
        market=instrument.symbol,
        price=_price(instrument, view.price),
        quantity=_quantity(instrument, view.quantity),
        taker_side=view.taker_side.name.lower(),
        maker_order_id=instrument.order_name(view.maker),
        taker_order_id=instrument.order_name(view.taker),
        maker=view.maker_owner,
        taker=view.taker_owner,
        time_ns=view.time_ns,
    )


def market_of(instrument: Instrument, status: MarketStatus, day: DayView) -> Market:
    """Return a market in decimals."""

    def price(ticks: int) -> Decimal | None:
        return _price(instrument, ticks) if ticks else None

    return Market(
        symbol=instrument.symbol,
        tick=_price(instrument, 1),
        lot=_quantity(instrument, 1),
        max_price=_price(instrument, instrument.max_price),
        max_quantity=_quantity(instrument, instrument.max_quantity),
        max_open_orders=instrument.max_open_orders or None,
        price_band_bp=instrument.price_band or None,
        halted=status.halted,
        sequence=status.sequence,
        open_orders=status.open_orders,
        last_price=price(status.last_price),
        open_24h=price(day.open),
        high_24h=price(day.high),
        low_24h=price(day.low),
        volume_24h=_quantity(instrument, day.volume),
    )


def book_of(instrument: Instrument, view: BookView) -> Book:
    """Return a book in decimals."""
    return Book(
        instrument.symbol,
        view.sequence,
        tuple(_level(instrument, level) for level in view.bids),
        tuple(_level(instrument, level) for level in view.asks),
        _price(instrument, view.last_price) if view.last_price else None,
        view.halted,
    )


def full_book_of(instrument: Instrument, sequence: int, views: Sequence[OrderView]) -> FullBook:
    """Return all resting orders in decimals."""
    bids = tuple(order_of(instrument, view) for view in views if view.side is Side.BUY)
    asks = tuple(order_of(instrument, view) for view in views if view.side is Side.SELL)
    return FullBook(instrument.symbol, sequence, bids, asks)


def _fill(instrument: Instrument, view: FillView) -> Fill:
    return Fill(
        instrument.trade_name(view.trade),
        view.sequence,
        _price(instrument, view.price),
        _quantity(instrument, view.quantity),
        instrument.order_name(view.maker),
        instrument.order_name(view.taker),
        view.counterparty,
        view.time_ns,
    )


def _level(instrument: Instrument, level: Summed) -> Level:
    return Level(_price(instrument, level.price), _quantity(instrument, level.quantity), level.orders)


def _price(instrument: Instrument, ticks: int) -> Decimal:
    return Decimal(instrument.price_text(ticks))


def _quantity(instrument: Instrument, lots: int) -> Decimal:
    return Decimal(instrument.quantity_text(lots))
