"""Orders and trades of the past, in a SQLite file of this node's own. Derived from the log.

Written in the background, one row an entry, because a row an order would cost more than matching
does. ``touches`` says which later entries changed an order; its rows go in with one statement a
flush, so that SQLite inserts them without the interpreter's lock.

    entries(sequence, time_ns, first_order, first_trade, body, outcomes)
    touches(order_id, sequence)

``first_order`` and ``first_trade`` are the numbers an entry starts at; ``body`` and ``outcomes`` are the
bytes that the log and the digest have already made.
"""

import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import msgspec

from p2pcli.clock import monotonic
from p2pcli.errors import P2pxError
from p2pcli.market.commands import Side
from p2pcli.market.events import Outcome
from p2pcli.market.views import OrderView, TradeView
from p2pcli.node.body import BadBody, decode_body
from p2pcli.node.machine import Applied
from p2pcli.node.record import Record, amended_takers, later, placement, placements, touched, trades

MAX_PENDING = 50_000  # entries not yet written; beyond it the applying thread waits
SCAN_LIMIT = 100_000  # entries looked through for closed orders
RETRY_S = 1.0  # before a failed write is tried again: a full disk may have room by then
PAGE = 256  # entries read at once on the way back
_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    sequence INTEGER PRIMARY KEY, time_ns INTEGER NOT NULL,
    first_order INTEGER NOT NULL, first_trade INTEGER NOT NULL,
    body BLOB NOT NULL, outcomes BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS entries_by_order ON entries (first_order);
CREATE INDEX IF NOT EXISTS entries_by_trade ON entries (first_trade);
CREATE TABLE IF NOT EXISTS touches (
    order_id INTEGER NOT NULL, sequence INTEGER NOT NULL, PRIMARY KEY (order_id, sequence)) WITHOUT ROWID;
"""
VERSION = 1

logger = logging.getLogger(__name__)
_decode_outcomes = msgspec.msgpack.Decoder(list[list[Outcome]]).decode
_json = msgspec.json.Encoder().encode


class HistoryBroken(P2pxError):
    """History cannot be written or read; what is in the log is not touched by that."""

    code = "history_broken"


class _Row(msgspec.Struct, frozen=True):
    applied: Applied
    body: bytes

    def record(self) -> Record:
        applied = self.applied
        return Record(applied.sequence, applied.time_ns, decode_body(self.body).groups, applied.outcomes)


class History:
    """One market's past in one node: a bounded queue, the thread that empties it, and reads."""

    def __init__(self, path: Path) -> None:
        """Open or create the file. Raises ``HistoryBroken``."""
        self._path = path
        self._pending: deque[_Row] = deque()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._stopping = False
        self._failed = ""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._writer.execute("PRAGMA journal_mode=WAL")
            self._writer.execute("PRAGMA synchronous=NORMAL")  # derived: the log can fill a lost tail again
            self._writer.executescript(_SCHEMA)
            (version,) = self._writer.execute("PRAGMA user_version").fetchone()
            if version not in (0, VERSION):
                raise HistoryBroken(f"{path} has layout {version}, this p2px knows {VERSION}")
            self._writer.execute(f"PRAGMA user_version={VERSION}")
            self._reader = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._reader_lock = threading.Lock()
            (self._written,) = self._writer.execute(
                "SELECT coalesce(max(sequence), 0) FROM entries"
            ).fetchone()
        except (OSError, sqlite3.Error) as error:
            raise HistoryBroken(f"cannot open {path}: {error}") from error

    @property
    def written(self) -> int:
        """Return the last sequence in the file."""
        return int(self._written)

    def add(self, applied: Applied, body: bytes) -> None:
        """Queue one entry; what the file already has is passed over. Waits while the queue is full."""
        with self._changed:
            if applied.sequence <= self._written:
                return
            while len(self._pending) >= MAX_PENDING and not self._stopping:
                self._changed.wait()
            self._pending.append(_Row(applied, body))
            if len(self._pending) == 1:
                self._changed.notify_all()

    def run(self) -> None:
        """Write until stopped, then once more. What cannot be written waits and is tried again."""
        while True:
            with self._changed:
                while not self._pending and not self._stopping:
                    self._changed.wait()
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
                self._failed = ""
                self._written = rows[-1].applied.sequence
                for _ in rows:
                    self._pending.popleft()
                self._changed.notify_all()

    def make_durable(self, sequence: int, timeout: float) -> None:
        """Return once everything up to ``sequence`` is on the disk. Raises ``HistoryBroken``."""
        deadline = monotonic() + timeout
        with self._changed:
            while self._written < sequence:
                left = deadline - monotonic()
                if self._failed or left <= 0:
                    raise HistoryBroken(self._failed or f"{self._path} lags behind sequence {sequence}")
                self._changed.wait(left)
        try:
            with self._reader_lock:  # a checkpoint syncs the WAL, then the file
                self._reader.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            raise HistoryBroken(f"cannot sync {self._path}: {error}") from error

    def stop(self) -> None:
        """Let ``run`` return after what is queued."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def close(self) -> None:
        """Close the file; only after ``run`` returned."""
        self._writer.close()
        with self._reader_lock:
            self._reader.close()

    # -- reads ------------------------------------------------------------------------------------

    def order(self, order: int) -> OrderView | None:
        """Return an order with all its fills, or None when history does not have it."""
        placed = self._record_of_order(order)
        view = placement(placed, order) if placed else None
        if view is None:
            return None
        for record in self._touching(order):
            view = later(view, record)
        return view

    def orders(self, owner: str | None, limit: int) -> list[OrderView]:
        """Return the newest ``limit`` orders, closed ones too, oldest first. Looks at most
        ``SCAN_LIMIT`` entries back."""
        found: list[int] = []
        for record in self._backwards():
            placed = [view.order for view in placements(record) if owner is None or view.owner == owner]
            found += reversed(placed)
            if len(found) >= limit:
                break
        views = (self.order(order) for order in reversed(found[:limit]))
        return [view for view in views if view is not None]

    def trades(self, last: int, after: int, newest: int) -> list[TradeView]:
        """Return up to ``last`` trades before and including ``newest``, all above ``after``, oldest first."""
        first = max(after + 1, newest - last + 1)
        if first > newest:
            return []
        records = self._from_trade(first)
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
            rows = [row for row in self._pending if row.applied.first_order <= order]
        if rows:
            return rows[-1].record()
        found = self._select(
            "SELECT * FROM entries WHERE first_order <= ? ORDER BY first_order DESC, sequence DESC LIMIT 1",
            order,
        )
        return found[0] if found else None

    def _touching(self, order: int) -> list[Record]:
        with self._lock:
            pending = list(self._pending)
            written = self._written
        records = self._select(
            "SELECT entries.* FROM touches JOIN entries USING (sequence)"
            " WHERE order_id = ? AND sequence <= ? ORDER BY sequence",
            order,
            written,
        )
        return records + [row.record() for row in pending if order in touched(row.applied.outcomes)]

    def _from_trade(self, first: int) -> list[Record]:
        with self._lock:
            pending = list(self._pending)
            written = self._written
        records = self._select(
            "SELECT * FROM entries WHERE sequence <= ?2 AND sequence >= (SELECT sequence FROM entries"
            " WHERE first_trade <= ?1 ORDER BY first_trade DESC, sequence DESC LIMIT 1) ORDER BY sequence",
            first,
            written,
        )
        return records + [row.record() for row in pending]

    def _backwards(self) -> Iterator[Record]:
        with self._lock:
            pending = list(self._pending)
            written = self._written
        yield from (row.record() for row in reversed(pending))
        oldest = max(0, written - SCAN_LIMIT)
        while written > oldest:
            low = max(oldest, written - PAGE)
            yield from self._select(
                "SELECT * FROM entries WHERE sequence > ? AND sequence <= ? ORDER BY sequence DESC",
                low,
                written,
            )
            written = low

    def _select(self, statement: str, *values: int) -> list[Record]:
        try:
            with self._reader_lock:
                rows = self._reader.execute(statement, values).fetchall()
            return [
                Record(sequence, time_ns, decode_body(body).groups, _decode_outcomes(outcomes))
                for sequence, time_ns, _, _, body, outcomes in rows
            ]
        except (sqlite3.Error, msgspec.MsgspecError, BadBody) as error:
            raise HistoryBroken(f"cannot read {self._path}: {error}") from error

    # -- writing ----------------------------------------------------------------------------------

    def _write(self, rows: list[_Row]) -> None:
        touches = [(order, row.applied.sequence) for row in rows for order in touched(row.applied.outcomes)]
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            self._writer.executemany(
                "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)",
                [_values(row.applied, row.body) for row in rows],
            )
            if touches:
                self._writer.execute(
                    "INSERT OR IGNORE INTO touches"
                    " SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)",
                    (_json(touches).decode(),),
                )
            self._writer.execute("COMMIT")
        except sqlite3.Error:
            self._writer.execute("ROLLBACK")
            raise


def _values(applied: Applied, body: bytes) -> tuple[int, int, int, int, bytes, bytes]:
    return (
        applied.sequence,
        applied.time_ns,
        applied.first_order,
        applied.first_trade,
        body,
        applied.encoded,
    )
