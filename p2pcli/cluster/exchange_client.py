"""The exchange for Python programs: the command line's words as methods, exact decimals in and out.

    from p2pcli import ExchangeClient

    with ExchangeClient(node="client1") as client:
        order = client.buy("0.5", "30000")
        print(order.status, client.book().spread)

It finds the nodes of a running cluster by itself and goes on through another one when its own dies. Every
command is sent under an id, so one that had to be repeated takes effect once (S9).
"""

import os
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TypeVar

from p2pcli.clock import monotonic
from p2pcli.cluster.folder import ClusterFolder
from p2pcli.cluster.results import Book, Market, Order, Trade, book_of, market_of, order_of, trade_of
from p2pcli.cluster.whereabouts import Address, Here, Listed, Whereabouts
from p2pcli.config import load
from p2pcli.errors import BadInput, NotFound, NotRunning, TimedOut
from p2pcli.market.commands import Amend, Cancel, CancelAll, Command, Place, Side, TimeInForce
from p2pcli.market.documents import SELF_TRADE_NAMES
from p2pcli.market.events import Amended, Cancelled, CancelledAll, Done, Placed, Refused, Repeated
from p2pcli.market.instrument import MARKET_PRICE, Instrument, parse_order_name
from p2pcli.market.refusals import refusal
from p2pcli.market.views import TradeView
from p2pcli.node.client import ExchangeClient as NodeClient
from p2pcli.node.key_file import read_key
from p2pcli.node.requests import NoSuchMarket
from p2pcli.node.roaming import ATTEMPT_S, RoamingClient, with_id

FOLLOWED = 1000  # trades in one answer
FOLLOW_S = 5.0  # one long question; the node answers sooner when there is a trade

Number = str | int | Decimal  # never float: 0.1 + 0.2 is not 0.3

_Shape = TypeVar("_Shape")
_TIFS = {tif.name.lower(): tif for tif in TimeInForce}
_SELF_TRADES = {name: mode for mode, name in SELF_TRADE_NAMES.items()}


class BadArgument(BadInput):
    """An argument that the method does not take."""

    code = "bad_argument"


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
        self._where = _listed(cluster, home, key, addresses, ca) if addresses else _here(cluster, home, key)
        names = self._where.node_names(node or "")
        if node is not None and node not in names and not self._where.knows(node):
            raise NoSuchNode(
                f"cluster {self._where.cluster} has no node {node[:60]!a}; its nodes are {', '.join(names)}"
            )
        self._first = node or names[0]
        self.owner: str = owner or self._where.credentials().owner or self._first
        self._timeout = timeout
        self._reader: NodeClient | None = None
        self._seen: dict[str, int] = {}
        self._roaming = RoamingClient(self._addresses, self._where.credentials, self.owner, timeout)
        self.instruments: dict[str, Instrument] = self._read(lambda client: client.instruments)

    def __enter__(self) -> "ExchangeClient":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up. Repeating it is fine."""
        self._roaming.close()
        self._leave()

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
        """Cancel an open order of this owner and return it. Raises ``CommandRefused`` when it is none."""
        instrument, number = self._order_named(order_id)
        self._carry_out(instrument, Cancel(order=number))
        return self.order(order_id)

    def cancel_all(self, market: str | None = None) -> list[str]:
        """Cancel every open order of this owner in a market and return their ids, oldest first."""
        instrument = self._market(market)
        _, outcome = self._carry_out(instrument, CancelAll())
        assert isinstance(outcome, CancelledAll), f"a cancel-all was answered with {outcome}"
        return [instrument.order_name(gone.order) for gone in outcome.removed]

    def amend(self, order_id: str | int, quantity: Number, price: Number | None = None) -> Order:
        """Give an open order a new total quantity, filled part included (M9), and perhaps a new price.

        Less at the same price keeps its place in the queue; anything else sends it to the back (M10).
        Raises as ``buy``.
        """
        instrument, number = self._order_named(order_id)
        lots = instrument.quantity(_text("quantity", quantity))
        ticks = 0 if price is None else instrument.price(_text("price", price))
        self._carry_out(instrument, Amend(order=number, quantity=lots, price=ticks))
        return self.order(order_id)

    # -- reads ------------------------------------------------------------------------------------

    def book(self, depth: int = 10, market: str | None = None) -> Book:
        """Return the best ``depth`` prices of both sides. It shows everything this client was answered."""
        instrument = self._market(market)
        return book_of(instrument, self._read(lambda client: client.book(instrument.symbol, depth)))

    def orders(self, market: str | None = None, *, owner: str | None = None) -> list[Order]:
        """Return the open orders of this owner, or of another, oldest first; at most 1,000."""
        return self._orders(market, owner, False, 1000)

    def history(self, limit: int = 1000, market: str | None = None) -> list[Order]:
        """Return the newest ``limit`` orders of this owner, open and closed, oldest first; at most 10,000."""
        return self._orders(market, None, True, limit)

    def order(self, order_id: str | int) -> Order:
        """Return anybody's order with its fills, also long after it closed. Raises ``NoSuchOrder``."""
        instrument, number = self._order_named(order_id)
        return order_of(instrument, self._read(lambda client: client.order(instrument.symbol, number)))

    def trades(self, n: int = 20, market: str | None = None) -> list[Trade]:
        """Return the last ``n`` trades of a market, oldest first; at most 10,000."""
        instrument = self._market(market)
        views = self._read(lambda client: client.trades(instrument.symbol, n))
        return [trade_of(instrument, view) for view in views]

    def follow_trades(self, market: str | None = None, *, after: str | int | None = None) -> Iterator[Trade]:
        """Yield each trade as it happens, for ever, none twice and none left out, whichever node dies.

        It begins with the next trade, or with the one behind the trade ``after`` (an id; 0: with the first
        ever). Raises ``NotRunning`` when no node answers: call it again with the last id to go on. The client
        waits for trades all the time, so orders want another one.
        """
        instrument = self._market(market)
        symbol = instrument.symbol
        if after is None:
            newest = self._read(lambda client: client.trades(symbol, 1))
            last = newest[-1].trade if newest else 0
        else:
            last = 0 if str(after) == "0" else parse_order_name(str(after))[1]
        while True:
            for view in self._read(partial(_next_trades, symbol, last)):
                last = view.trade
                yield trade_of(instrument, view)

    def markets(self) -> list[Market]:
        """Return every market with its rules, how it stands, and its last 24 hours."""
        return [self._read(partial(_market_now, instrument)) for instrument in self.instruments.values()]

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
            instrument.quantity(_text("quantity", quantity)),
            0 if is_market else instrument.price(_text("price", price)),
            _choice("tif", tif or ("ioc" if is_market else "gtc"), _TIFS),
            post_only,
            _choice("stp", stp or "default", _SELF_TRADES),
            client_order_id or "",
        )
        _, outcome = self._carry_out(instrument, place)
        assert isinstance(outcome, Placed), f"a place was answered with {outcome}"
        return self.order(instrument.order_name(outcome.order))

    def _carry_out(
        self, instrument: Instrument, command: Command
    ) -> tuple[int, Placed | Amended | Cancelled | CancelledAll | Done]:
        command = with_id(command)
        answer = self._roaming.submit(instrument.symbol, [command])
        sequence, outcome = answer.sequence, answer.outcomes[0]
        self._seen[instrument.symbol] = max(sequence, self._seen.get(instrument.symbol, 0))
        if isinstance(outcome, Repeated):
            sequence, outcome = outcome.sequence, outcome.outcome
        if isinstance(outcome, Refused):
            raise refusal(instrument, command, outcome, self.owner)
        return sequence, outcome

    def _orders(self, market: str | None, owner: str | None, closed: bool, limit: int) -> list[Order]:
        instrument = self._market(market)
        whose = owner or self.owner
        views = self._read(lambda client: client.orders(instrument.symbol, whose, closed, limit))
        return [order_of(instrument, view) for view in views]

    def _read(self, question: Callable[[NodeClient], _Shape]) -> _Shape:
        """Ask the node that answered last, then each of the others; silent ones again with more patience.

        So a machine that is off costs ``ATTEMPT_S`` and not the whole timeout.
        """
        deadline, patience = monotonic() + self._timeout, ATTEMPT_S
        why = "none runs now"
        while True:
            is_silent = False
            for address in (None, *self._addresses()):
                if address is not None:
                    self._leave()
                left = deadline - monotonic()
                if left <= 0:
                    break
                try:
                    client = self._reader = self._reader or self._connect(address, min(patience, left))
                    if client is None:
                        continue
                    client.timeout = min(patience, left)
                    for market, sequence in self._seen.items():
                        client.saw(market, sequence)
                    return question(client)
                except (NotRunning, TimedOut) as error:
                    is_silent = is_silent or isinstance(error, TimedOut)
                    why = error.message
            if not is_silent or monotonic() >= deadline:
                break
            patience *= 2
        raise NotRunning(
            f"no node of cluster {self._where.cluster} answers: {why}", hint="p2px cluster status"
        )

    def _connect(self, address: Address | None, patience: float) -> NodeClient | None:
        if address is None:
            return None
        return NodeClient(*address, self._where.credentials(), self.owner, patience)

    def _leave(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _addresses(self) -> list[Address]:
        """Return where the nodes are now, the preferred one first."""
        return self._where.addresses(self._first)

    def _market(self, market: str | None) -> Instrument:
        if market is None:
            return min(self.instruments.values(), key=lambda instrument: instrument.number)
        if market not in self.instruments:
            raise NoSuchMarket(
                f"cluster {self._where.cluster} has no market {market[:60]!a}",
                hint=f"its markets are {', '.join(self.instruments)}",
            )
        return self.instruments[market]

    def _order_named(self, order_id: str | int) -> tuple[Instrument, int]:
        number, order = parse_order_name(str(order_id))
        for instrument in self.instruments.values():
            if instrument.number == number:
                return instrument, order
        raise NoSuchMarket(f"order {order_id} belongs to market number {number}, which is not here")


def _next_trades(symbol: str, after: int, client: NodeClient) -> list[TradeView]:
    return client.trades(symbol, FOLLOWED, after, FOLLOW_S)


def _market_now(instrument: Instrument, client: NodeClient) -> Market:
    return market_of(instrument, client.market_status(instrument.symbol), client.day(instrument.symbol))


def _here(cluster: str | None, home: Path | str | None, key: Path | str | None) -> Whereabouts:
    """Return the cluster that is meant and what proves us. Settings are read only for what is not said."""
    authority = ""
    if cluster is not None and home is not None:
        folder = ClusterFolder(Path(home), cluster)
    else:
        config = load(Path.cwd(), os.environ)
        folder = ClusterFolder(Path(home) if home else config.home, cluster or config.cluster.name)
        key, authority = key or config.key, config.cluster.ca
    if key is None:
        return Here(folder, folder.credentials)
    path = Path(key)
    return Here(folder, lambda: read_key(path, folder.name).credentials(folder.authority() or authority))


def _listed(
    cluster: str | None,
    home: Path | str | None,
    key: Path | str | None,
    addresses: Sequence[str],
    ca: Path | str,
) -> Whereabouts:
    if key is None or home is not None:
        raise BadArgument(
            "addresses= takes an owner's key and no home=: it is for machines that are none of the cluster's",
            hint='ExchangeClient(addresses=["10.0.0.1:4001"], key="ann.key", ca="ca.pem")',
        )
    where = Listed([addresses] if isinstance(addresses, str) else addresses, Path(key), str(ca))
    if cluster not in (None, where.cluster):
        raise BadArgument(f"{key} is a key of cluster {where.cluster}, not of {cluster}")
    return where


def _text(what: str, number: Number | None) -> str:
    """Return an exact number as decimal text. Raises ``BadArgument`` for a float."""
    match number:
        case str():
            return number
        case bool() | float() | None:
            raise BadArgument(
                f"{what} {number!r} is not exact", hint=f'write it as text or Decimal: "{number}"'
            )
        case int():
            return str(number)
        case Decimal():
            text = f"{number:f}"
            return text.rstrip("0").rstrip(".") if "." in text else text
    raise BadArgument(f"{what} must be text, int or Decimal, not {type(number).__name__}")


def _choice(what: str, word: str, known: "dict[str, _Shape]") -> _Shape:
    if word not in known:
        raise BadArgument(f"{what} {word[:60]!a} is none of {', '.join(known)}")
    return known[word]
