"""The database file of one log: how it is made, opened and made sure of.

```sql
CREATE TABLE batch (sequence INTEGER PRIMARY KEY, producer TEXT, epoch INTEGER, number INTEGER,
                    body BLOB, chain BLOB)                          -- one row per batch, in sequence
CREATE UNIQUE INDEX batch_key ON batch (producer, epoch, number)    -- finds a repeated batch
```

``application_id`` says that it is ours, ``user_version`` in which version of this format. The index costs
5 microseconds and one more page per commit (measured, of 220), and finds a repeat without a scan.
"""

import sqlite3
from pathlib import Path

from p2pcli.errors import Conflict
from p2pcli.log.entry import Corrupt, Unavailable

FORMAT_VERSION = 1

_APPLICATION_ID = 0x70327078  # "p2px"
_BUSY_MS = 2_000  # for moments in which another connection recovers the WAL; writers pass two doors first
_WAL_KEEP_BYTES = 32 << 20  # a WAL that grew behind a paused reader is cut back to this
_FULL, _OFF = 2, 0  # values of PRAGMA synchronous

_TABLE = """
    CREATE TABLE batch (
        sequence INTEGER PRIMARY KEY,
        producer TEXT NOT NULL, epoch INTEGER NOT NULL, number INTEGER NOT NULL,
        body BLOB NOT NULL, chain BLOB NOT NULL
    ) STRICT
"""
_INDEX = "CREATE UNIQUE INDEX batch_key ON batch (producer, epoch, number)"


class ForeignFile(Conflict):
    """The file is another program's, or of a version of p2px that this one does not know."""

    code = "foreign_log"


def open_database(path: Path, durable: bool, made: bool) -> sqlite3.Connection:
    """Open the database at ``path``, make it if it is new, and return a connection that commits as promised.

    Call it inside the two doors: opening may recover the WAL. Every connection is in WAL mode, never
    checkpoints by itself, and has ``synchronous`` read back as FULL (OFF when not ``durable``). ``made``
    says that the database existed before: then an empty one is a loss and not a beginning.
    Raises ForeignFile, Corrupt, Unavailable (this file system cannot do WAL), sqlite3.Error from the disk.
    """
    connection = sqlite3.connect(
        path, timeout=_BUSY_MS / 1000, isolation_level=None, check_same_thread=False, cached_statements=32
    )
    try:
        # Autocheckpoint goes off first: no statement before it may be the one that checkpoints.
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        empty = not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if not empty:
            _check_format(connection, path)
        elif made:
            raise Corrupt(
                f"{path}: expected the log that was made here, found an empty file or none",
                sequence=0,
                hint="put the file back, or remove the whole folder to begin anew",
            )
        _configure(connection, path, durable)
        if empty:
            _make(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_format(connection: sqlite3.Connection, path: Path) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    if application != _APPLICATION_ID:
        raise ForeignFile(
            f"{path}: expected a p2px log, found a database of another program",
            hint="choose another data folder",
        )
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != FORMAT_VERSION:
        raise ForeignFile(
            f"{path}: expected log format {FORMAT_VERSION}, found {version}",
            hint="open it with the p2px that wrote it",
        )
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    if not {"batch", "batch_key"} <= tables:
        raise Corrupt(f"{path}: expected tables batch and batch_key, found {sorted(tables)}", sequence=0)


def _configure(connection: sqlite3.Connection, path: Path, durable: bool) -> None:
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise Unavailable(
            f"{path}: expected journal mode wal, found {mode}",
            hint="keep the data folder on a local disk: WAL needs memory shared between processes",
        )
    level = _FULL if durable else _OFF
    connection.execute(f"PRAGMA synchronous = {level}")
    found = connection.execute("PRAGMA synchronous").fetchone()[0]
    if found != level:
        raise Unavailable(f"{path}: expected synchronous = {level}, found {found}")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_KEEP_BYTES}")
    # A mapped file that is cut short kills the process with SIGBUS; a read returns an error.
    connection.execute("PRAGMA mmap_size = 0")


def _make(connection: sqlite3.Connection) -> None:
    """Make table and index, all or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(_TABLE)
    connection.execute(_INDEX)
    connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
    connection.execute("COMMIT")
