"""The file that history is kept in: its layout, and every question that is asked of it.

    entries(sequence, time_ns, first_order, first_trade, body, outcomes, producer)
    touches(order_id, sequence)

``first_order`` and ``first_trade`` are the numbers an entry starts at; ``body`` and ``outcomes`` are the
bytes that the log and the digest have already made, the outcomes as notes (``market.notes``). ``touches``
says which later entries changed an order: its maker fills, amends and cancels.
"""

import sqlite3
import threading
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import msgspec

from p2pcli.errors import P2pxError
from p2pcli.market.events import Outcome
from p2pcli.market.notes import BadNotes, Notes, decode_notes, outcomes_of
from p2pcli.node.body import BadBody, Group, decode_body
from p2pcli.node.record import Record

VERSION = 3  # 1 had no producer: TO_2 makes one of the other; both had outcomes, which are notes too
PAGE = 256  # entries read at once
SCAN_LIMIT = 100_000  # entries looked through for closed orders
SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    sequence INTEGER PRIMARY KEY, time_ns INTEGER NOT NULL,
    first_order INTEGER NOT NULL, first_trade INTEGER NOT NULL,
    body BLOB NOT NULL, outcomes BLOB NOT NULL, producer TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS entries_by_order ON entries (first_order);
CREATE INDEX IF NOT EXISTS entries_by_trade ON entries (first_trade);
CREATE TABLE IF NOT EXISTS touches (
    order_id INTEGER NOT NULL, sequence INTEGER NOT NULL, PRIMARY KEY (order_id, sequence)) WITHOUT ROWID;
"""
TO_2 = "ALTER TABLE entries ADD COLUMN producer TEXT NOT NULL DEFAULT ''"

_encode = msgspec.json.Encoder().encode

Value = int | str | bytes | None  # of a statement


def record_of(sequence: int, time_ns: int, body: bytes, outcomes: bytes, producer: str) -> Record:
    """Return what a row says. Raises BadBody, BadNotes, ``msgspec.MsgspecError``."""
    groups = decode_body(body).groups
    return Record(sequence, time_ns, groups, _outcomes(groups, decode_notes(outcomes)), producer)


def _outcomes(groups: list[Group], notes: list[Notes]) -> list[list[Outcome]]:
    if not notes:  # the entry was a repeat
        return []
    return [outcomes_of(noted, group.commands) for group, noted in zip(groups, notes, strict=True)]


def as_json(numbers: list[int]) -> str:
    """Return numbers as SQLite takes them apart, without the interpreter's lock."""
    return _encode(numbers).decode()


class HistoryBroken(P2pxError):
    """History cannot be written or read; what is in the log is not touched by that."""

    code = "history_broken"


class Archive:
    """Reads one history file, also while its node writes it and after the node is gone. Thread-safe."""

    def __init__(self, path: Path) -> None:
        """Open an existing file. Raises ``HistoryBroken``."""
        self.path = path
        self._lock = threading.Lock()
        try:
            self._connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, check_same_thread=False
            )
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        except sqlite3.Error as error:
            raise HistoryBroken(f"cannot open {path}: {error}") from error
        if version != VERSION:
            self._connection.close()
            raise HistoryBroken(f"{path} has layout {version}, this p2px knows {VERSION}")

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def last(self) -> int:
        """Return the last sequence in the file, 0 when it is empty."""
        return int(self._rows("SELECT coalesce(max(sequence), 0) FROM entries")[0][0])

    def sync(self) -> None:
        """Return once what was committed is on the disk: a checkpoint syncs the WAL, then the file."""
        self._rows("PRAGMA wal_checkpoint(PASSIVE)")

    def after(self, sequence: int) -> Iterator[Record]:
        """Yield every record after ``sequence``, in order."""
        while page := list(
            self._records(
                "SELECT * FROM entries WHERE sequence > ? ORDER BY sequence LIMIT ?", sequence, PAGE
            )
        ):
            yield from page
            sequence = page[-1].sequence

    def backwards(self, newest: int, owner: str | None, below: int) -> Iterator[Record]:
        """Yield records from ``newest`` down, or from the one before order ``below``, of at most
        ``SCAN_LIMIT`` entries.

        With ``owner`` those in which the name stands somewhere, which SQLite sees without decoding any.
        """
        if below:
            newest = self._rows(
                "SELECT coalesce(max(sequence), 0) FROM entries WHERE sequence <= ? AND first_order < ?",
                newest,
                below,
            )[0][0]
        oldest = max(0, newest - SCAN_LIMIT)
        while newest > oldest:
            low = max(oldest, newest - PAGE)
            yield from self._records(
                "SELECT * FROM entries WHERE sequence > ?1 AND sequence <= ?2 AND (?3 IS NULL OR"
                " instr(body, ?3)) ORDER BY sequence DESC",
                low,
                newest,
                None if owner is None else owner.encode(),
            )
            newest = low

    def placing(self, order: int) -> Record | None:
        """Return the record in which an order was placed, if any order was placed there. O(log n)."""
        found = self._records(
            "SELECT * FROM entries WHERE first_order <= ? ORDER BY first_order DESC, sequence DESC LIMIT 1",
            order,
        )
        return next(found, None)

    def touching(self, orders: Collection[int], through: int) -> Iterator[Record]:
        """Yield the records up to ``through`` that changed any of these after it was placed, in order."""
        sequences = self._rows(
            "SELECT DISTINCT sequence FROM touches"
            " WHERE order_id IN (SELECT value FROM json_each(?)) AND sequence <= ? ORDER BY sequence",
            as_json(list(orders)),
            through,
        )
        for start in range(0, len(sequences), PAGE):
            page = [sequence for (sequence,) in sequences[start : start + PAGE]]
            yield from self._records(
                "SELECT * FROM entries WHERE sequence IN (SELECT value FROM json_each(?)) ORDER BY sequence",
                as_json(page),
            )

    def trading(self, first: int, last: int, through: int) -> Iterator[Record]:
        """Yield the records up to ``through`` from the one with trade ``first`` to the one with ``last``."""
        yield from self._records(
            "SELECT * FROM entries WHERE sequence <= ?3 AND first_trade <= ?2 AND sequence >= coalesce("
            "(SELECT sequence FROM entries WHERE first_trade <= ?1"
            " ORDER BY first_trade DESC, sequence DESC LIMIT 1), 0) ORDER BY sequence",
            first,
            last,
            through,
        )

    def _records(self, statement: str, *values: Value) -> Iterator[Record]:
        """Yield a record a row, decoded when it is asked for: who has enough stops there."""
        try:
            for sequence, time_ns, _, _, body, outcomes, producer in self._rows(statement, *values):
                yield record_of(sequence, time_ns, body, outcomes, producer)
        except (msgspec.MsgspecError, BadBody, BadNotes) as error:
            raise HistoryBroken(f"{self.path} is damaged: {error}") from error

    def _rows(self, statement: str, *values: Value) -> list[Any]:
        try:
            with self._lock:
                return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise HistoryBroken(f"cannot read {self.path}: {error}") from error
