"""One market hosted by this node: its log, replica, committer and history, and their threads."""

import logging
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from secrets import randbits

from p2pcli.clock import monotonic
from p2pcli.errors import Conflict, NotRunning, P2pxError
from p2pcli.log.entry import Corrupt, Entry, Unavailable, new_epoch
from p2pcli.market.commands import Checkpoint, Command
from p2pcli.market.instrument import Instrument, as_define
from p2pcli.market.views import MarketStatus
from p2pcli.node.attest import LEFT
from p2pcli.node.checkpoints import Checkpoints
from p2pcli.node.committer import Committer
from p2pcli.node.engine import open_log
from p2pcli.node.history import History
from p2pcli.node.machine import Machine
from p2pcli.node.metrics import Histogram, MarketReading
from p2pcli.node.moving import LogMoved, check_here, ended
from p2pcli.node.parcels import own_parcel
from p2pcli.node.plan import NodePlan
from p2pcli.node.replica import Replica
from p2pcli.node.requests import Busy, NotServing
from p2pcli.node.snapshots import NoSnapshot, Snapshots
from p2pcli.node.state import BadSnapshot, OtherStateVersion

JOIN_S = 10.0
STEP = 10_000  # entries read between two looks whether the node is told to stop
TELL_S = 5.0  # between two lines about a long log
DRAIN_S = 6.0  # longest wait for answers of a node that stops: an append and a little
LATE = 100  # entries that nodes may have appended to a log after its end, about
MAX_ASIDE = 9  # states that differed at one sequence and are kept

logger = logging.getLogger(__name__)


PeerSnapshots = Iterable[tuple[str, bytes | P2pxError]]  # each peer with its snapshot, or why it gave none


class NoPeerHasIt(NotRunning):
    """A node that must begin from a peer's snapshot found none; it is started again later."""

    code = "no_peer_has_it"


class OtherInstrument(Conflict):
    """The market's log was begun with another tick, lot or place than the settings say now."""

    code = "other_instrument"


class HostedMarket:
    """One market in this node. Open, recover, start, stop: in this order, each once."""

    def __init__(
        self,
        plan: NodePlan,
        instrument: Instrument,
        run: Callable[[str, Callable[[], None]], threading.Thread],
    ):
        """Open the files. ``run(name, loop)`` starts a guarded thread. Raises what the log raises."""
        folder = instrument.symbol.replace("/", "-")
        self.instrument = instrument
        self._name = plan.name
        self._plan = plan
        self._run = run
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._log = open_log(plan.log, folder, plan.durable)
        self._own = own = Path(plan.folder) / folder
        self._history = History(own / "history.db")
        self.snapshots = Snapshots(own)
        self._snapshot_commands = plan.snapshot_commands
        self._slow_s = plan.slow_s
        self._log_last = 0  # as the tail saw it
        self._checkpoints: Checkpoints | None = None
        machine = self.snapshots.newest(self._history.written)
        self.replica = Replica(plan.name, self._log, machine, self._history.add)
        self.committer: Committer | None = None
        self._committing: threading.Thread | None = None

    @property
    def history(self) -> History:
        return self._history

    def recover(self, fetch: Callable[[str], PeerSnapshots], stop: threading.Event) -> None:
        """Apply what the log has after the snapshot; ``fetch`` a peer's when the log begins later.

        A node that has nothing yet takes a peer's as well when the log is long; its history begins there.
        Returns early, and then not recovered, when ``stop`` is set.

        Raises ``Corrupt`` when the log ends before what this node has applied, or has something else
        there: acknowledged orders are missing then, and only a person can say where they are.
        """
        self._threads.append(self._run(f"history {self.instrument.symbol}", self._history.run))
        last = self._log.last()
        if last < self._history.written:
            raise self._went_elsewhere(last) or Corrupt(
                f"the log of {self.instrument.symbol} ends at sequence {last}, "
                f"but node {self._name} has applied {self._history.written}",
                last + 1,
                hint="put the whole log back, or start over with p2px cluster down --wipe",
            )
        if self.replica.sequence + 1 < self._log.first():
            if not self._adopt_own(last):
                self._adopt(fetch(self.instrument.symbol), is_needed=True)
        elif self.replica.sequence == 0 and last > self._plan.long_log:
            self._adopt(fetch(self.instrument.symbol), is_needed=False)
        with self.replica.reading() as machine:
            restored, chain = machine.sequence, machine.chain
        if restored > self._log.first() and self._log.read(restored - 1, 1)[0].chain != chain:
            raise self._went_elsewhere(last) or Corrupt(
                f"the log of {self.instrument.symbol} is not the one node {self._name} has applied: "
                f"entry {restored} differs",
                restored,
                hint="put the right log back, or start over with p2px cluster down --wipe",
            )
        self._catch_up(last, stop)
        check_here(self.replica.moving, self.replica.sequence)
        logger.info("recovered", extra=self._at())

    def _catch_up(self, last: int, stop: threading.Event) -> None:
        told = monotonic()
        while (at := self.replica.sequence) < last and not stop.is_set():
            self.replica.catch_up(min(last, at + STEP))
            if self.replica.sequence == at:
                return  # the log has no more: whoever reads it next finds out why
            if monotonic() - told > TELL_S:
                told = monotonic()
                logger.info("reading the log, which has %d entries", last, extra=self._at())

    def _at(self) -> dict[str, object]:
        return {"market": self.instrument.symbol, "sequence": self.replica.sequence}

    def _went_elsewhere(self, last: int) -> LogMoved | None:
        """Say so when the log has ended: this node may have gone on with it where it is now."""
        after = max(self._log.first() - 1, last - LATE)
        return ended(self._log.read(after, LATE))

    def _adopt_own(self, last: int) -> bool:
        """Go on from an own snapshot that history does not reach: a restored log comes with one."""
        machine = self.snapshots.newest(last)
        if machine.sequence + 1 < self._log.first():
            return False
        self.replica.adopt(machine)
        return True

    def _adopt(self, offered: PeerSnapshots, *, is_needed: bool) -> None:
        """Go on from the first snapshot of a peer that is whole and of this log. Raises ``NoPeerHasIt``."""
        symbol, said = self.instrument.symbol, []
        for peer, data in offered:
            if isinstance(data, P2pxError):
                said.append(f"{peer}: {data.message}")
                continue
            try:
                machine = Machine.restore(data)
                self._check_chain(machine)
            except (BadSnapshot, OtherStateVersion, Corrupt, NoSnapshot) as error:
                said.append(f"{peer}: {error.message}")
                continue
            self.replica.adopt(machine)
            self.snapshots.save(machine.snapshot(), machine.sequence)
            logger.info(
                "%s begins with the snapshot of %s; history before it is not here",
                symbol,
                peer,
                extra={"market": symbol, "sequence": machine.sequence, "bytes": len(data)},
            )
            return
        if is_needed:
            raise NoPeerHasIt(
                f"the log of {symbol} begins after what node {self._name} has, and no peer gave a snapshot: "
                + ("; ".join(said) or "no peer is known")
            )

    def _check_chain(self, machine: Machine) -> None:
        """Raise ``Corrupt`` for a snapshot of another log, ``NoSnapshot`` for one too old to go on from."""
        sequence = machine.sequence
        if sequence + 1 < self._log.first() or sequence <= self.replica.sequence:
            raise NoSnapshot(f"its snapshot at sequence {sequence} is older than the log's beginning")
        if sequence < self._log.first():
            return  # the next entry's hash is checked against it when it is applied
        entries = self._log.read(sequence - 1, 1)
        if not entries or entries[0].chain != machine.chain:
            raise Corrupt(f"its snapshot is not of this log: entry {sequence} differs", sequence)

    def start(self, committed: Callable[[Entry], None]) -> None:
        """Begin to commit under a fresh epoch. ``committed`` is given every entry of this node."""
        with self.replica.reading() as machine:
            epoch = new_epoch(machine.sessions.epoch(self._name), randbits(32))
        self.replica.take_epoch(epoch)
        self.committer = Committer(
            self._name,
            self.instrument,
            epoch,
            self._log,
            self.replica,
            committed,
            queued_commands=self._plan.queued_commands,
            append_timeout_s=self._plan.append_timeout_s,
            slow_s=self._slow_s,
        )
        symbol = self.instrument.symbol
        self._committing = self._run(f"commit {symbol}", self.committer.run)
        self._threads.append(self._committing)
        self._threads.append(self._run(f"tail {symbol}", self._tail))
        self._checkpoints = Checkpoints(
            self.replica, self._history, self.snapshots, self._log, self._snapshot_commands, self._propose
        )
        self._threads.append(self._run(f"checkpoint {symbol}", self._checkpoints.run))
        self._define()

    def _define(self) -> None:
        """Propose this node's instrument unless the log has it already. Raises ``OtherInstrument``."""
        with self.replica.reading() as machine:
            known = machine.instrument
        wanted = self.instrument
        if known == wanted:
            return
        if known is not None and _fixed(known) != _fixed(wanted):
            raise OtherInstrument(
                f"the log of {known.symbol} was begun with tick {known.tick}, lot {known.lot} (in 1e-8) and "
                f"number {known.number}; the settings say {wanted.tick}, {wanted.lot} and {wanted.number}",
                hint="keep tick, lot and the order of markets, or begin a new cluster with --name",
            )
        self._propose(as_define(wanted))

    def _propose(self, command: Command) -> None:
        """Put a command of the node's own into the log; nobody waits for its outcome."""
        assert self.committer is not None
        self.committer.offer([own_parcel(self._name, command)])

    def _tail(self) -> None:
        """Read from the log what no push has brought, once nothing has come between two looks.

        While pushes come, however late, they are what this node would read.
        """
        seen, out_of_reach = -1, False
        while not self._stopping.wait(self._log.poll_s):
            self.replica.check()  # a push may have brought what this node must stop for
            try:
                if self.replica.sequence < self._log_last and self.replica.sequence == seen:
                    self.replica.catch_up(self._log_last)
                seen = self.replica.sequence
                self._log_last = self._log.last()
            except Unavailable as error:  # reads go on with what is here, and pushes still arrive
                if not out_of_reach:
                    logger.warning("cannot read the log: %s", error.message)
                out_of_reach = True
            else:
                out_of_reach = False

    def status(self) -> MarketStatus:
        """Describe this market as it is here now."""
        with self.replica.reading() as machine:
            return MarketStatus(
                self.instrument.symbol,
                machine.sequence,
                machine.digest,
                machine.open_orders,
                machine.last_trade,
                machine.last_price,
                machine.halted,
                moves_to=machine.moving.log if machine.moving is not None else "",
            )

    def reading(self) -> MarketReading:
        """Return this market's counts for the metrics. Touches no disk."""
        committer = self.committer
        with self.replica.reading() as machine:
            return MarketReading(
                self.instrument.symbol,
                machine.last_order,
                machine.last_trade,
                machine.open_orders,
                machine.sequence,
                max(0, self._log_last - machine.sequence),
                committer.waiting if committer is not None else 0,
                self._history.waiting,
                committer.committed if committer is not None else 0,
                committer.busy if committer is not None else 0,
                committer.append_seconds if committer is not None else Histogram(),
                self.replica.apply_seconds,
            )

    def close_doors(self, *, leaves: bool) -> None:
        """Take no more commands. A node that ``leaves`` for good says in the log that it needs none of it."""
        if self.committer is None:
            return
        if leaves:
            try:
                self._propose(Checkpoint(0, b"", LEFT))
            except (Busy, NotServing) as error:  # the log is kept for it a while longer
                logger.warning("%s was not told that this node leaves: %s", self.instrument.symbol, error)
        self.committer.stop()

    def drain(self) -> None:
        """Return once what was taken is answered, or takes too long."""
        if self._committing is not None:
            self._committing.join(DRAIN_S)

    def stop(self) -> None:
        """Answer what was taken, write what was applied, close the files."""
        self._stopping.set()
        if self.committer is not None:
            self.committer.stop()
        if self._checkpoints is not None:
            self._checkpoints.stop()
        for thread in self._threads[1:]:
            thread.join(JOIN_S)
        self._history.stop()
        for thread in self._threads[:1]:
            thread.join(JOIN_S)
        self._history.close()
        self._log.close()
        if self.replica.differs:
            self._set_aside()

    def _set_aside(self) -> None:
        """Keep a state that differs for whoever wants to know why; the next start builds it from the log."""
        stem = f"{self._own.name}.differs-at-{self.replica.sequence}"
        names = (stem, *(f"{stem}-{again}" for again in range(2, MAX_ASIDE + 1)))
        aside = next((path for path in map(self._own.with_name, names) if not path.exists()), None)
        if aside is None:
            logger.error("%d states that differ are kept beside %s already", MAX_ASIDE, self._own)
            return
        try:
            self._own.rename(aside)
        except OSError as error:
            logger.error("cannot set aside %s: %s", self._own, error.strerror)
        else:
            logger.error("a state that differs was set aside in %s", aside)


def _fixed(instrument: Instrument) -> tuple[str, int, int, int]:
    return instrument.symbol, instrument.number, instrument.tick, instrument.lot
