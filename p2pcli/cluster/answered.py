"""What lines of order files were answered, so that a file is resumed however long it is: one SQLite file.

The exchange remembers the last ids of an owner (rule M7: 100,000 unless the market says otherwise). A longer
file that is imported again would be carried out again from its beginning. So ``order import`` notes every
line that was answered, under a key that stands for its owner, market and content; what was sent and not
answered yet is among the last ids, which the exchange knows.

The file lies in the cluster's folder and goes with it. Of a cluster elsewhere, which may have been wiped
meanwhile, ``newest`` names an order that the exchange must know if the notes are still true.

Notes are written without an fsync a frame: kill -9 loses none, and what a power cut loses the exchange
remembers. They take about 60 bytes a line.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from p2pcli.errors import Conflict
from p2pcli.market.events import Amended, Cancelled, Placed, Refused

KEPT: Final = 10_000_000  # lines; older ones are forgotten
BUSY_S = 5.0  # wait for another import that writes
_VERSION = 1
_SCHEMA = """
    CREATE TABLE IF NOT EXISTS new (
        number INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL, answer BLOB NOT NULL
    );
    CREATE TABLE IF NOT EXISTS line (
        key BLOB PRIMARY KEY, number INTEGER NOT NULL, answer BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS newest (market TEXT PRIMARY KEY, name INTEGER NOT NULL, client TEXT NOT NULL);
"""
# Keys are hashes, so each would go to a page of its own: 18.8 s for 200,000 lines instead of 7. They are
# added in order, and sorted in by whoever opens the file next.
_SORT_IN = """
    BEGIN IMMEDIATE;
    INSERT OR IGNORE INTO line SELECT key, number, answer FROM new ORDER BY key, number;
    DELETE FROM new;
    COMMIT
"""

LineOutcome = Placed | Amended | Cancelled | Refused


class NotNoted(Conflict):
    """The notes of earlier imports cannot be read or written."""

    code = "not_noted"


class LineAnswer(msgspec.Struct, frozen=True, array_like=True):
    """How a line was answered. Fills are left out: the order itself tells them."""

    sequence: int
    outcome: LineOutcome


class Newest(msgspec.Struct, frozen=True):
    """The last order that an import placed in a market."""

    market: str
    order: int
    client_order_id: str


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(LineAnswer).decode


class AnsweredLines:
    """The notes in one file. Making one touches no disk; the first question opens it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: sqlite3.Connection | None = None

    def close(self) -> None:
        """Close the file. Repeating it is fine."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def find(self, keys: Sequence[bytes]) -> dict[bytes, LineAnswer]:
        """Return the answers of the lines that had one when the file was opened. Raises ``NotNoted``."""
        if not keys:
            return {}
        with self._connection() as connection:
            marks = ",".join("?" * len(keys))
            rows = connection.execute(f"SELECT key, answer FROM line WHERE key IN ({marks})", keys).fetchall()
            return {key: _decode(answer) for key, answer in rows}

    def add(self, answers: Iterable[tuple[bytes, LineAnswer]], newest: Newest | None) -> None:
        """Note answers, for whoever opens the file next. Raises ``NotNoted``."""
        rows = [(key, _encode(answer)) for key, answer in answers]
        if not rows:
            return
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO new (key, answer) VALUES (?, ?)", rows)
            if newest is not None:
                connection.execute(
                    "INSERT OR REPLACE INTO newest VALUES (?, ?, ?)", msgspec.structs.astuple(newest)
                )
            connection.execute("COMMIT")

    def newest(self) -> list[Newest]:
        """Return the last order of each market, none when nothing is noted. Raises ``NotNoted``."""
        if self._open is None and not self._path.exists():
            return []
        with self._connection() as connection:
            return [Newest(*row) for row in connection.execute("SELECT * FROM newest ORDER BY market")]

    def forget(self) -> None:
        """Delete every note. Raises ``NotNoted``."""
        with self._connection() as connection:
            connection.executescript(
                "BEGIN IMMEDIATE; DELETE FROM new; DELETE FROM line; DELETE FROM newest; COMMIT"
            )

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            if self._open is None:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._open = sqlite3.connect(self._path, isolation_level=None, timeout=BUSY_S)
                self._path.chmod(0o600)
                _prepare(self._open)
            yield self._open
        except (OSError, sqlite3.Error, msgspec.MsgspecError) as error:
            raise NotNoted(
                f"what imports were answered cannot be noted in {self._path}: {error}",
                hint="make room, or delete it when it is damaged",
            ) from error


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version not in (0, _VERSION):
        raise sqlite3.DatabaseError(f"layout {version}, this p2px knows {_VERSION}")
    connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version={_VERSION}; COMMIT")
    connection.executescript(_SORT_IN)
    (last,) = connection.execute("SELECT max(seq) FROM sqlite_sequence").fetchone()
    if last is not None and last > KEPT:
        connection.execute("DELETE FROM line WHERE number <= ?", (last - KEPT,))
