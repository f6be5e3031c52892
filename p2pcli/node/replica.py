"""The machine behind its lock: entries in, in sequence, from whoever has the next one.

This is the only room that touches a market's machine. Entries come from the committer, from a peer's
push and from the log. An entry that was applied before is passed over, and one that is too early waits for
those before it; what never comes is read from the log, which has everything.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from p2pcli.clock import monotonic
from p2pcli.log.chain import link
from p2pcli.log.entry import Batch, Entry, Log
from p2pcli.log.sessions import Admission
from p2pcli.market.commands import Checkpoint, Move
from p2pcli.node.asked import by_request
from p2pcli.node.attest import Attestations, StateDiffers
from p2pcli.node.body import BadBody, Body, decode_body
from p2pcli.node.early import Early
from p2pcli.node.machine import Applied, BrokenChain, Machine
from p2pcli.node.metrics import Histogram
from p2pcli.node.moving import LogMoved
from p2pcli.node.requests import NotCaughtUp, NotServing
from p2pcli.node.trace import named

READ_LIMIT = 1000  # entries read from the log at once

logger = logging.getLogger(__name__)


class Replaced(NotServing):
    """Another process has started under this node's name; this one must stop."""

    code = "replaced"


class Replica:
    """One market's machine in this node, its lock, and those who wait for it to move."""

    def __init__(
        self, name: str, log: Log, machine: Machine, record: Callable[[Applied, bytes], None]
    ) -> None:
        self._name = name
        self.apply_seconds = Histogram()
        self._log = log
        self._machine = machine
        self._record = record
        self._lock = threading.Lock()
        self._moved = threading.Condition(self._lock)
        self._waiting = 0
        self._epoch = 0
        self._attestations = Attestations(name, machine.sequence)
        self._due_digest: tuple[int, bytes] | None = None
        self.digest_due = threading.Event()  # the others compare soon: whoever tells it must not wait
        self._commands = 0  # applied since the last snapshot
        self._mine: deque[tuple[Entry, Applied]] = deque(maxlen=4)  # this process's own, newest last
        self._early = Early()
        self._revoked = machine.keys.changes
        self.on_revocation: Callable[[], None] = _nothing  # called under the lock, once a key is revoked
        self._failure: Exception | None = None

    @property
    def sequence(self) -> int:
        """Return the last sequence applied."""
        return self._machine.sequence

    @property
    def moving(self) -> Move | None:
        """Return how far the log is on its way to another place, None when it stays."""
        return self._machine.moving

    @contextmanager
    def reading(self) -> Iterator[Machine]:
        """Hold the lock and give the machine, for reads that are short. Raises like ``check``."""
        with self._lock:
            self.check()
            yield self._machine

    @property
    def differs(self) -> bool:
        """Say whether this state is not the one that most nodes have, so that nothing of it may be kept."""
        return isinstance(self._failure, StateDiffers)

    def check(self) -> None:
        """Raise what an entry failed with, whichever thread brought it: the node must stop (S12)."""
        if self._failure is not None:
            raise self._failure

    def take_epoch(self, epoch: int) -> None:
        """From now on, entries of this name under a higher epoch mean that another process took over."""
        with self._lock:
            self._epoch = epoch

    def offer(self, entries: Iterable[Entry]) -> None:
        """Apply what comes next, pass over what was applied, and keep what comes too early for its turn."""
        with self._lock:
            self.check()
            machine, early = self._machine, self._early
            for entry in entries:
                if entry.sequence == machine.sequence + 1:
                    self._apply(entry, None)
                elif entry.sequence > machine.sequence + 1:
                    early.keep(entry)
            if early:
                self._apply_early()

    def _apply_early(self) -> None:
        machine, early = self._machine, self._early
        while entry := early.take(machine.sequence + 1):
            try:
                self._apply(entry, None)
            except BrokenChain as error:
                logger.warning("entry %d was pushed and is not the log's: %s", entry.sequence, error.message)
                return
        early.forget(machine.sequence)

    def catch_up(self, through: int) -> None:
        """Apply everything up to ``through`` from the log, but for what comes from elsewhere meanwhile."""
        while True:
            with self._lock:  # another thread may be about to apply what was pushed
                after = self._machine.sequence
            if after >= through:
                return
            entries = self._log.read(after, min(READ_LIMIT, through - after))
            if not entries:
                return
            self._go_on(entries)

    def _go_on(self, entries: list[Entry]) -> None:
        """Apply what comes next of what was read from the log, which has checked each against the last."""
        with self._lock:
            self.check()
            machine, chain = self._machine, None
            for entry in entries:
                if entry.sequence == machine.sequence + 1:
                    self._apply(entry, None, is_linked=machine.chain == chain)
                chain = entry.chain
            if self._early:
                self._apply_early()

    def place(self, batch: Batch, sequence: int) -> Entry:
        """Return this node's own batch, which the log has at ``sequence``, as the entry that it is there.

        Everything before it is applied then. Raises like ``offer`` and ``Log.read``.
        """
        self.catch_up(sequence - 1)
        with self._lock:
            if self._machine.sequence == sequence - 1:
                return Entry(sequence, batch, link(self._machine.chain, batch))
            return self._own(sequence)[0]

    def settle(self, entry: Entry, body: Body | None) -> Applied:
        """Apply this node's own entry, unless another thread has read it from the log and applied it.

        Of a log that is being moved there are no outcomes: it was not carried out. Raises ``Replaced``,
        ``LogMoved``.
        """
        with self._lock:
            if self._machine.sequence == entry.sequence - 1:
                self._apply(entry, body, is_linked=True)  # by ``place``, to the same entry
            applied = self._own(entry.sequence)[1]
            self._mine.clear()  # one batch is in flight at a time, and thousands of outcomes are to be freed
        if applied.admission not in (Admission.NEW, Admission.SEALED):
            raise Replaced(
                f"batch {entry.batch.number} of node {self._name} was not admitted: {applied.admission.name}"
            )
        return applied

    def _own(self, sequence: int) -> tuple[Entry, Applied]:
        return next(mine for mine in reversed(self._mine) if mine[0].sequence == sequence)

    def wait_for(self, sequence: int, deadline: float) -> None:
        """Return once ``sequence`` is applied. Raises ``NotCaughtUp`` at ``deadline`` (monotonic)."""
        if self._machine.sequence >= sequence:
            return
        with self._moved:
            self._waiting += 1
            try:
                while self._machine.sequence < sequence:
                    left = deadline - monotonic()
                    if left <= 0:
                        raise NotCaughtUp(
                            f"node {self._name} has applied sequence {self._machine.sequence}, "
                            f"not {sequence}, within the time given"
                        )
                    self._moved.wait(left)
            finally:
                self._waiting -= 1

    def adopt(self, machine: Machine) -> None:
        """Go on from another node's state, which must be ahead of this one. Before serving only."""
        with self._lock:
            assert machine.sequence > self._machine.sequence, "a node never goes back"
            self._machine = machine
            self._attestations = Attestations(self._name, machine.sequence)

    # -- snapshots and digests --------------------------------------------------------------------

    @property
    def commands_since_snapshot(self) -> int:
        """Return how many commands a restart would have to apply again."""
        return self._commands

    def snapshot(self) -> tuple[int, bytes]:
        """Return the sequence and the whole state at it. Entries wait only while it is taken, not encoded."""
        with self._lock:
            self.check()
            self._commands = 0
            sequence, picture = self._machine.sequence, self._machine.picture()
        return sequence, picture.encoded()

    def due_digest(self) -> tuple[int, bytes] | None:
        """Return, once, the sequence and digest that this node should tell the others now."""
        with self._lock:
            due, self._due_digest = self._due_digest, None
            self.digest_due.clear()
            return due

    def trim_before(self) -> int:
        """Return the sequence below which no living node needs the log."""
        with self._lock:
            machine = self._machine
            producers = [producer for producer, *_ in machine.sessions.to_values()]
            return self._attestations.trim_before(machine.sequence, producers)

    # -- applying ---------------------------------------------------------------------------------

    def _apply(self, entry: Entry, body: Body | None, *, is_linked: bool = False) -> None:
        if body is None:
            try:
                body = decode_body(entry.batch.body)
            except BadBody as error:
                raise BadBody(
                    f"entry {entry.sequence}, written by node {entry.batch.producer}: {error.message}",
                    hint=error.hint,
                ) from error
        try:
            self._carry_out(entry, body, is_linked)
        except (BrokenChain, LogMoved):  # nothing has changed: a peer may have pushed what is not the log's
            raise
        except Exception as error:
            self._failure = error
            raise

    def _carry_out(self, entry: Entry, body: Body, is_linked: bool) -> None:
        if self._epoch:
            applied = self._served(entry, body, is_linked)
        else:  # a restart applies again what it was asked for before
            applied = self._machine.apply(entry, body, is_linked=is_linked)
        self._record(applied, entry.batch.body)
        if applied.admission is Admission.NEW:
            self._attest(entry, body)
            if self._machine.keys.changes != self._revoked:
                self._revoked = self._machine.keys.changes
                self.on_revocation()
        if self._waiting:
            self._moved.notify_all()

    def _served(self, entry: Entry, body: Body, is_linked: bool) -> Applied:
        """Apply an entry of the time since this process began to serve."""
        began = monotonic()
        applied = self._machine.apply(entry, body, is_linked=is_linked)
        self._log.passed(entry)
        self.apply_seconds.observe(monotonic() - began)
        batch = entry.batch
        if batch.producer != self._name:
            if logger.isEnabledFor(logging.DEBUG):  # the committer tells of this node's own
                self._trace(applied, batch, body)
        elif batch.epoch > self._epoch:
            raise Replaced(
                f"another process serves as node {self._name} since sequence {entry.sequence}",
                hint="give each node a name of its own",
            )
        elif batch.epoch == self._epoch:
            self._mine.append((entry, applied))
        return applied

    def _trace(self, applied: Applied, batch: Batch, body: Body) -> None:
        instrument = self._machine.instrument
        if instrument is None:
            return
        entry = {"market": instrument.symbol, "sequence": applied.sequence, "from": batch.producer}
        for group, answers in zip(body.groups, applied.outcomes, strict=False):
            for request, outcomes in by_request(group.asked, answers):
                for orders in named(instrument, outcomes):
                    logger.debug("applied", extra=entry | request | {"orders": orders})

    def _attest(self, entry: Entry, body: Body) -> None:
        for group in body.groups:
            commands = group.commands
            self._commands += len(commands)
            if commands and type(commands[0]) is Checkpoint:  # a checkpoint is alone in its group
                self._attestations.heard(entry.sequence, entry.batch.producer, commands[0])
        if self._attestations.computed(entry.sequence, self._machine.digest):
            self._due_digest = entry.sequence, self._machine.digest
            self.digest_due.set()


def _nothing() -> None:
    return None
