"""Orders and trades of the past, in a SQLite file of this node's own. Derived from the log.

Written in the background, one row an entry, because a row an order would cost more than matching does; some
rows at a time with pauses in between, because an order that meets the writer waits for it. The rows of
``touches`` go in with one statement an entry, from a list of numbers that SQLite takes apart without the
interpreter's lock: 0.5 us an order for everything, 1.8 with pairs instead of numbers.
What is not written yet is answered from memory.
"""

import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Collection, Iterator
from pathlib import Path
from time import sleep

import msgspec

from p2pcli.clock import monotonic
from p2pcli.market.commands import Side
from p2pcli.market.views import OrderView, TradeView
from p2pcli.node.archive import SCHEMA, TO_2, VERSION, Archive, HistoryBroken, as_json, record_of
from p2pcli.node.machine import Applied
from p2pcli.node.record import Record, amended_takers, later, placement, placements, touched, trades

MAX_PENDING = 50_000  # entries not yet written; beyond it the applying thread waits
GATHER_S = 0.05  # so long an entry waits for others to share a transaction; one each cost 0.1 ms an order ...
LONGEST_S = 0.5  # ... and so long in all: every transaction delays the orders that it meets
GATHER_BYTES = 1 << 20  # of bodies and outcomes, which is as much as is gathered
ROWS = 32  # written by one statement; 224 values, and SQLite takes 999 at least
PAUSE_S = 0.001  # between two pieces of so many, for the orders that wait ...
FEW_ROWS = 2_000  # ... unless there are so many rows that the writer must keep up
RETRY_S = 1.0  # before a failed write is tried again: a full disk may have room by then

logger = logging.getLogger(__name__)


class _Row(msgspec.Struct, frozen=True, gc=False):
    """One entry as the file will have it. Its outcomes are bytes already: objects would grow cold in the
    queue, and to free them then costs as much as to make them."""

    sequence: int
    time_ns: int
    first_order: int
    first_trade: int
    body: bytes
    outcomes: bytes
    producer: str
    touched: list[int]  # ascending, which is the order of the table's own: 0.35 us a row instead of 0.57

    @property
    def size(self) -> int:
        return len(self.body) + len(self.outcomes)

    def record(self) -> Record:
        return record_of(self.sequence, self.time_ns, self.body, self.outcomes, self.producer)


class History:
    """One market's past in one node: a bounded queue, the thread that empties it, and reads."""

    def __init__(self, path: Path) -> None:
        """Open or create the file. Raises ``HistoryBroken``."""
        self._path = path
        self._pending: deque[_Row] = deque()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._pending_bytes = 0
        self._wanted = 0  # up to which sequence somebody waits
        self._stopping = False
        self._failed = ""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._writer.execute("PRAGMA journal_mode=WAL")
            self._writer.execute("PRAGMA synchronous=NORMAL")  # derived: the log can fill a lost tail again
            (layout,) = self._writer.execute("PRAGMA user_version").fetchone()
            self._writer.executescript(SCHEMA)
            if layout < VERSION:
                change = f"{TO_2};" if layout == 1 else ""
                self._writer.executescript(f"BEGIN; {change} PRAGMA user_version={VERSION}; COMMIT")
        except (OSError, sqlite3.Error) as error:
            raise HistoryBroken(f"cannot open {path}: {error}") from error
        self._archive = Archive(path)
        self._written = self._archive.last()

    @property
    def written(self) -> int:
        """Return the last sequence in the file."""
        return int(self._written)

    @property
    def waiting(self) -> int:
        """Return how many entries are not in the file yet."""
        return len(self._pending)

    def add(self, applied: Applied, body: bytes) -> None:
        """Queue one entry; what the file already has is passed over. Waits while the queue is full."""
        if applied.sequence <= self._written:
            return
        row = _Row(
            applied.sequence,
            applied.time_ns,
            applied.first_order,
            applied.first_trade,
            body,
            applied.encoded,
            applied.producer,
            sorted(touched(applied.groups, applied.notes)),
        )
        with self._lock:
            while len(self._pending) >= MAX_PENDING and not self._stopping:
                self._changed.wait()
            self._pending.append(row)
            before, self._pending_bytes = self._pending_bytes, self._pending_bytes + row.size
            if len(self._pending) == 1 or before < GATHER_BYTES <= self._pending_bytes:
                self._changed.notify_all()

    def run(self) -> None:
        """Write until stopped, then once more. What cannot be written waits and is tried again."""
        while True:
            with self._changed:
                while not self._pending and not self._stopping:
                    self._changed.wait()
                self._gather()
                rows = list(self._pending)
                if not rows:
                    break
            try:
                self._write(rows)
            except sqlite3.Error as error:
                with self._changed:
                    if not self._failed:
                        logger.error("history waits at sequence %d: %s", self._written, error)
                    self._failed = f"history of {self._path} cannot be written: {error}"
                    self._changed.notify_all()
                    if self._stopping:
                        break
                    self._changed.wait(RETRY_S)
                continue
            with self._changed:
                if self._failed:
                    logger.warning("history is written again, up to sequence %d", rows[-1].sequence)
                self._failed = ""
                self._written = rows[-1].sequence
                for _ in rows:
                    self._pending_bytes -= self._pending.popleft().size
                self._changed.notify_all()

    def _gather(self) -> None:
        """Wait while more comes, but not for long, not for much, and not while somebody waits for it."""
        end, seen = monotonic() + LONGEST_S, 0
        while (
            seen < len(self._pending)
            and self._pending_bytes < GATHER_BYTES
            and self._wanted <= self._written
            and not self._stopping
            and monotonic() < end
        ):
            seen = len(self._pending)
            self._changed.wait(GATHER_S)

    def make_durable(self, sequence: int, timeout: float) -> None:
        """Return once everything up to ``sequence`` is on the disk. Raises ``HistoryBroken``."""
        deadline = monotonic() + timeout
        with self._changed:
            self._wanted = max(self._wanted, sequence)
            self._changed.notify_all()
            while self._written < sequence:
                left = deadline - monotonic()
                if self._failed or left <= 0:
                    raise HistoryBroken(self._failed or f"{self._path} lags behind sequence {sequence}")
                self._changed.wait(left)
        self._archive.sync()

    def stop(self) -> None:
        """Let ``run`` return after what is queued."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def close(self) -> None:
        """Close the file; only after ``run`` returned."""
        self._writer.close()
        self._archive.close()

    # -- reads ------------------------------------------------------------------------------------

    def order(self, order: int) -> OrderView | None:
        """Return an order with all its fills, or None when history does not have it."""
        placed = self._record_of_order(order)
        view = placement(placed, order) if placed else None
        return None if view is None else later({order: view}, self._touching([order]))[order]

    def orders(self, owner: str | None, limit: int, below: int = 0) -> list[OrderView]:
        """Return the newest ``limit`` orders, or of those below an id, closed ones too, oldest first.

        Looks at most ``archive.SCAN_LIMIT`` entries back.
        Each entry that placed or changed one is decoded once: an order at a time took 7 s for a thousand of
        a file that was imported, a hundred to the entry.
        """
        found: dict[int, OrderView] = {}
        for record in self._backwards(owner, below):
            placed = [
                view
                for view in placements(record)
                if owner in (None, view.owner) and (not below or view.order < below)
            ]
            found |= {view.order: view for view in placed[::-1][: limit - len(found)]}
            if len(found) == limit:
                break
        oldest_first = dict(sorted(found.items()))
        return list(later(oldest_first, self._touching(oldest_first)).values())

    def trades(self, after: int, newest: int) -> list[TradeView]:
        """Return the trades with numbers above ``after`` up to ``newest``, oldest first."""
        first = after + 1
        if first > newest:
            return []
        records = self._trading(first, newest)
        sides = {order: self._side(order) for order in amended_takers(records)}
        views = [view for record in records for view in trades(record, sides)]
        return [view for view in views if first <= view.trade <= newest]

    def _side(self, order: int) -> Side:
        view = self.order(order)
        if view is None:
            raise HistoryBroken(f"history has a trade of order {order} but not the order")
        return view.side

    def _record_of_order(self, order: int) -> Record | None:
        with self._lock:
            rows = [row for row in self._pending if row.first_order <= order]
        return rows[-1].record() if rows else self._archive.placing(order)

    def _touching(self, orders: Collection[int]) -> Iterator[Record]:
        pending, written = self._now()
        yield from self._archive.touching(orders, written)
        yield from (row.record() for row in pending if not set(row.touched).isdisjoint(orders))

    def _trading(self, first: int, last: int) -> list[Record]:
        pending, written = self._now()
        found = list(self._archive.trading(first, last, written))
        return found + [row.record() for row in pending if row.first_trade <= last]

    def _backwards(self, owner: str | None, below: int) -> Iterator[Record]:
        """Yield records that may hold placements of this owner, of orders below an id; the newest first."""
        pending, written = self._now()
        for row in reversed(pending):
            if (not below or row.first_order < below) and (owner is None or owner.encode() in row.body):
                yield row.record()
        yield from self._archive.backwards(written, owner, below)

    def _now(self) -> tuple[list[_Row], int]:
        """Return what is not in the file yet, and the last sequence that is."""
        with self._lock:
            return list(self._pending), self._written

    # -- writing ----------------------------------------------------------------------------------

    def _write(self, rows: list[_Row]) -> None:
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            for start in range(0, len(rows), ROWS):
                if start and len(rows) <= FEW_ROWS and not self._stopping:
                    sleep(PAUSE_S)
                self._insert(rows[start : start + ROWS])
            self._writer.execute("COMMIT")
        except sqlite3.Error:
            if self._writer.in_transaction:  # a full disk has ended it already
                self._writer.execute("ROLLBACK")
            raise

    def _insert(self, rows: list[_Row]) -> None:
        # A statement for each takes 4.2 us instead of 2.2, and asks for the interpreter's lock each time.
        values = [value for row in rows for value in msgspec.structs.astuple(row)[:7]]
        self._writer.execute(_insertion(len(rows)), values)
        self._writer.executemany(
            "INSERT OR IGNORE INTO touches SELECT value, ? FROM json_each(?)",
            [(row.sequence, as_json(row.touched)) for row in rows if row.touched],
        )


def _insertion(rows: int) -> str:
    return f"INSERT INTO entries VALUES {', '.join(['(?, ?, ?, ?, ?, ?, ?)'] * rows)}"
