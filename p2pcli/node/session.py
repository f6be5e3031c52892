"""One authenticated connection to a node: requests in, answers out.

What is about a market hosted here is carried out here. What is about another market of the cluster goes to a
node that hosts it (``forwarding``), unless a node forwarded it already: then it comes back as not done.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from p2pcli.clock import monotonic
from p2pcli.errors import P2pxError
from p2pcli.node import reads
from p2pcli.node.asked import request_name
from p2pcli.node.hosted import HostedMarket
from p2pcli.node.links import Caller, Errand
from p2pcli.node.parcels import parcels
from p2pcli.node.permissions import check_asked, check_seen, is_guest
from p2pcli.node.requests import (
    BadCommands,
    BadRequest,
    Busy,
    Enrol,
    Forbidden,
    Forward,
    Leave,
    NotServing,
    Push,
    Read,
    ReadFullBook,
    ReadSnapshot,
    ReadStatus,
    ReadTrades,
    Reply,
    Request,
    ResetBreaker,
    Rotate,
    Submit,
    decode_request,
    encode,
    fault,
    view,
)
from p2pcli.rpc.auth import ROLE_OPERATOR, ROLE_PEER, Hello
from p2pcli.rpc.frame import framed
from p2pcli.rpc.tcp import Connection, ConnectionLost

if TYPE_CHECKING:
    from p2pcli.node.server import Server

MAX_WAITING = 64  # forwarded reads of one connection that wait for news, each in a thread

logger = logging.getLogger(__name__)


class Session:
    """The conversation with one caller."""

    def __init__(self, server: "Server", connection: Connection, hello: Hello) -> None:
        self._server = server
        self._connection = connection
        self._hello = hello
        self._caller = Caller(
            hello.owner or server.name, next(server.session_numbers), is_guest(hello), hello.key
        )
        self._pictures = reads.Pictures()
        self._seen: dict[int, int] = {}  # market: highest sequence that another node answered with
        self._waiting = threading.BoundedSemaphore(MAX_WAITING)

    def take(self, payloads: list[bytes]) -> None:
        """Carry out the requests of one piece of the stream, in order; submits go in together.

        Raises ``BadRequest`` for bytes that are no request: the stream cannot be trusted after them.
        """
        gathered: dict[tuple[int, Caller], list[Submit]] = {}
        for payload in payloads:
            caller = self._caller
            try:
                request = decode_request(payload)
                if type(request) is Forward:
                    caller, request = self._unwrapped(request)
            except BadCommands as error:
                self._answer(fault(error.request, error))
                continue
            except BadRequest as error:
                self._answer(fault(0, error))
                raise
            if self._caller.is_guest and not self._is_permitted(request):
                continue
            if type(request) is Submit:
                if self._is_allowed(request, caller):
                    gathered.setdefault((request.market, caller), []).append(request)
                continue
            if gathered:
                self._submit(gathered)
                gathered = {}
            self._carry_out(request, caller)
        if gathered:
            self._submit(gathered)

    def _unwrapped(self, forward: Forward) -> tuple[Caller, Request]:
        if self._hello.role != ROLE_PEER:
            raise BadRequest("only a peer may ask for somebody else")
        request = decode_request(bytes(forward.request))
        if not isinstance(request, Submit | Read) or isinstance(request, ReadSnapshot):
            raise BadRequest(f"{type(request).__name__} is not forwarded")
        return Caller(forward.owner, forward.session, forward.is_guest, forward.key), request

    def _carry_out(self, request: Request, caller: Caller) -> None:
        if isinstance(request, Push):
            self._push(request)
        elif isinstance(request, ReadStatus):
            self._answer(view(request.id, 0, self._server.describe()))
        elif isinstance(request, Leave):
            self._leave(request)
        elif isinstance(request, Rotate):
            self._do(request.id, lambda: self._server.rotate(self._hello, request))
        elif isinstance(request, ResetBreaker):
            self._do(request.id, lambda: self._server.reset_breaker(request.peer))
        elif isinstance(request, Enrol):
            self._do(request.id, lambda: self._server.porter.enrol(self._hello, request))
        else:
            assert isinstance(request, Read)
            self._read(request, caller)

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

    def _leave(self, request: Leave) -> None:
        if self._hello.role != ROLE_OPERATOR:
            self._answer(fault(request.id, BadRequest("only who holds the cluster's secret may end a node")))
            return
        self._answer(view(request.id, 0, self._server.describe()))
        self._server.leave()

    def _is_allowed(self, request: Submit, caller: Caller) -> bool:
        try:
            self._allow(caller)
        except Busy as error:
            self._answer(fault(request.id, error))
            return False
        return True

    def _allow(self, caller: Caller) -> None:
        if caller is self._caller:  # the node that was asked has counted what it forwards
            self._server.allow(caller.owner)

    def _submit(self, gathered: dict[tuple[int, Caller], list[Submit]]) -> None:
        for (number, caller), submits in gathered.items():
            try:
                market = self._server.hosted(number)
                if market is None:
                    self._forward(submits, caller)
                    continue
                if market.committer is None:
                    raise NotServing(f"node {self._server.name} is starting", hint="try again in a moment")
                market.committer.offer(list(parcels(self._connection, caller.owner, submits, caller.key)))
            except P2pxError as error:
                for submit in submits:
                    self._answer(fault(submit.id, error))

    def _push(self, push: Push) -> None:
        if self._hello.role != ROLE_PEER:
            raise BadRequest("only a peer may push entries")
        market = self._server.hosted(push.market)
        if market is not None:  # the peer may remember another life of this node
            market.replica.offer(push.entries)

    def _forward(self, requests: Sequence[Submit | Read], caller: Caller) -> None:
        """Have another node answer them, all for one market. Raises ``NotServing`` for what was forwarded."""
        symbol = self._server.instrument(requests[0].market).symbol
        if caller is not self._caller:
            raise NotServing(f"node {self._server.name} does not host {symbol}")
        for request in requests:
            errand = Errand(self._connection, request.id, caller, request, symbol, self._seen)
            self._server.forwarding.send(errand)

    # -- reads ------------------------------------------------------------------------------------

    def _read(self, request: Read, caller: Caller) -> None:
        try:
            self._allow(caller)
            market = self._server.hosted(request.market)
            if market is None:
                if isinstance(request, ReadSnapshot):
                    raise NotServing(f"node {self._server.name} does not host market number {request.market}")
                self._forward([request], caller)
                return
        except P2pxError as error:
            self._answer(fault(request.id, error))
            return
        if caller is not self._caller and reads.may_wait(market, request):
            self._read_apart(market, request, caller)
        else:
            self._show(market, request, caller)

    def _read_apart(self, market: HostedMarket, request: Read, caller: Caller) -> None:
        """Let a read wait in a thread of its own: others' requests come through the same connection."""
        if not self._waiting.acquire(blocking=False):
            busy = Busy(f"{MAX_WAITING} reads from one node wait for news at node {self._server.name}")
            self._answer(fault(request.id, busy))
            return

        def show() -> None:
            try:
                self._show(market, request, caller)
            except ConnectionLost as error:
                logger.debug("%s", error.message)
            finally:
                self._waiting.release()

        threading.Thread(target=show, name="waiting read", daemon=True).start()

    def _show(self, market: HostedMarket, request: Read, caller: Caller) -> None:
        try:
            reads.await_sequence(market, request)
            began = monotonic()  # what was waited for on purpose is not slow
            if isinstance(request, ReadFullBook):
                sequence, body = self._pictures.page(caller.session, market, request)
            else:
                sequence, body = reads.carry_out(market, request)
            if caller.is_guest:
                check_seen(caller.owner, body)
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
                    "owner": caller.owner,
                    "what": type(request).__name__,
                    "took_ms": round(1000 * took, 3),
                    "reply_bytes": len(frame),
                },
            )

    def _answer(self, reply: Reply) -> None:
        self._connection.send(framed(encode(reply)))
