"""What a reader of a market is shown: orders and trades as whole records. Values only.

A view is made from the machine and its history on request. It is never stored and never enters
the log, so it may grow fields (at the end, with defaults) without a new version of anything.
"""

import msgspec

from p2pcli.market.commands import SelfTrade, Side, TimeInForce
from p2pcli.market.depth import Level
from p2pcli.market.events import Status


class FillView(msgspec.Struct, frozen=True, array_like=True):
    """One execution, seen from one of its two orders."""

    trade: int  # trade number
    sequence: int  # of the entry that caused it
    time_ns: int  # wall clock of that entry, nanoseconds since 1970
    price: int  # ticks
    quantity: int  # lots
    maker: int  # order id
    taker: int  # order id
    counterparty: str  # owner of the other order


class OrderView(msgspec.Struct, frozen=True, array_like=True):
    """One order, open or closed. filled + remaining + cancelled = quantity (S5)."""

    order: int
    client_order_id: str
    owner: str
    side: Side
    price: int  # ticks; 0: market order
    quantity: int  # lots, the total asked for
    filled: int
    remaining: int  # lots still resting; 0 once closed
    status: Status
    tif: TimeInForce
    post_only: bool
    self_trade: SelfTrade
    sequence: int  # of the entry that placed it
    time_ns: int  # when it was placed
    fills: list[FillView] = []

    @property
    def cancelled(self) -> int:
        """Return the lots that will never trade: cancelled, expired or refused."""
        return self.quantity - self.filled - self.remaining

    @property
    def rows(self) -> int:
        """Return what the order counts in a page of orders: itself and its fills."""
        return 1 + len(self.fills)

    @property
    def notional(self) -> int:
        """Return the sum of price times quantity over the fills, in tick-lots."""
        return sum(fill.price * fill.quantity for fill in self.fills)


class TradeView(msgspec.Struct, frozen=True, array_like=True):
    """One trade with both sides named."""

    trade: int
    sequence: int
    time_ns: int
    price: int  # ticks
    quantity: int  # lots
    taker_side: Side
    maker: int  # order id
    taker: int  # order id
    maker_owner: str
    taker_owner: str
    producer: str = ""  # the node that committed it; "": not known


class BookView(msgspec.Struct, frozen=True, array_like=True):
    """The top of a book at one sequence, best price first on both sides."""

    sequence: int
    bids: list[Level]
    asks: list[Level]
    last_price: int = 0  # ticks; 0 before the first trade
    halted: bool = False


class MarketStatus(msgspec.Struct, frozen=True, array_like=True):
    """One market as one node has it."""

    symbol: str
    sequence: int  # last entry applied
    digest: bytes  # rolling digest at that sequence
    open_orders: int
    trades: int  # trade numbers given so far
    last_price: int = 0
    halted: bool = False
    problem: str = ""  # why this market does not serve here; "": it does
    moves_to: str = ""  # where its log is being moved to: it is sealed and takes no orders; "": it stays


class BreakerView(msgspec.Struct, frozen=True, array_like=True):
    """The circuit breaker before one peer."""

    state: str  # closed, open (the peer is left alone) or half-open (one trial)
    failures: int = 0  # in a row


class KeyView(msgspec.Struct, frozen=True, array_like=True):
    """An owner's key as it is listed: not enough to use it."""

    id: str
    owner: str
    granted_ns: int
    revoked_ns: int = 0  # 0: it is good


class NodeStatus(msgspec.Struct, frozen=True, array_like=True):
    """One node, as it describes itself."""

    cluster: str
    name: str
    pid: int
    uptime_s: float
    markets: list[MarketStatus]
    peers: dict[str, str] = {}  # peer name -> "connected", or why not
    version: str = ""
    breakers: dict[str, BreakerView] = {}  # by peer name, like peers
    metrics: str = ""  # where /metrics is, "host:port"; "": nowhere


class DayView(msgspec.Struct, frozen=True, array_like=True):
    """The last 24 hours of one market, exact to the minute; all 0 when nothing traded."""

    open: int = 0  # ticks, as are high, low and last
    high: int = 0
    low: int = 0
    last: int = 0
    volume: int = 0  # lots
    trades: int = 0
