"""The committer: gathers what clients ask into one batch, makes it durable, answers.

While one batch syncs, the next one gathers: the disk decides how many commands share one sync, and a
lone command waits for nobody. One batch is in flight at a time, so a batch is either certainly in
the log, certainly not, or the node stops.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from p2pcli.clock import monotonic, now_ns
from p2pcli.errors import P2pxError
from p2pcli.log.entry import MAX_BODY, Batch, Entry, Log, Unavailable
from p2pcli.market.commands import Command
from p2pcli.market.events import Amended, CancelledAll, Outcome, Placed, Repeated
from p2pcli.market.instrument import Instrument
from p2pcli.node.body import MAX_COMMANDS, VERSION, Body, Group, encode_body
from p2pcli.node.machine import Applied
from p2pcli.node.metrics import Histogram
from p2pcli.node.replica import Replica
from p2pcli.node.requests import Answer, Busy, Fault, NotServing, Unknown, encode, fault
from p2pcli.node.trace import named
from p2pcli.rpc.frame import FrameTooLarge, framed
from p2pcli.rpc.tcp import Connection, ConnectionLost

_BODY_ROOM = MAX_BODY - 4096  # what the groups' own framing may cost

logger = logging.getLogger(__name__)


class Pending(msgspec.Struct, gc=False):
    """One client's request on its way into the log."""

    connection: Connection | None  # None: the node itself asks
    id: int
    owner: str
    raw: msgspec.Raw  # the commands as they came, so that the log stores them without encoding them again
    commands: list[Command]


class Committer:
    """One market's queue of requests and the thread that empties it."""

    def __init__(
        self,
        name: str,
        instrument: Instrument,
        epoch: int,
        log: Log,
        replica: Replica,
        committed: Callable[[Entry], None],
        *,
        queued_commands: int,
        append_timeout_s: float,
        slow_s: float = 0.0,
    ) -> None:
        """Begin with an empty queue of at most ``queued_commands``; more is "busy".

        ``append_timeout_s`` bounds the wait for the log's lock. A commit that takes longer than ``slow_s``
        is logged with its timings; 0: none is.
        """
        self.append_seconds = Histogram()
        self.committed = 0  # commands
        self.busy = 0  # requests refused because the queue was full
        self._name = name
        self._instrument = instrument
        self._slow_s = slow_s
        self._queued_commands = queued_commands
        self._append_timeout_s = append_timeout_s
        self._epoch = epoch
        self._number = 0
        self._log = log
        self._replica = replica
        self._committed = committed
        self._waiting: deque[Pending] = deque()
        self._waiting_commands = 0
        self._waiting_bytes = 0
        self._arrived = threading.Condition(threading.Lock())
        self._stopping = False
        self._failed: P2pxError | None = None

    @property
    def waiting(self) -> int:
        """Return how many commands wait to be appended."""
        return self._waiting_commands

    def offer(self, requests: Sequence[Pending]) -> None:
        """Queue requests in order. Raises ``Busy`` or ``NotServing``, and then none of them is queued."""
        commands = size = 0
        for request in requests:
            commands += len(request.commands)
            size += _size(request)
        with self._arrived:
            if self._stopping:
                raise NotServing(f"node {self._name} is stopping", hint="try another node")
            if self._waiting_commands + commands > self._queued_commands:
                self.busy += len(requests)
                raise Busy(
                    f"node {self._name} has {self._waiting_commands} commands waiting"
                    f" (limit {self._queued_commands})",
                    hint="send again a little later, or through another node",
                )
            self._waiting.extend(requests)
            self._waiting_commands += commands
            self._waiting_bytes += size
            self._arrived.notify()

    def stop(self) -> None:
        """Take nothing more; ``run`` returns once what was taken is answered."""
        with self._arrived:
            self._stopping = True
            self._arrived.notify()

    def run(self) -> None:
        """Commit until stopped. Raises what the log or the machine stops a node with."""
        requests: list[Pending] = []
        try:
            while requests := self._next_requests():
                self._commit(requests)
        except P2pxError as error:
            self.stop()
            unknown = Unknown(
                f"node {self._name} stopped while committing: {error.message}",
                hint="repeat with the same client order id to find out",
            )
            self._refuse(requests, unknown)
            self._refuse(self._waiting, NotServing(f"node {self._name} stopped serving: {error.message}"))
            raise

    def _next_requests(self) -> list[Pending]:
        """Return what fits one batch, at least one request; nothing once stopped and empty."""
        with self._arrived:
            while not self._waiting and not self._stopping:
                self._arrived.wait()
            if self._waiting_bytes <= _BODY_ROOM and self._waiting_commands <= MAX_COMMANDS:
                taken = list(self._waiting)
                self._waiting.clear()
                self._waiting_commands = self._waiting_bytes = 0
                return taken
            return self._one_batch()

    def _one_batch(self) -> list[Pending]:
        taken: list[Pending] = []
        size = count = 0
        while self._waiting:
            request = self._waiting[0]
            size += _size(request)
            count += len(request.commands)
            if taken and (size > _BODY_ROOM or count > MAX_COMMANDS):
                break
            taken.append(self._waiting.popleft())
            self._waiting_commands -= len(request.commands)
            self._waiting_bytes -= _size(request)
        return taken

    def _commit(self, requests: list[Pending]) -> None:
        time_ns = now_ns()
        raw = encode_body(time_ns, [(request.owner, request.raw) for request in requests])
        batch = Batch(self._name, self._epoch, self._number + 1, raw)
        began = monotonic()
        try:
            sequence = self._log.append(batch, self._append_timeout_s)
        except Unavailable as error:  # certainly not appended: the number is free again
            logger.warning("batch not appended: %s", error.message)
            self._refuse(requests, Busy(f"the log is unavailable: {error.message}", hint=error.hint))
            return
        appended = monotonic()
        self.append_seconds.observe(appended - began)
        self._number += 1
        body = Body(VERSION, time_ns, [Group(request.owner, request.commands) for request in requests])
        entry, applied = self._replica.settle(batch, sequence, body)
        settled = monotonic()
        self.committed += self._answer(requests, applied)
        # Only now, because the threads that push would compete for the interpreter.
        self._committed(entry)
        answered = monotonic()
        is_slow = bool(self._slow_s) and answered - began > self._slow_s
        if is_slow or logger.isEnabledFor(logging.DEBUG):
            timings = (appended - began, settled - appended, answered - settled)
            self._trace(requests, applied, timings, logging.WARNING if is_slow else logging.DEBUG)

    def _trace(
        self,
        requests: list[Pending],
        applied: Applied,
        timings: tuple[float, float, float],
        level: int,
    ) -> None:
        """Log what became of each request, by its own id and the ids of its orders."""
        append_ms, apply_ms, answer_ms = (round(1000 * seconds, 3) for seconds in timings)
        entry = {
            "market": self._instrument.symbol,
            "sequence": applied.sequence,
            "requests": len(requests),
            "append_ms": append_ms,
            "apply_ms": apply_ms,
            "answer_ms": answer_ms,
        }
        event = "slow commit" if level > logging.DEBUG else "committed"
        for request, outcomes in zip(requests, applied.outcomes, strict=True):
            for orders in named(self._instrument, outcomes):
                about = {"request": request.id, "owner": request.owner, "orders": orders}
                logger.log(level, event, extra=entry | about)

    def _answer(self, requests: list[Pending], applied: Applied) -> int:
        """Send each request its outcomes; return how many commands there were."""
        assert len(applied.outcomes) == len(requests), "an own batch is answered group by group"
        sequence = applied.sequence
        frames: dict[Connection, list[bytes]] = {}
        commands = 0
        for request, outcomes in zip(requests, applied.outcomes, strict=True):
            commands += len(outcomes)
            if request.connection is not None:
                frame = _answer_frame(Answer(request.id, sequence, outcomes))
                frames.setdefault(request.connection, []).append(frame)
        for connection, parts in frames.items():
            _send(connection, b"".join(parts))
        return commands

    def _refuse(self, requests: Sequence[Pending], error: P2pxError) -> None:
        for request in requests:
            if request.connection is not None:
                answer: Fault = fault(request.id, error)
                _send(request.connection, framed(encode(answer)))


def _size(request: Pending) -> int:
    return len(request.raw) + len(request.owner) + 16  # and at most so much of MessagePack around it


def _answer_frame(answer: Answer) -> bytes:
    try:
        return framed(encode(answer))
    except FrameTooLarge:  # a sweep of tens of thousands of orders; the fills can be read order by order
        return framed(
            encode(msgspec.structs.replace(answer, outcomes=[_brief(one) for one in answer.outcomes]))
        )


def _brief(outcome: Outcome) -> Outcome:
    if isinstance(outcome, Placed | Amended):
        return msgspec.structs.replace(outcome, fills=[], removed=[])
    if isinstance(outcome, CancelledAll):
        return msgspec.structs.replace(outcome, removed=[])
    if isinstance(outcome, Repeated):
        inner = _brief(outcome.outcome)
        assert not isinstance(inner, Repeated), "a first answer is no repeat"
        return Repeated(outcome.sequence, inner)
    return outcome


def _send(connection: Connection, frames: bytes) -> None:
    try:
        connection.send(frames)
    except ConnectionLost:  # the client left; its commands stand, and a retry with their ids tells it so
        logger.debug("%s left before its answer", connection.address)
