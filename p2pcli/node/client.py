"""A synchronous client of one node: what the command line, tests and bots talk through.

One connection, any number of threads. A call waits for its own answer; ``send`` and ``next_reply``
keep many requests in flight instead. Reads never go back: each asks for at least the highest
sequence that this client has seen of the market (S11).
"""

import threading
from collections import deque
from collections.abc import Sequence
from itertools import count
from typing import Any, TypeVar, cast

import msgspec

from p2pcli.clock import monotonic
from p2pcli.errors import P2pxError
from p2pcli.market.commands import ClientCommand, Command
from p2pcli.market.instrument import Instrument
from p2pcli.market.views import (
    BookView,
    BreakerView,
    DayView,
    FillView,
    KeyView,
    MarketStatus,
    NodeStatus,
    OrderView,
    TradeView,
)
from p2pcli.node.answers import Answer, answers_apart
from p2pcli.node.asked import request_name
from p2pcli.node.requests import (
    FILLS_PAGE,
    ORDERS_PAGE,
    TRADES_PAGE,
    Answers,
    BookPage,
    Enrol,
    Enrolled,
    Fault,
    Leave,
    NoSuchMarket,
    ReadBook,
    ReadDay,
    ReadDigest,
    ReadFullBook,
    ReadKeys,
    ReadMarket,
    ReadOrder,
    ReadOrders,
    ReadSnapshot,
    ReadStatus,
    ReadTrades,
    ResetBreaker,
    Rotate,
    Submit,
    Unknown,
    View,
    as_error,
    decode_greeting,
    decode_reply,
    encode,
)
from p2pcli.node.rotation import RotationView
from p2pcli.rpc.auth import BadHandshake
from p2pcli.rpc.credentials import Credentials
from p2pcli.rpc.frame import framed
from p2pcli.rpc.handshake import dial
from p2pcli.rpc.tcp import ConnectionLost, NoAnswer

_Shape = TypeVar("_Shape")


class ExchangeClient:
    """One connection to one node, on behalf of one owner. A context manager.

    ``owner`` defaults to the node's name. ``timeout`` bounds the connection and each answer, in seconds.
    Raises ``PeerUnreachable``, ``WrongSecret``, ``TurnedAway`` or ``NoAnswer`` when it cannot connect.
    """

    def __init__(
        self, host: str, port: int, credentials: Credentials, owner: str = "", timeout: float = 5.0
    ) -> None:
        self.connection, introduction, raw = dial(host, port, credentials, owner=owner, timeout=timeout)
        try:
            greeting = decode_greeting(raw)
        except msgspec.MsgspecError as error:
            self.connection.release()
            raise BadHandshake(f"{host}:{port} greets in a way unknown here: {error}") from error
        self.address = f"{host}:{port}"
        self.node: str = introduction.node
        self.cluster: str = introduction.cluster
        self.owner: str = owner or credentials.owner or introduction.node
        self.instruments: dict[str, Instrument] = {item.symbol: item for item in greeting.instruments}
        self.hosts = {item.symbol for item in greeting.instruments if item.number in greeting.hosts}
        self.timeout = timeout
        self._lock = threading.Lock()
        self._sending = threading.Lock()  # apart, so that one thread may send while another waits
        self._ids = count(1)
        self._arrived: deque[Answer | View | Fault] = deque()
        self._asked: dict[int, Sequence[Command]] = {}  # by request, until it is answered
        self._seen: dict[str, int] = {}

    def __enter__(self) -> "ExchangeClient":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up. Repeating it is fine."""
        self.connection.release()

    # -- orders -----------------------------------------------------------------------------------

    def submit(self, market: str, commands: Sequence[Command]) -> Answer:
        """Carry out up to 1,000 commands in one entry of the log and return their outcomes in order.

        When this returns, they are durable and applied. Raises ``Busy`` and other refusals (nothing
        happened), or ``Unknown`` when no answer came: repeat with the same client order ids.
        """
        with self._lock:
            request = self._send(market, commands)
            try:
                reply = self._reply_to(request)
            except (ConnectionLost, NoAnswer) as error:
                raise Unknown(
                    f"{error.message}; the order may or may not have taken effect",
                    hint="repeat it with the same client order id to find out",
                ).on(self.request_name(request)) from error
        name = self.request_name(request)
        try:
            answer = _expect(reply, Answer)
        except P2pxError as error:
            raise error.on(name) from None
        self.saw(market, answer.sequence)
        return msgspec.structs.replace(answer, request=name)

    def send(self, market: str, commands: Sequence[Command]) -> int:
        """Send commands without waiting; returns the id that their reply will carry."""
        return self._send(market, commands)

    def request_name(self, request: int) -> str:
        """Return what the logs of all nodes call a request of this client."""
        return request_name(self.connection.session, request)

    def next_reply(self) -> Answer | Fault:
        """Return the next reply to something sent with ``send``, in the order the node answers."""
        with self._lock:
            deadline = monotonic() + self.timeout
            while not self._arrived:
                self._receive(deadline)
            reply = self._arrived.popleft()
        assert not isinstance(reply, View), "reads wait for their own reply"
        return reply

    # -- reads ------------------------------------------------------------------------------------

    def book(self, market: str, levels: int = 10, at_least: int = 0) -> BookView:
        """Return the top ``levels`` of both sides, summed by price, best first."""
        request = ReadBook(self._id(), self._number(market), levels, self._floor(market, at_least))
        return self._view(market, request, BookView)[1]

    def full_book(self, market: str, at_least: int = 0) -> tuple[int, list[OrderView]]:
        """Return the sequence and every resting order in priority order: bids, then asks."""
        orders: list[OrderView] = []
        begun = 0
        while True:
            floor = self._floor(market, at_least)
            request = ReadFullBook(self._id(), self._number(market), floor, len(orders))
            sequence, page = self._view(market, request, BookPage)
            if orders and sequence != begun:  # another thread of this client began one: begin again
                orders.clear()
                continue
            begun = sequence
            orders += page.orders
            if len(orders) >= page.total:
                return sequence, orders

    def orders(
        self, market: str, owner: str | None = None, closed: bool = False, limit: int = 1000
    ) -> list[OrderView]:
        """Return the oldest ``limit`` open orders; with ``closed`` the newest of all; both oldest first.

        ``owner`` None means everybody's. Only ``order`` lists the fills of an order that is still open, and
        all fills of one with more than ``ORDERS_PAGE``. Orders come in pages, each as of its own sequence.
        """
        found: list[OrderView] = []
        while True:
            beyond = 0 if not found else found[0 if closed else -1].order
            left = limit - len(found)
            request = ReadOrders(
                self._id(), self._number(market), owner, closed, left, self._floor(market, 0), beyond
            )
            page = self._view(market, request, list[OrderView])[1]
            found = page + found if closed else found + page
            if sum(view.rows for view in page) < ORDERS_PAGE or len(found) >= limit:
                return found

    def order(self, market: str, order: int) -> OrderView:
        """Return one order with its fills, open or closed. Raises ``NoSuchOrder``."""
        fills: list[FillView] = []
        while True:
            floor = self._floor(market, 0)
            request = ReadOrder(self._id(), self._number(market), order, floor, len(fills))
            view = self._view(market, request, OrderView)[1]
            fills += view.fills
            if len(view.fills) < FILLS_PAGE:
                return msgspec.structs.replace(view, fills=fills)

    def trades(
        self, market: str, last: int = 20, after: int | None = None, wait: float = 0.0
    ) -> list[TradeView]:
        """Return up to ``last`` trades, oldest first: the newest, or the first with numbers above ``after``.

        With ``wait`` it returns as soon as there is one, or empty after that many seconds (at most 30). They
        come in pages, each as of its own sequence.
        """
        size = min(last, TRADES_PAGE)
        found = page = self._trades(market, size, after, wait)
        while len(page) == size and len(found) < last:
            size = min(last - len(found), TRADES_PAGE)
            if after is not None:
                page = self._trades(market, size, found[-1].trade)
                found = found + page
            elif older := found[0].trade - 1:
                size = min(size, older)
                page = self._trades(market, size, older - size)
                found = page + found
            else:
                break
        return found

    def _trades(self, market: str, last: int, after: int | None, wait: float = 0.0) -> list[TradeView]:
        request = ReadTrades(self._id(), self._number(market), last, after, wait, self._floor(market, 0))
        return self._view(market, request, list[TradeView], wait)[1]

    def day(self, market: str) -> DayView:
        """Return open, high, low, last and volume of the last 24 hours."""
        request = ReadDay(self._id(), self._number(market), self._floor(market, 0))
        return self._view(market, request, DayView)[1]

    def market_status(self, market: str) -> MarketStatus:
        """Return a market as the node has it that answers, whether asked or forwarded to."""
        request = ReadMarket(self._id(), self._number(market), self._floor(market, 0))
        return self._view(market, request, MarketStatus)[1]

    def leave(self) -> NodeStatus:
        """Have the node answer what it took, take no more, and end; return its last status."""
        return self._view("", Leave(self._id()), NodeStatus)[1]

    def status(self) -> NodeStatus:
        """Return the node's description of itself."""
        return self._view("", ReadStatus(self._id()), NodeStatus)[1]

    def reset_breaker(self, peer: str) -> BreakerView:
        """Have the node try a peer again at once. Raises ``NoSuchPeer``."""
        return self._view("", ResetBreaker(self._id(), peer), BreakerView)[1]

    def keys(self, market: str) -> list[KeyView]:
        """Return the owners' keys that a market knows, good and revoked."""
        request = ReadKeys(self._id(), self._number(market), self._floor(market, 0))
        return self._view(market, request, list[KeyView])[1]

    def rotate(self, phase: str = "") -> RotationView:
        """Have the node go on to a phase of a rotation, or look at its disk; return where it is then."""
        return self._view("", Rotate(self._id(), phase), RotationView)[1]

    def enrol(self, name: str, hosts: list[str], request: str) -> Enrolled:
        """Have a join token turned into what a machine of the cluster has. Raises ``TokenRefused`` kinds."""
        return self._view("", Enrol(self._id(), name, hosts, request), Enrolled)[1]

    def state_digest(self, market: str, at_least: int = 0) -> tuple[int, bytes]:
        """Return the sequence and the digest of the whole state of a market."""
        request = ReadDigest(self._id(), self._number(market), self._floor(market, at_least))
        return self._view(market, request, bytes)

    def snapshot(self, market: str) -> bytes:
        """Return the node's newest snapshot of a market. Raises ``NoSnapshot`` as a ``P2pxError``."""
        # Not above: it brings the machine and the book, 9 ms at every start of the command line.
        from p2pcli.node.snapshots import MAX_SNAPSHOT, SnapshotPiece

        data = bytearray()
        sequence = 0
        while True:
            request = ReadSnapshot(self._id(), self._number(market), sequence, len(data))
            piece = self._view(market, request, SnapshotPiece)[1]
            sequence = piece.sequence
            data += piece.data
            if not piece.data or len(data) >= min(piece.total, MAX_SNAPSHOT):
                return bytes(data)

    # -- the conversation -------------------------------------------------------------------------

    def _number(self, market: str) -> int:
        instrument = self.instruments.get(market)
        if instrument is None:
            raise NoSuchMarket(
                f"node {self.node} has no market {market}",
                hint="its markets are " + ", ".join(self.instruments),
            )
        return instrument.number

    def _id(self) -> int:
        return next(self._ids)

    def _floor(self, market: str, at_least: int) -> int:
        return max(at_least, self._seen.get(market, 0))

    def saw(self, market: str, sequence: int) -> None:
        """Have every later read of a market show at least this sequence: another client has seen it."""
        if sequence > self._seen.get(market, 0):
            self._seen[market] = sequence

    def _send(self, market: str, commands: Sequence[Command]) -> int:
        asked = cast(list[ClientCommand], list(commands))  # the node refuses what no client may ask
        request = Submit(self._id(), self._number(market), asked)
        frame = framed(encode(request))
        self._asked[request.id] = asked
        with self._sending:
            self.connection.send_blocking(frame)
        return request.id

    def _view(self, market: str, request: Any, shape: type[_Shape], wait: float = 0.0) -> tuple[int, _Shape]:
        with self._lock:
            with self._sending:
                self.connection.send_blocking(framed(encode(request)))
            view = _expect(self._reply_to(request.id, wait), View)
        self.saw(market, view.sequence)
        return view.sequence, msgspec.msgpack.decode(view.body, type=shape)

    def _reply_to(self, request: int, wait: float = 0.0) -> Answer | View | Fault:
        deadline = monotonic() + self.timeout + wait
        while True:
            for reply in self._arrived:
                if reply.id == request:
                    self._arrived.remove(reply)
                    return reply
            self._receive(deadline)

    def _receive(self, deadline: float) -> None:
        for payload in self.connection.receive_some(deadline):
            try:
                reply = decode_reply(payload)
                if isinstance(reply, Answers):
                    self._arrived.extend(answers_apart(reply, self._asked.pop))
                    continue
            except (msgspec.MsgspecError, ValueError, KeyError) as error:
                raise BadHandshake(f"node {self.node} answers in a way unknown here: {error}") from error
            if isinstance(reply, Fault) and reply.id == 0:  # about the stream as a whole, not one request
                raise as_error(reply)
            self._asked.pop(reply.id, None)
            self._arrived.append(reply)


_Kind = TypeVar("_Kind", Answer, View)


def _expect(reply: Answer | View | Fault, kind: type[_Kind]) -> _Kind:
    if isinstance(reply, Fault):
        raise as_error(reply)
    if not isinstance(reply, kind):
        raise P2pxError(f"the node answered request {reply.id} with another kind of reply")
    return reply
