"""The node's RPC server: an acceptor thread and one reader thread per connection."""

import logging
import resource
import threading
from collections.abc import Callable
from typing import Any

from p2pcli.clock import monotonic
from p2pcli.errors import P2pxError, harmless
from p2pcli.market.views import BreakerView, NodeStatus, OrderView
from p2pcli.node.allowance import Allowances
from p2pcli.node.asked import request_name
from p2pcli.node.hosted import HostedMarket
from p2pcli.node.parcels import parcels
from p2pcli.node.permissions import check_asked, check_seen, is_guest
from p2pcli.node.porter import Porter
from p2pcli.node.reads import carry_out
from p2pcli.node.requests import (
    BOOK_PAGE,
    BadCommands,
    BadRequest,
    BookPage,
    Busy,
    Enrol,
    Forbidden,
    Greeting,
    NoSuchMarket,
    NotServing,
    Push,
    Read,
    ReadFullBook,
    ReadStatus,
    ReadTrades,
    Reply,
    Request,
    ResetBreaker,
    Submit,
    decode_request,
    encode,
    fault,
    view,
)
from p2pcli.rpc.auth import BUSY, ROLE_PEER, Away, Hello
from p2pcli.rpc.frame import framed
from p2pcli.rpc.tcp import Connection, Listener

AT_LEAST_S = 5.0  # longest wait for a sequence that a read asks for
OUT_OF_DESCRIPTORS_S = 0.1  # pause before accepting again; without it the acceptor would spin
STACK_BYTES = 512 << 10  # per reader thread
OWN_DESCRIPTORS = 40  # files, peers and registry of one market's node, and a few to turn callers away with

NO_PICTURE: tuple[int, int, list[OrderView]] = (0, 0, [])

logger = logging.getLogger(__name__)


class Server:
    """Answers clients and takes pushes from peers, for all markets of one node."""

    def __init__(
        self,
        listener: Listener,
        name: str,
        cluster: str,
        porter: Porter,
        markets: list[HostedMarket],
        status: Callable[[], NodeStatus],
        found_peer: Callable[[str, int], None],
        reset_breaker: Callable[[str], BreakerView],
        connections: int,
        requests_per_minute: int = 0,
        slow_s: float = 0.0,
    ) -> None:
        self._listener = listener
        self._name = name
        self._cluster = cluster
        self.porter = porter
        self._markets = {market.instrument.number: market for market in markets}
        self._status = status
        self._found_peer = found_peer
        self.reset_breaker = reset_breaker
        self.slow_s = slow_s
        self._allowances = Allowances(requests_per_minute)
        self._limit = min(connections, callers_that_fit())
        self._greeting = encode(Greeting(name, cluster, [market.instrument for market in markets]))
        self._open: set[Connection] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    def run(self) -> None:
        """Accept until stopped."""
        threading.stack_size(STACK_BYTES)
        while not self._stopping.is_set():
            try:
                sock = self._listener.accept()
            except OSError as error:
                logger.warning("cannot accept: %s", error.strerror)
                self._stopping.wait(OUT_OF_DESCRIPTORS_S)
                continue
            if sock is None:
                return
            try:
                connection = Connection(sock)
            except OSError:  # the caller was gone before it was greeted
                sock.close()
                continue
            with self._lock:
                full = len(self._open) >= self._limit
                if not full:
                    self._open.add(connection)
            if full:
                self._turn_away(connection)
            else:
                threading.Thread(target=self._serve, args=(connection,), name="reader", daemon=True).start()

    def stop(self) -> None:
        """Accept nobody and hang up on everybody."""
        self._stopping.set()
        self._listener.close()
        with self._lock:
            for connection in self._open:
                connection.close()

    def _turn_away(self, connection: Connection) -> None:
        away = Away(BUSY, f"node {self._name} has {self._limit} connections, its limit")
        try:
            connection.send(framed(encode(away)))
        except P2pxError:
            pass
        connection.release()

    def _serve(self, connection: Connection) -> None:
        try:
            hello = self.porter.greet(connection, self._greeting)
            if hello is None:
                return
            if hello.role == ROLE_PEER and hello.caller_port:
                self._found_peer(connection.address.rpartition(":")[0], hello.caller_port)
            session = Session(self, connection, hello)
            for payloads in connection.receive():
                session.take(payloads)
        except P2pxError as error:
            logger.info("connection from %s ended: %s", connection.address, error.message)
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.release()

    # -- what sessions need -----------------------------------------------------------------------

    def market(self, number: int) -> HostedMarket:
        market = self._markets.get(number)
        if market is None:
            raise NoSuchMarket(f"node {self._name} has no market number {number}")
        return market

    def describe(self) -> NodeStatus:
        return self._status()

    @property
    def name(self) -> str:
        return self._name

    @property
    def connections(self) -> int:
        return len(self._open)

    @property
    def limited(self) -> int:
        """Return how many requests were refused because their owner had sent too many."""
        return self._allowances.refused

    def allow(self, owner: str) -> None:
        """Count one request of this owner. Raises ``Busy`` when it has sent too many in the last minute."""
        limit = self._allowances.per_minute
        if not limit:
            return
        with self._lock:
            wait = self._allowances.take(owner, monotonic())
        if wait:
            raise Busy(
                f"{harmless(owner)} has sent more than {limit} requests a minute to node {self._name}",
                hint=f"send again in {wait:.1f} s; the setting is node.requests_per_minute",
            )


def callers_that_fit() -> int:
    """Return how many connections the limit of open files leaves room for, at least one.

    Without descriptors nobody could be turned away, and a health check that is not answered kills the node.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, soft - OWN_DESCRIPTORS)


class Session:
    """One authenticated connection: requests in, answers out."""

    def __init__(self, server: Server, connection: Connection, hello: Hello) -> None:
        self._server = server
        self._connection = connection
        self._hello = hello
        self._owner = hello.owner or server.name
        self._is_guest = is_guest(hello)
        self._is_peer = hello.role == ROLE_PEER
        self._picture = NO_PICTURE  # market, sequence and orders of a full book that is being read

    def take(self, payloads: list[bytes]) -> None:
        """Carry out the requests of one piece of the stream, in order; submits go in together.

        Raises ``BadRequest`` for bytes that are no request: the stream cannot be trusted after them.
        """
        gathered: dict[int, list[Submit]] = {}
        for payload in payloads:
            try:
                request = decode_request(payload)
            except BadCommands as error:
                self._answer(fault(error.request, error))
                continue
            except BadRequest as error:
                self._answer(fault(0, error))
                raise
            if self._is_guest and not self._is_permitted(request):
                continue
            if type(request) is Submit:
                if self._is_allowed(request):
                    gathered.setdefault(request.market, []).append(request)
                continue
            if gathered:
                self._submit(gathered)
                gathered = {}
            self._carry_out(request)
        if gathered:
            self._submit(gathered)

    def _carry_out(self, request: Request) -> None:
        if isinstance(request, Push):
            self._push(request)
        elif isinstance(request, ReadStatus):
            self._answer(view(request.id, 0, self._server.describe()))
        elif isinstance(request, ResetBreaker):
            self._do(request.id, lambda: self._server.reset_breaker(request.peer))
        elif isinstance(request, Enrol):
            self._do(request.id, lambda: self._server.porter.enrol(self._hello, request))
        else:
            assert not isinstance(request, Submit)
            self._read(request)

    def _do(self, request: int, act: Callable[[], Any]) -> None:
        try:
            self._answer(view(request, 0, act()))
        except P2pxError as error:
            self._answer(fault(request, error))

    def _is_permitted(self, request: Request) -> bool:
        try:
            check_asked(self._hello, request)
        except Forbidden as error:
            self._answer(fault(getattr(request, "id", 0), error))
            return False
        return True

    def _is_allowed(self, request: Submit) -> bool:
        try:
            self._server.allow(self._owner)
        except Busy as error:
            self._answer(fault(request.id, error))
            return False
        return True

    def _submit(self, gathered: dict[int, list[Submit]]) -> None:
        for number, submits in gathered.items():
            try:
                committer = self._server.market(number).committer
                if committer is None:
                    raise NotServing(f"node {self._server.name} is starting", hint="try again in a moment")
                committer.offer(list(parcels(self._connection, self._owner, submits)))
            except P2pxError as error:
                for submit in submits:
                    self._answer(fault(submit.id, error))

    def _push(self, push: Push) -> None:
        if not self._is_peer:
            raise BadRequest("only a peer may push entries")
        self._server.market(push.market).replica.offer(push.entries)

    def _book_page(self, market: HostedMarket, request: ReadFullBook) -> tuple[int, BookPage]:
        """Return a page of the picture taken at offset 0, which goes with the last page."""
        if request.offset <= 0:
            with market.replica.reading() as machine:
                self._picture = request.market, machine.sequence, machine.full_book()
        number, sequence, orders = self._picture
        if number != request.market or request.offset > len(orders):
            raise BadRequest("begin a full book at offset 0", hint="its pages are asked for in order")
        start = max(0, request.offset)
        page = BookPage(len(orders), orders[start : start + BOOK_PAGE])
        if start + BOOK_PAGE >= len(orders):
            self._picture = NO_PICTURE
        return sequence, page

    def _read(self, request: Read) -> None:
        try:
            self._server.allow(self._owner)
            market = self._server.market(request.market)
            if request.at_least:
                market.replica.wait_for(request.at_least, monotonic() + AT_LEAST_S)
            began = monotonic()  # what was waited for on purpose is not slow
            if isinstance(request, ReadFullBook):
                sequence, body = self._book_page(market, request)
            else:
                sequence, body = carry_out(market, request)
            if self._is_guest:
                check_seen(self._hello, body)
            frame = framed(encode(view(request.id, sequence, body)))
        except P2pxError as error:
            self._answer(fault(request.id, error))
            return
        self._connection.send(frame)
        took, slow_s = monotonic() - began, self._server.slow_s
        if slow_s and took > slow_s and not (isinstance(request, ReadTrades) and request.wait):
            logger.warning(
                "slow read",
                extra={
                    "market": market.instrument.symbol,
                    "sequence": sequence,
                    "request": request_name(self._connection.session, request.id),
                    "owner": self._owner,
                    "what": type(request).__name__,
                    "took_ms": round(1000 * took, 3),
                    "reply_bytes": len(frame),
                },
            )

    def _answer(self, reply: Reply) -> None:
        self._connection.send(framed(encode(reply)))
