"""One market as it lies on the disk: its log and what a node kept of it, with or without processes.

The log is opened like a node opens it, so reading beside running nodes is safe; nothing is appended.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from p2pcli.errors import NotFound
from p2pcli.log.check import Report, check_log
from p2pcli.log.entry import Entry, Trimmed
from p2pcli.node.archive import Archive
from p2pcli.node.body import BadBody, Group, decode_body
from p2pcli.node.engine import open_log
from p2pcli.node.machine import Machine
from p2pcli.node.record import Record
from p2pcli.node.snapshots import NoSnapshot, Snapshots
from p2pcli.node.state import BadSnapshot, encode_state

READ_ENTRIES = 1000  # in one go


class NothingLogged(NotFound):
    """The market has no log there yet."""

    code = "nothing_logged"


class HistoryBeginsLate(NotFound):
    """A node took over a peer's snapshot, so what came before it is not in its own history."""

    code = "history_begins_late"


class LoggedEntry(msgspec.Struct, frozen=True):
    """One entry of a log with its commands, for people to look at."""

    sequence: int
    time_ns: int
    producer: str
    epoch: int
    number: int
    chain: bytes
    groups: list[Group]
    problem: str = ""  # why the commands cannot be shown


class MarketFiles:
    """The log of one market, and the folders in which nodes keep theirs. A context manager.

    ``log_url`` is a node's plan's (``sqlite:///folder``). Raises ``NothingLogged`` and what the log raises.
    """

    def __init__(self, log_url: str, symbol: str) -> None:
        self.symbol = symbol
        self.folder_name = symbol.replace("/", "-")
        engine, _, place = log_url.partition("://")
        if engine == "sqlite" and not (Path(place) / self.folder_name / "log.db").exists():
            raise NothingLogged(f"market {symbol} has no log in {place}", hint="p2px cluster up")
        self.log = open_log(log_url, self.folder_name, durable=True)

    def __enter__(self) -> "MarketFiles":
        return self

    def __exit__(self, *exc: object) -> None:
        self.log.close()

    def check(self) -> Report:
        """Read the whole log and say what is wrong with it first, if anything."""
        return check_log(self.log)

    def tail(self, count: int) -> list[LoggedEntry]:
        """Return the last ``count`` entries that are still in the log."""
        after = max(self.log.first() - 1, self.log.last() - count)
        return [_logged(entry) for entry in self._entries(after)][-count:]

    @property
    def first(self) -> int:
        """Return the oldest sequence the log has."""
        return self.log.first()

    @property
    def last(self) -> int:
        """Return the newest sequence the log has, 0 when it has none."""
        return self.log.last()

    def newest_snapshot(self, node_folders: Iterable[Path], through: int) -> tuple[int, bytes]:
        """Return the newest snapshot that any of these nodes keeps and that belongs to this log.

        (0, b"") when there is none up to ``through`` and none is needed. Raises ``NoSnapshot``.
        """
        kept = [Snapshots(folder / self.folder_name) for folder in node_folders]
        found = ((sequence, snapshots) for snapshots in kept for sequence in snapshots.sequences())
        for sequence, snapshots in sorted(found, key=lambda pair: pair[0], reverse=True):
            if not self.log.first() <= sequence <= through:
                continue
            try:
                state = snapshots.state(sequence)
                if state.chain == self.log.read(sequence - 1, 1)[0].chain:
                    return sequence, encode_state(state)
            except (BadSnapshot, NoSnapshot, Trimmed):
                continue  # another is as good
        if self.log.first() > 1:
            raise NoSnapshot(
                f"the log of {self.symbol} begins at {self.log.first()}, and no node keeps a snapshot here",
                hint="do it on a machine that runs a node of the cluster",
            )
        return 0, b""

    def runs(self, after: int, through: int) -> Iterator[list[Entry]]:
        """Yield entries from ``after + 1`` to ``through``, some at a time. Raises ``Trimmed``."""
        while after < through:
            entries = self.log.read(after, min(READ_ENTRIES, through - after))
            yield entries
            after = entries[-1].sequence

    def machine(self, node_folder: Path) -> Machine:
        """Return the state that a node would recover up to the end of its own history: snapshot and log."""
        own = node_folder / self.folder_name
        with Archive(own / "history.db") as archive:
            through = archive.last()
        machine = Snapshots(own).newest(through)
        for entry in self._entries(machine.sequence, through):
            machine.apply(entry)
        return machine

    def history(self, node_folder: Path, through: int) -> Iterator[Record]:
        """Yield what a node's history holds from the first entry to ``through``.

        Raises ``HistoryBeginsLate``.
        """
        with Archive(node_folder / self.folder_name / "history.db") as archive:
            for place, record in enumerate(archive.after(0)):
                if place == 0 and record.sequence != 1:
                    raise HistoryBeginsLate(
                        f"history of {self.symbol} in {node_folder} begins at sequence {record.sequence}",
                        hint="another node may have all of it",
                    )
                if record.sequence > through:
                    return
                yield record

    def history_end(self, node_folder: Path) -> int:
        """Return the last sequence in a node's history; 0 when it has none."""
        path = node_folder / self.folder_name / "history.db"
        if not path.exists():
            return 0
        with Archive(path) as archive:
            return archive.last()

    def beyond(self, machine: Machine) -> Iterator[Record]:
        """Apply what the log has after ``machine`` and yield it as history would hold it."""
        for entry in self._entries(machine.sequence):
            applied = machine.apply(entry)
            yield Record(
                applied.sequence,
                applied.time_ns,
                decode_body(entry.batch.body).groups,
                applied.outcomes,
                applied.producer,
            )

    def _entries(self, after: int, through: int | None = None) -> Iterator[Entry]:
        end = self.log.last() if through is None else through
        while after < end:
            try:
                page = self.log.read(after, min(READ_ENTRIES, end - after))
            except Trimmed as trimmed:  # meanwhile, by a node
                after = trimmed.first - 1
                continue
            if not page:
                return
            yield from page
            after = page[-1].sequence


def _logged(entry: Entry) -> LoggedEntry:
    batch = entry.batch
    time_ns, groups, problem = 0, [], ""
    try:
        body = decode_body(batch.body)
        time_ns, groups = body.time_ns, body.groups
    except BadBody as error:
        problem = error.message
    return LoggedEntry(
        entry.sequence, time_ns, batch.producer, batch.epoch, batch.number, entry.chain, groups, problem
    )
