"""A peer that answers requests forwarded to it: what is on its way there, and what of it may have happened.

Two threads a peer: one sends what is queued, one hears the answers. They meet in the table of requests in
flight, which says of each on which connection it went, so that the end of a connection settles exactly those.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from itertools import count
from typing import NamedTuple

import msgspec

from p2pcli.clock import monotonic
from p2pcli.errors import P2pxError
from p2pcli.market.notes import BadNotes
from p2pcli.node.answers import end_of
from p2pcli.node.introduction import Address
from p2pcli.node.requests import (
    Answers,
    Fault,
    Forward,
    Greeting,
    NotServing,
    Read,
    ReadTrades,
    Submit,
    Unknown,
    View,
    decode_reply,
    encode,
    fault,
)
from p2pcli.rpc.breaker import Breaker, CircuitOpen
from p2pcli.rpc.frame import framed
from p2pcli.rpc.tcp import Connection, ConnectionLost

FORWARD_S = 3.0  # longest wait for an answer, besides what a read waits on purpose
SWEEP_S = 0.25  # how often deadlines are looked at
LATELY_S = 5.0  # after a failure, while others are preferred
MAX_ERRANDS = 10_000  # on their way to one peer; more is "busy"

logger = logging.getLogger(__name__)


class Caller(NamedTuple):
    """On whose behalf a request comes."""

    owner: str
    session: int  # at the node that was asked
    is_guest: bool  # it may see no orders but its own
    key: str = ""  # id of the key that proved the owner; "": the cluster's secret did


class Errand:
    """One request of a client of this node, to be answered by another node."""

    __slots__ = ("caller", "connection", "deadline", "id", "looked", "request", "seen", "symbol", "tried")

    def __init__(
        self,
        connection: Connection,
        number: int,
        caller: Caller,
        request: Submit | Read,
        symbol: str,
        seen: dict[int, int],
    ) -> None:
        """``seen`` is the session's: the highest sequence of each market that it was answered with."""
        self.connection = connection
        self.id = number
        self.caller = caller
        self.request = request
        self.symbol = symbol
        self.seen = seen
        self.tried: set[Address] = set()
        self.looked = False  # its market's hosts were looked up for it
        wait = max(0.0, request.wait) if isinstance(request, ReadTrades) else 0.0
        self.deadline = monotonic() + FORWARD_S + wait

    def frame(self, number: int) -> bytes:
        """Return it as it travels under that number. A read shows at least what the session has seen."""
        request = msgspec.structs.replace(self.request, id=number)
        if not isinstance(request, Submit):
            floor = self.seen.get(request.market, 0)
            request = msgspec.structs.replace(request, at_least=max(request.at_least, floor))
        return framed(encode(Forward(*self.caller, msgspec.Raw(encode(request)))))

    def saw(self, sequence: int) -> None:
        market = self.request.market
        self.seen[market] = max(sequence, self.seen.get(market, 0))

    def refuse(self, error: P2pxError) -> None:
        self.reply(framed(encode(fault(self.id, error))))

    def reply(self, frames: bytes) -> None:
        """Send the client its answer, if it is still there."""
        try:
            self.connection.send(frames)
        except ConnectionLost:
            logger.debug("%s left before its answer", self.connection.address)


class Link:
    """One peer's queue, the thread that empties it, and the thread that hears the answers."""

    def __init__(
        self,
        address: Address,
        breaker: Breaker,
        call: Callable[[Address], tuple[Connection, Greeting]],
        elsewhere: Callable[[Errand, str], None],
    ) -> None:
        """``elsewhere`` is given what certainly did not happen here, and why it did not."""
        self.address = address
        self.breaker = breaker
        self._call = call
        self._elsewhere = elsewhere
        self._queue: deque[Errand] = deque()
        self._flying: dict[int, tuple[Errand, Connection]] = {}
        self._numbers = count(1)
        self._connection: Connection | None = None
        self._arrived = threading.Condition(threading.Lock())
        self._stopping = False
        self._trouble: P2pxError | None = None  # heard by another thread, for this one to report
        self._failed_at = -LATELY_S

    @property
    def is_idle(self) -> bool:
        return self._connection is None and not self._queue and not self._flying

    @property
    def rank(self) -> int:
        """Return how far down the list of choices this peer is: 0 well, 1 failed lately, 2 left alone."""
        if self.breaker.state == "open":
            return 2
        return 1 if monotonic() - self._failed_at < LATELY_S else 0

    def offer(self, errand: Errand) -> bool:
        """Queue an errand; says whether there was room."""
        with self._arrived:
            if self._stopping or len(self._queue) + len(self._flying) >= MAX_ERRANDS:
                return False
            self._queue.append(errand)
            self._arrived.notify()
        return True

    def stop(self) -> None:
        with self._arrived:
            self._stopping = True
            self._arrived.notify()
            connection = self._connection
        if connection is not None:
            connection.close()

    def run(self) -> None:
        """Send until stopped."""
        while (errands := self._next()) is not None:
            self._sweep()
            if (trouble := self._trouble) is not None:
                self._trouble = None
                self.breaker.on_failure(trouble, monotonic())
            if not errands:
                continue
            try:
                self.breaker.before_call(monotonic())
            except CircuitOpen as error:
                self._give_back(errands, error)
                continue
            try:
                connection = self._connection or self._connect()
            except P2pxError as error:
                self._failed_at = monotonic()
                self.breaker.on_failure(error, self._failed_at)
                self._give_back(errands, error)
                continue
            self._send(connection, errands)
        self._give_back(list(self._queue), NotServing("the node is stopping"))

    def _next(self) -> list[Errand] | None:
        with self._arrived:
            if not self._queue and not self._stopping and self._trouble is None:
                self._arrived.wait(SWEEP_S if self._flying else None)
            if self._stopping:
                return None
            errands = list(self._queue)
            self._queue.clear()
            return errands

    def _connect(self) -> Connection:
        connection, _ = self._call(self.address)
        self._connection = connection
        threading.Thread(target=self._hear, args=(connection,), name="forward answers", daemon=True).start()
        return connection

    def _send(self, connection: Connection, errands: list[Errand]) -> None:
        numbered = {next(self._numbers): errand for errand in errands}
        with self._arrived:
            self._flying |= {number: (errand, connection) for number, errand in numbered.items()}
        try:
            connection.send_blocking(b"".join(one.frame(number) for number, one in numbered.items()))
        except ConnectionLost as error:
            self._lose(connection, error)
        else:
            self.breaker.on_success()

    # -- answers ----------------------------------------------------------------------------------

    def _hear(self, connection: Connection) -> None:
        trouble: P2pxError = ConnectionLost(f"{connection.address} closed the connection")
        try:
            for payloads in connection.receive():
                for payload in payloads:
                    self._answered(payload)
        except P2pxError as error:
            trouble = error
        except (msgspec.MsgspecError, BadNotes) as error:
            trouble = ConnectionLost(f"{connection.address} answers in a way unknown here: {error}")
        self._lose(connection, trouble)
        connection.release()

    def _answered(self, payload: bytes) -> None:
        reply = decode_reply(payload)
        if isinstance(reply, Answers):
            self._outcomes(reply)
            return
        if isinstance(reply, Fault) and not reply.id:
            raise ConnectionLost(reply.message)
        errand = self._landed(reply.id)
        if errand is None:
            return  # given up meanwhile
        if isinstance(reply, View):
            errand.saw(reply.sequence)
        elif reply.code == NotServing.code and not reply.is_unknown:
            errand.tried.add(self.address)
            self._elsewhere(errand, reply.message)
            return
        errand.reply(framed(encode(msgspec.structs.replace(reply, id=errand.id))))

    def _outcomes(self, answers: Answers) -> None:
        begin = 0
        for number, commands in zip(answers.ids, answers.counts, strict=False):
            errand = self._landed(number)
            if errand is None:  # the connection is lost, and with it everything else that is answered here
                return
            if not isinstance(errand.request, Submit):
                raise ConnectionLost(
                    f"{self.address[0]}:{self.address[1]} answers a read as if it were an order"
                )
            end = end_of(answers.notes, begin, errand.request.commands)
            errand.saw(answers.sequence)
            notes = answers.notes[begin:end]
            errand.reply(framed(encode(Answers(answers.sequence, [errand.id], [commands], notes))))
            begin = end

    def _landed(self, number: int) -> Errand | None:
        with self._arrived:
            errand, _ = self._flying.pop(number, (None, None))
        return errand

    # -- trouble ----------------------------------------------------------------------------------

    def _sweep(self) -> None:
        """Hang up on a peer that owes an answer for too long: it is wedged, or the way to it is cut."""
        now = monotonic()
        with self._arrived:
            late = next((one for errand, one in self._flying.values() if errand.deadline < now), None)
        if late is not None:
            self._lose(late, ConnectionLost(f"{late.address} did not answer within {FORWARD_S:g} s"))

    def _lose(self, connection: Connection, error: P2pxError) -> None:
        """Settle what was in flight on a connection that ended. Repeating it is fine."""
        connection.close()
        with self._arrived:
            lost = [number for number, (_, at) in self._flying.items() if at is connection]
            errands = [self._flying.pop(number)[0] for number in lost]
            is_first = self._connection is connection
            if is_first:
                self._connection = None
                self._trouble, self._failed_at = error, monotonic()
                self._arrived.notify()
        if is_first and not self._stopping:
            logger.info("way to %s:%d lost: %s", *self.address, error.message)
        for errand in errands:
            if isinstance(errand.request, Submit):
                errand.refuse(
                    Unknown(
                        f"{error.message}; the order may or may not have taken effect",
                        hint="repeat it with the same client order id to find out",
                    )
                )
        self._give_back((one for one in errands if not isinstance(one.request, Submit)), error)

    def _give_back(self, errands: Iterable[Errand], error: P2pxError) -> None:
        for errand in errands:
            errand.tried.add(self.address)
            self._elsewhere(errand, error.message)
