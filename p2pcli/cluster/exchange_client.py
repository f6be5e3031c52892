"""The exchange for Python programs: the command line's words as methods, exact decimals in and out.

    from p2pcli import ExchangeClient

    with ExchangeClient(node="client1") as client:
        order = client.buy("0.5", "30000")
        print(order.status, client.book().spread)

It finds the nodes of a running cluster by itself and goes on through another one when its own dies. Every
command is sent under an id, so one that had to be repeated takes effect once (S9).
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from p2pcli.cluster.arguments import (
    BadArgument,
    Number,
    chosen,
    count,
    flag,
    market_of_symbol,
    number_text,
    seconds,
    text,
)
from p2pcli.cluster.reader import Reader
from p2pcli.cluster.results import (
    Book,
    FullBook,
    Market,
    Order,
    Trade,
    book_of,
    full_book_of,
    market_of,
    order_of,
    trade_of,
)
from p2pcli.cluster.whereabouts import whereabouts
from p2pcli.errors import NotFound, P2pxError
from p2pcli.market.commands import (
    Amend,
    Cancel,
    CancelAll,
    Command,
    Halt,
    Place,
    Resume,
    Side,
    TimeInForce,
)
from p2pcli.market.documents import SELF_TRADE_NAMES
from p2pcli.market.events import Amended, Cancelled, CancelledAll, Done, Placed, Refused, Repeated
from p2pcli.market.instrument import MARKET_PRICE, Instrument, parse_order_name
from p2pcli.market.names import check_client_id, check_owner
from p2pcli.market.refusals import CommandRefused, not_open, refusal
from p2pcli.market.views import OrderView, TradeView
from p2pcli.node.client import ExchangeClient as NodeClient
from p2pcli.node.requests import MAX_ROWS, NoSuchMarket
from p2pcli.node.roaming import RoamingClient, with_id

FOLLOWED = 1000  # trades in one answer
FOLLOW_S = 5.0  # one long question; the node answers sooner when there is a trade
MAX_LISTED = 1_000_000  # orders or trades that are asked for at once

_SIDES = {"buy": Side.BUY, "sell": Side.SELL}
_TIFS = {tif.name.lower(): tif for tif in TimeInForce}
_SELF_TRADES = {name: mode for mode, name in SELF_TRADE_NAMES.items()}


class NoSuchNode(NotFound):
    """The cluster has no node of that name."""

    code = "no_such_node"


class ExchangeClient:
    """One owner's way to the exchange. A context manager, for one thread at a time.

    ``cluster`` and ``home`` say which cluster; by default the one that the command line would mean here
    (settings and ``P2PX_*`` included). ``node`` is asked first, by default the first; the others step in
    when it fails. ``owner`` is who the orders belong to, by default that node. ``timeout`` in seconds bounds
    every call. ``key`` is an owner's key file (`p2px keys create`): with it no cluster secret is read, and
    only that owner's orders are placed and shown. Raises ``ClusterNotRunning``, ``NoSuchNode``,
    ``KeyRefused``, ``WrongOwner``, or ``NotRunning`` when no node answers.

    On a machine that is none of the cluster's, ``addresses`` of nodes ("10.0.0.1:4001") and ``key`` are
    enough, with ``ca``: the CA's certificate (PEM), its file, or its SHA-256. No settings are read then.
    """

    def __init__(
        self,
        cluster: str | None = None,
        *,
        node: str | None = None,
        owner: str | None = None,
        home: Path | str | None = None,
        timeout: float = 10.0,
        key: Path | str | None = None,
        addresses: Sequence[str] = (),
        ca: Path | str = "",
    ) -> None:
        timeout = seconds("timeout", timeout)
        self._where = whereabouts(cluster, home, key, addresses, ca)
        names = self._where.node_names("" if node is None else text("node", node))
        if node is not None and node not in names and not self._where.knows(node):
            raise NoSuchNode(
                f"cluster {self._where.cluster} has no node {node[:60]!a}; its nodes are {', '.join(names)}"
            )
        first = node or names[0]
        if owner is not None:
            check_owner(text("owner", owner))
        self.owner: str = owner or self._where.credentials().owner or first
        self._reader = Reader(self._where, first, self.owner, timeout)
        self._roaming = RoamingClient(
            lambda: self._where.addresses(first), self._where.credentials, self.owner, timeout
        )
        self.instruments: dict[str, Instrument] = self._reader.ask(lambda client: client.instruments)

    def __enter__(self) -> "ExchangeClient":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up. Repeating it is fine, and so is a later call: it dials again."""
        self._roaming.close()
        self._reader.close()

    # -- orders -----------------------------------------------------------------------------------

    def buy(
        self,
        quantity: Number,
        price: Number | None = None,
        market: str | None = None,
        *,
        tif: str | None = None,
        post_only: bool = False,
        stp: str | None = None,
        client_order_id: str | None = None,
    ) -> Order:
        """Place a bid and return it with its fills, durable and applied.

        ``quantity`` in the base currency and ``price`` in the quote currency are whole multiples of the
        market's lot and tick; no price is a market order. ``tif`` is gtc (default), ioc (default of market
        orders) or fok; ``stp`` is allow, cancel-newest, cancel-oldest or cancel-both. Repeating an order with
        its ``client_order_id`` returns the first answer. Raises ``BadNumber`` and ``BadArgument`` before
        anything is sent, ``CommandRefused`` when the market says no, ``Busy`` or ``NotRunning`` when nothing
        happened, and ``Unknown`` when it may have: repeat it with the same client order id.
        """
        return self._place(Side.BUY, quantity, price, market, tif, post_only, stp, client_order_id)

    def sell(
        self,
        quantity: Number,
        price: Number | None = None,
        market: str | None = None,
        *,
        tif: str | None = None,
        post_only: bool = False,
        stp: str | None = None,
        client_order_id: str | None = None,
    ) -> Order:
        """Place an ask; everything else as ``buy``."""
        return self._place(Side.SELL, quantity, price, market, tif, post_only, stp, client_order_id)

    def cancel(self, order_id: str | int) -> Order:
        """Cancel an open order of this owner and return it.

        Raises ``OrderClosed``, ``ForeignOrder`` or another ``CommandRefused`` when it is none.
        """
        instrument, number = self._order_named(order_id)
        return self._change(instrument, Cancel(order=number))

    def cancel_all(self, market: str | None = None, *, side: str | None = None) -> list[str]:
        """Cancel this owner's open orders in every market, or in one, and return their ids.

        ``side`` is buy or sell; None means both.
        """
        wanted = None if side is None else chosen("side", side, _SIDES)
        cancelled = []
        for instrument in self._markets(market):
            _, outcome = self._carry_out(instrument, CancelAll(side=wanted))
            assert isinstance(outcome, CancelledAll), f"a cancel-all was answered with {outcome}"
            cancelled += [instrument.order_name(gone.order) for gone in outcome.removed]
        return cancelled

    def amend(self, order_id: str | int, quantity: Number, price: Number | None = None) -> Order:
        """Give an open order a new total quantity, filled part included (M9), and perhaps a new price.

        Less at the same price keeps its place in the queue; anything else sends it to the back (M10).
        Raises as ``buy`` and ``cancel``.
        """
        instrument, number = self._order_named(order_id)
        lots = instrument.quantity(number_text("quantity", quantity))
        ticks = 0 if price is None else instrument.price(number_text("price", price))
        return self._change(instrument, Amend(order=number, quantity=lots, price=ticks))

    def halt(self, market: str) -> Market:
        """Stop a market: it takes cancels and nothing else. Return it. Raises ``Forbidden`` with a key."""
        return self._set(self._market(market), Halt())

    def resume(self, market: str) -> Market:
        """Let a halted market trade again and return it. Raises ``Forbidden`` with a key."""
        return self._set(self._market(market), Resume())

    # -- reads ------------------------------------------------------------------------------------

    def book(self, depth: int = 10, market: str | None = None) -> Book:
        """Return the best ``depth`` prices of both sides. It shows everything this client was answered."""
        instrument, levels = self._market(market), count("depth", depth, MAX_ROWS)
        return book_of(instrument, self._reader.ask(lambda client: client.book(instrument.symbol, levels)))

    def full_book(self, market: str | None = None) -> FullBook:
        """Return every resting order in the order it will fill. Raises ``Forbidden`` with a key."""
        instrument = self._market(market)
        return full_book_of(instrument, *self._reader.ask(lambda client: client.full_book(instrument.symbol)))

    def orders(
        self, market: str | None = None, *, owner: str | None = None, limit: int = MAX_LISTED
    ) -> list[Order]:
        """Return open orders of this owner, or of another, in every market or in one, oldest first.

        They come without their fills, which ``order`` tells.
        """
        return self._orders(market, owner, False, limit)[:limit]

    def history(self, limit: int = 1000, market: str | None = None) -> list[Order]:
        """Return this owner's newest ``limit`` orders, open and closed, in every market or in one.

        The oldest comes first. Of those that are open only ``order`` tells the fills.
        """
        return self._orders(market, None, True, limit)[-limit:]

    def order(self, order_id: str | int) -> Order:
        """Return anybody's order with its fills, also long after it closed. Raises ``NoSuchOrder``."""
        instrument, number = self._order_named(order_id)
        return self._order(instrument, number)

    def trades(self, n: int = 20, market: str | None = None) -> list[Trade]:
        """Return the last ``n`` trades of a market, oldest first."""
        instrument, last = self._market(market), count("n", n, MAX_LISTED)
        views = self._reader.ask(lambda client: client.trades(instrument.symbol, last))
        return [trade_of(instrument, view) for view in views]

    def follow_trades(self, market: str | None = None, *, after: str | int | None = None) -> Iterator[Trade]:
        """Yield each trade as it happens, for ever, none twice and none left out, whichever node dies.

        It begins with the first trade after this call, or with the one behind the trade ``after`` (an id;
        0: with the first ever). Raises ``NotRunning`` when no node answers: call it again with the last id to
        go on. The client waits for trades all the time, so orders want another one.
        """
        instrument = self._market(market)
        if after is None:
            newest = self._reader.ask(lambda client: client.trades(instrument.symbol, 1))
            return self._followed(instrument, newest[-1].trade if newest else 0)
        if str(after) == "0":
            return self._followed(instrument, 0)
        number, trade = parse_order_name(str(after))
        if number != instrument.number:
            raise BadArgument(f"after={after} is no trade of {instrument.symbol}", hint="say its market= too")
        return self._followed(instrument, trade)

    def markets(self) -> list[Market]:
        """Return every market with its rules, how it stands, and its last 24 hours."""
        return [self._reader.ask(partial(_market_now, each)) for each in self.instruments.values()]

    # -- how --------------------------------------------------------------------------------------

    def _place(
        self,
        side: Side,
        quantity: Number,
        price: Number | None,
        market: str | None,
        tif: str | None,
        post_only: bool,
        stp: str | None,
        client_order_id: str | None,
    ) -> Order:
        instrument = self._market(market)
        is_market = price is None or price == MARKET_PRICE
        place = Place(
            side,
            instrument.quantity(number_text("quantity", quantity)),
            0 if is_market else instrument.price(number_text("price", price)),
            chosen("tif", tif or ("ioc" if is_market else "gtc"), _TIFS),
            flag("post_only", post_only),
            chosen("stp", stp or "default", _SELF_TRADES),
            "" if client_order_id is None else check_client_id(text("client_order_id", client_order_id)),
        )
        _, outcome = self._carry_out(instrument, place)
        assert isinstance(outcome, Placed), f"a place was answered with {outcome}"
        return self._order(instrument, outcome.order)

    def _change(self, instrument: Instrument, command: Cancel | Amend) -> Order:
        try:
            self._carry_out(instrument, command)
        except CommandRefused as error:
            raise self._why_not(instrument, command.order, error) from None
        return self._order(instrument, command.order)

    def _why_not(self, instrument: Instrument, order: int, refused: CommandRefused) -> CommandRefused:
        """Return a refusal that says what is wrong with the order, where it is that and can be seen."""
        if refused.reason != "unknown_order":
            return refused
        try:
            view = self._reader.ask(lambda client: client.order(instrument.symbol, order))
        except P2pxError:  # there is none, or it is not for us to see
            return refused
        return not_open(instrument, view, self.owner) or refused

    def _set(self, instrument: Instrument, command: Halt | Resume) -> Market:
        self._carry_out(instrument, command)
        return self._reader.ask(partial(_market_now, instrument))

    def _carry_out(
        self, instrument: Instrument, command: Command
    ) -> tuple[int, Placed | Amended | Cancelled | CancelledAll | Done]:
        command = with_id(command)
        answer = self._roaming.submit(instrument.symbol, [command])
        sequence, outcome = answer.sequence, answer.outcomes[0]
        self._reader.saw(instrument.symbol, sequence)
        if isinstance(outcome, Repeated):
            sequence, outcome = outcome.sequence, outcome.outcome
        if isinstance(outcome, Refused):
            raise refusal(instrument, command, outcome, self.owner)
        return sequence, outcome

    def _order(self, instrument: Instrument, order: int) -> Order:
        return order_of(instrument, self._reader.ask(lambda client: client.order(instrument.symbol, order)))

    def _orders(self, market: str | None, owner: str | None, closed: bool, limit: int) -> list[Order]:
        """Return the orders of every market that is meant, at most ``limit`` of each, oldest first."""
        whose = self.owner if owner is None else check_owner(text("owner", owner))
        count("limit", limit, MAX_LISTED)
        found = []
        for instrument in self._markets(market):
            ask = partial(_orders_now, instrument.symbol, whose, closed, limit)
            found += [order_of(instrument, view) for view in self._reader.ask(ask)]
        return sorted(found, key=lambda order: order.time_ns)

    def _followed(self, instrument: Instrument, last: int) -> Iterator[Trade]:
        while True:
            for view in self._reader.ask(partial(_next_trades, instrument.symbol, last)):
                last = view.trade
                yield trade_of(instrument, view)

    def _market(self, market: str | None) -> Instrument:
        return market_of_symbol(self.instruments, self._where.cluster, market)

    def _markets(self, market: str | None) -> list[Instrument]:
        return list(self.instruments.values()) if market is None else [self._market(market)]

    def _order_named(self, order_id: str | int) -> tuple[Instrument, int]:
        number, order = parse_order_name(str(order_id))
        for instrument in self.instruments.values():
            if instrument.number == number:
                return instrument, order
        raise NoSuchMarket(f"order {order_id} belongs to market number {number}, which is not here")


def _next_trades(symbol: str, after: int, client: NodeClient) -> list[TradeView]:
    return client.trades(symbol, FOLLOWED, after, FOLLOW_S)


def _orders_now(symbol: str, owner: str, closed: bool, limit: int, client: NodeClient) -> list[OrderView]:
    return client.orders(symbol, owner, closed, limit)


def _market_now(instrument: Instrument, client: NodeClient) -> Market:
    return market_of(instrument, client.market_status(instrument.symbol), client.day(instrument.symbol))
