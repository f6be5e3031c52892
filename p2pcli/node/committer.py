"""The committer: gathers what clients ask into one batch, makes it durable, answers.

While one batch syncs, the next one gathers, and it is closed when its turn in the log has come: the disk
decides how many commands share one sync, and a lone command waits for nobody. One batch is in flight at a
time, so a batch is either certainly in the log, certainly not, or it is the same one that is tried until that
is known: meanwhile whoever asks is told "busy". Where the log cannot go on itself, the node stops.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from p2pcli.clock import monotonic, now_ns
from p2pcli.errors import P2pxError
from p2pcli.log.entry import Batch, Entry, Log, LogFull, LogRefuses, Unavailable, Undecided
from p2pcli.log.sessions import Admission
from p2pcli.market.commands import Move
from p2pcli.market.instrument import Instrument
from p2pcli.node.answers import answer_frames
from p2pcli.node.asked import by_request
from p2pcli.node.draft import Draft
from p2pcli.node.machine import Applied
from p2pcli.node.metrics import Histogram
from p2pcli.node.moving import LogMoved
from p2pcli.node.parcels import Parcel
from p2pcli.node.replica import Replica
from p2pcli.node.requests import Busy, NotServing, Unknown, encode, fault
from p2pcli.node.trace import named
from p2pcli.rpc.frame import framed
from p2pcli.rpc.tcp import Connection, ConnectionLost

RETRY_S = 0.1  # between two tries of a batch that is not decided
LARGE = 32  # commands; applying so many takes about as long as pushing them

logger = logging.getLogger(__name__)


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
        self._last = 0  # sequence of the last batch that was settled
        self._log = log
        self._replica = replica
        self._committed = committed
        self._waiting: deque[Parcel] = deque()
        self._waiting_commands = 0
        self._arrived = threading.Condition(threading.Lock())
        self._stopping = False
        self._stalled: P2pxError | None = None  # why nothing is taken until the batch at hand is decided
        self._failed: P2pxError | None = None

    @property
    def waiting(self) -> int:
        """Return how many commands wait to be appended."""
        return self._waiting_commands

    def offer(self, parcels: Sequence[Parcel]) -> None:
        """Queue requests in order. Raises ``Busy`` or ``NotServing``, and then none of them is queued."""
        commands = sum(len(parcel.commands) for parcel in parcels)
        with self._arrived:
            if self._stopping:
                raise NotServing(f"node {self._name} is stopping", hint="try another node")
            if self._stalled is not None:
                self.busy += len(parcels)
                raise _busy(self._stalled)
            if self._waiting_commands + commands > self._queued_commands:
                self.busy += sum(len(parcel.ids) for parcel in parcels)
                raise Busy(
                    f"node {self._name} has {self._waiting_commands} commands waiting"
                    f" (limit {self._queued_commands})",
                    hint="send again a little later, or through another node",
                )
            self._waiting.extend(parcels)
            self._waiting_commands += commands
            self._arrived.notify()

    def stop(self) -> None:
        """Take nothing more; ``run`` returns once what was taken is answered."""
        with self._arrived:
            self._stopping = True
            self._arrived.notify()

    def run(self) -> None:
        """Commit until stopped. Raises what the log or the machine stops a node with."""
        draft = Draft()
        try:
            while (draft := self._next_draft()).parcels:
                self._commit(draft)
        except P2pxError as error:
            self.stop()
            unknown = Unknown(
                f"node {self._name} stopped while committing: {error.message}",
                hint="repeat with the same client order id to find out",
            )
            # After its end a log may still take batches, and nobody will ever carry them out.
            self._refuse(draft.parcels, _busy(error) if isinstance(error, LogMoved) else unknown)
            self._refuse(self._waiting, NotServing(f"node {self._name} stopped serving: {error.message}"))
            raise

    def _next_draft(self) -> Draft:
        """Return what fits one batch, at least one parcel; nothing once stopped and empty."""
        with self._arrived:
            while not self._waiting and not self._stopping:
                self._arrived.wait()
            draft = Draft(now_ns())
            self._fill(draft)
            return draft

    def _fill(self, draft: Draft) -> None:
        while self._waiting and draft.takes(self._waiting[0]):
            self._waiting_commands -= len(self._waiting.popleft().commands)

    def _batch(self, draft: Draft) -> Batch:
        return Batch(self._name, self._epoch, self._number + 1, draft.encoded())

    def _commit(self, draft: Draft) -> None:
        if self._replica.moving is not None:
            self._refuse(draft.parcels, _moving(self._replica.moving))
            return
        batch, parcels = self._batch(draft), draft.parcels

        def grown() -> Batch:
            """Take what came while other nodes wrote: three that write wait two syncs for their turn."""
            nonlocal batch
            if self._waiting:
                with self._arrived:
                    self._fill(draft)
                batch = self._batch(draft)
            return batch

        began = monotonic()
        try:
            sequence = self._log.append(batch, self._append_timeout_s, grown)
        except Unavailable as error:  # certainly not appended: the number is free again
            logger.warning("batch not appended: %s", error.message)
            self._refuse(parcels, _refusal(error))
            if monotonic() - began >= self._append_timeout_s:
                self._turn_away(error)  # those have waited as long
            return
        except Undecided as error:
            self._see_through(batch, None, draft, error)
            return
        appended = monotonic()
        self.append_seconds.observe(appended - began)
        self._number += 1
        try:
            entry = self._replica.place(batch, sequence)
        except Unavailable as error:  # what came before this batch cannot be read
            self._see_through(batch, sequence, draft, error)
            return
        # Where others write too, they wait for this entry: it goes to them before it is applied here. A node
        # that writes alone answers first; on few processors its peers would only slow it down.
        goes_first = draft.commands >= LARGE and sequence > self._last + 1 and self._replica.moving is None
        self._last = sequence
        if goes_first:
            self._committed(entry)
        applied = self._replica.settle(entry, draft.body())
        settled = monotonic()
        if applied.admission is Admission.SEALED:
            self._refuse(parcels, _moving(self._replica.moving))
            return
        self.committed += self._answer(parcels, applied)
        if not goes_first:
            self._committed(entry)
        answered = monotonic()
        is_slow = bool(self._slow_s) and answered - began > self._slow_s
        if is_slow or logger.isEnabledFor(logging.DEBUG):
            timings = (appended - began, settled - appended, answered - settled)
            self._trace(parcels, applied, timings, logging.WARNING if is_slow else logging.DEBUG)

    def _see_through(self, batch: Batch, sequence: int | None, draft: Draft, trouble: P2pxError) -> None:
        """Append and apply the batch however long the log is out of reach. Its senders hear "unknown" now.

        Whatever else comes in meanwhile is "busy". ``sequence`` is None while the batch is undecided.
        """
        logger.warning("the log is out of reach: %s", trouble.message)
        with self._arrived:
            self._stalled = trouble
        unknown = Unknown(
            f"node {self._name} does not know yet: {trouble.message}",
            hint="repeat with the same client order id to find out",
        )
        self._refuse(draft.parcels, unknown)
        self._turn_away(trouble)
        while not self._stopping:
            try:
                if sequence is None:
                    sequence = self._log.append(batch, self._append_timeout_s)
                    self._number += 1
                entry = self._replica.place(batch, sequence)
                self._replica.settle(entry, draft.body())
            except (Undecided, Unavailable) as error:
                logger.info("the log is still out of reach: %s", error.message)
                with self._arrived:
                    self._arrived.wait(RETRY_S)
            else:
                logger.info("the log is back", extra={"sequence": sequence})
                self.committed += sum(len(parcel.commands) for parcel in draft.parcels)
                self._committed(entry)
                break
        with self._arrived:
            self._stalled = None

    def _turn_away(self, trouble: P2pxError) -> None:
        """Refuse everything that waits: it is certainly not in, and would wait too long."""
        with self._arrived:
            waiting = list(self._waiting)
            self._waiting.clear()
            self._waiting_commands = 0
        self._refuse(waiting, _refusal(trouble))

    def _trace(
        self,
        parcels: list[Parcel],
        applied: Applied,
        timings: tuple[float, float, float],
        level: int,
    ) -> None:
        """Log what became of each request, by its own name and the ids of its orders."""
        append_ms, apply_ms, answer_ms = (round(1000 * seconds, 3) for seconds in timings)
        entry = {
            "market": self._instrument.symbol,
            "sequence": applied.sequence,
            "requests": sum(len(parcel.ids) for parcel in parcels),
            "append_ms": append_ms,
            "apply_ms": apply_ms,
            "answer_ms": answer_ms,
        }
        event = "slow commit" if level > logging.DEBUG else "committed"
        for parcel, answers in zip(parcels, applied.outcomes, strict=True):
            for request, outcomes in by_request(parcel.asked, answers):
                for orders in named(self._instrument, outcomes):
                    about = request | {"owner": parcel.owner, "orders": orders}
                    logger.log(level, event, extra=entry | about)

    def _answer(self, parcels: list[Parcel], applied: Applied) -> int:
        """Send each request what became of it; return how many commands there were."""
        assert len(applied.groups) == len(parcels), "an own batch is answered group by group"
        frames: dict[Connection, list[bytes]] = {}
        commands = 0
        for parcel, notes in zip(parcels, applied.notes, strict=True):
            commands += len(parcel.commands)
            if parcel.connection is not None:
                asked = parcel.ids, parcel.counts, parcel.commands
                answer = answer_frames(applied.sequence, *asked, notes)
                frames.setdefault(parcel.connection, []).append(answer)
        for connection, parts in frames.items():
            _send(connection, b"".join(parts))
        return commands

    def _refuse(self, parcels: Iterable[Parcel], error: P2pxError) -> None:
        for parcel in parcels:
            if parcel.connection is not None:
                faults = (fault(request, error) for request in parcel.ids)
                _send(parcel.connection, b"".join(framed(encode(each)) for each in faults))


def _moving(move: Move | None) -> Busy:
    where = move.log if move is not None else "another place"
    return Busy(f"the log is being moved to {where}", hint="send again a little later")


def _refusal(trouble: P2pxError) -> P2pxError:
    """Return what senders are told: "busy", which means soon, only of what passes by itself."""
    return trouble if isinstance(trouble, LogFull | LogRefuses) else _busy(trouble)


def _busy(trouble: P2pxError) -> Busy:
    return Busy(f"the log is unavailable: {trouble.message}", hint=trouble.hint)


def _send(connection: Connection, frames: bytes) -> None:
    try:
        connection.send(frames)
    except ConnectionLost:  # the client left; its commands stand, and a retry with their ids tells it so
        logger.debug("%s left before its answer", connection.address)
