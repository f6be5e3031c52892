"""Snapshots, digests and trimming of one market in one node: the thread that does them when due.

A snapshot is taken only up to what history holds durably, so that after a restart nothing that is
no longer in the log is missing from history either. What this node tells the others it keeps is
its older snapshot: when the newer one turns out damaged, the log still reaches back to the other.
"""

import logging
import threading
from collections.abc import Callable

from p2pcli.errors import P2pxError
from p2pcli.log.entry import Log, Unavailable
from p2pcli.market.commands import Checkpoint
from p2pcli.node.archive import HistoryBroken
from p2pcli.node.history import History
from p2pcli.node.replica import Replica
from p2pcli.node.requests import Busy, NotServing
from p2pcli.node.snapshots import SnapshotFailed, Snapshots

TICK_S = 0.5
DURABLE_S = 30.0  # longest wait for history before a snapshot is put off
COMMANDS_PER_ORDER = 4  # between two snapshots, for each order at rest ...
COMMANDS = 4_000_000  # ... and in all, unless more orders rest: a restart carries so many out in 6 s

logger = logging.getLogger(__name__)


def is_worth_it(applied: int, resting: int) -> bool:
    """Say whether a snapshot of so many orders at rest is worth taking, so many commands after the last.

    It costs about a command's work for each of them: of a million every 100,000 commands it was most of a
    node's work, every million a third of it.
    """
    return applied >= min(COMMANDS_PER_ORDER * resting, max(COMMANDS, resting))


class Checkpoints:
    """When to take a snapshot (every ``commands``), tell a digest, trim the log."""

    def __init__(
        self,
        replica: Replica,
        history: History,
        snapshots: Snapshots,
        log: Log,
        commands: int,
        propose: Callable[[Checkpoint], None],
    ) -> None:
        self._replica = replica
        self._history = history
        self._snapshots = snapshots
        self._log = log
        self._commands = commands
        self._propose = propose
        self._stopping = threading.Event()

    def stop(self) -> None:
        self._stopping.set()
        self._replica.digest_due.set()

    def run(self) -> None:
        """Look every half second, and whenever a digest is due, until stopped; then take a last snapshot."""
        while not self._stopping.is_set():
            self._replica.digest_due.wait(TICK_S)
            if self._is_due():
                self._snapshot()
            if (due := self._replica.due_digest()) is not None:
                self._tell(*due)
            self._trim(self._replica.trim_before())
        if self._replica.commands_since_snapshot and not self._replica.differs:
            self._snapshot()

    def _is_due(self) -> bool:
        applied = self._replica.commands_since_snapshot
        if applied < self._commands:
            return False
        with self._replica.reading() as machine:
            return is_worth_it(applied, machine.open_orders)

    def _snapshot(self) -> None:
        sequence, data = self._replica.snapshot()
        try:
            self._history.make_durable(sequence, DURABLE_S)
            self._snapshots.save(data, sequence)
        except (HistoryBroken, SnapshotFailed) as error:  # the log keeps everything meanwhile
            logger.error("no snapshot at sequence %d: %s", sequence, error.message)
        else:
            logger.info("snapshot of %d bytes", len(data), extra={"sequence": sequence})

    def _tell(self, sequence: int, digest: bytes) -> None:
        try:
            self._propose(Checkpoint(sequence, digest, self._snapshots.oldest()))
        except (Busy, NotServing):  # the next interval brings another
            logger.info("checkpoint at sequence %d not told: the node is busy or stopping", sequence)

    def _trim(self, before: int) -> None:
        try:
            if before <= self._log.first():
                return
        except Unavailable:  # the tail of the log says so
            return
        try:
            self._log.trim(before)
        except P2pxError as error:  # room is all it costs
            logger.warning("log not trimmed below %d: %s", before, error.message)
