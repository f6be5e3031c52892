"""The log of one machine: one WAL database per market folder, shared by the node processes.

```text
folder/  log.db log.db-wal log.db-shm   SQLite's own; nobody open()s them by hand: a close drops its locks
         gate lock                      the two doors (flock), around every write and checkpoint
         bell                           rung after every commit
         ballast                        room to trim in when the disk is full
         format                         "log.db was made here": without it, an empty one is a loss
```

A commit is one statement and one fsync: the row is inserted only where the tail is the one its chain was
computed from, so the tail is looked up inside the write transaction; when another process has appended
meanwhile, the row is computed anew. Few statements also means few moments in which another thread of the
process can take the interpreter away while the lock is held.

SQLite shows a commit after the fsync of its WAL. A process killed between write and fsync leaves frames
that a later recovery takes for committed, so opening checkpoints before it shows anything: that syncs
them, and writes their pages anew, which a failed fsync needs (Linux forgets what it could not write).

What a failure means, by SQLite's result code: FULL comes from writing, before the commit frame is whole,
so the batch is certainly not in; a failed fsync and a failed shared index are IOERR, and then it may be.
"""

import sqlite3
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from p2pcli.errors import P2pxError
from p2pcli.log.ballast import Ballast
from p2pcli.log.chain import GENESIS, link
from p2pcli.log.check import Problem, first_problem
from p2pcli.log.doorbell import Doorbell
from p2pcli.log.entry import (
    CHAIN_BYTES,
    MAX_READ,
    Ambiguous,
    BadBatch,
    Batch,
    Broken,
    Corrupt,
    Entry,
    LogFull,
    Trimmed,
    Unavailable,
    check_batch,
)
from p2pcli.log.flock import TwoDoors
from p2pcli.log.folder import is_made, make_folder, mark_made, sync_folder
from p2pcli.log.schema import open_database

CHECKPOINT_BYTES: Final = 4 << 20  # of WAL written by one process before it checkpoints, about a millisecond
TRIM_ROWS: Final = 256  # deleted per transaction, so that appenders wait for milliseconds at most
TRIM_BYTES: Final = 4 << 20  # likewise

_CLOSED: Final = "it was closed"
_COMMIT_BYTES: Final = 3 * 4096  # WAL that a commit writes besides the body: leaf of table, of index, header
_CHECKPOINT: Final = "PRAGMA wal_checkpoint(PASSIVE)"
_INSERT: Final = """
    INSERT INTO batch SELECT ?, ?, ?, ?, ?, ?
    WHERE coalesce((SELECT max(sequence) FROM batch), 0) = ?
    AND coalesce((SELECT chain FROM batch ORDER BY sequence DESC LIMIT 1), ?) = ?
"""
_TAIL: Final = "SELECT sequence, chain FROM batch ORDER BY sequence DESC LIMIT 1"
_FIND: Final = "SELECT sequence, body FROM batch WHERE producer = ? AND epoch = ? AND number = ?"
_READ: Final = """
    SELECT sequence, producer, epoch, number, body, chain FROM batch
    WHERE sequence >= ? ORDER BY sequence LIMIT ?
"""
_LAST: Final = "SELECT coalesce(max(sequence), 0) FROM batch"
_FIRST: Final = "SELECT coalesce(min(sequence), 1) FROM batch"
_SIZES: Final = "SELECT sequence, length(body) FROM batch ORDER BY sequence LIMIT ?"
_TRIM: Final = "DELETE FROM batch WHERE sequence < ?"


class SqliteLog:
    """The log of one folder, see ``entry.Log``. Appends take turns over all processes, reads do not."""

    def __init__(
        self, folder: Path, *, durable: bool = True, poll_s: float = 0.05, timeout: float = 5.0
    ) -> None:
        """Open the log in ``folder``, and make both when missing; several processes may do so at once.

        ``durable=False`` leaves syncing to the operating system: a power cut may lose acknowledged entries.
        ``poll_s`` is what a lost ring costs a tailer; ``timeout`` (seconds) bounds opening, trimming and
        closing. Raises Unavailable, ForeignFile, Corrupt.
        """
        self._folder = folder
        self._durable = durable
        self._poll_s = poll_s
        self._timeout = timeout
        self._broken: str | None = None
        self._tail = (0, GENESIS)  # the last entry this object saw from inside the doors
        self._seen = (0, GENESIS)  # the last entry it returned from read
        self._wal_bytes = 0  # written by this object since it last checkpointed, roughly
        self._reading = threading.Lock()
        self._ballast = Ballast(folder / "ballast")
        try:
            with ExitStack() as undo:
                make_folder(folder)
                self._doors = TwoDoors(folder)
                undo.callback(self._doors.close)
                self._bell = Doorbell(folder / "bell")
                undo.callback(self._bell.close)
                self._open()
                undo.pop_all()
        except OSError as error:
            raise Unavailable(
                f"log folder {folder}: expected a folder to write in, found: {error}",
                hint="check that the folder and its disk are there and writable",
            ) from error

    def append(self, batch: Batch, timeout: float) -> int:
        """Make the batch durable and return its sequence: one fsync, besides the wait for other writers."""
        check_batch(batch)
        self._enter(timeout)
        try:
            sequence = self._insert(batch)
            self._wal_bytes += _COMMIT_BYTES + len(batch.body)
            if self._wal_bytes >= CHECKPOINT_BYTES:
                self._checkpoint()
        except sqlite3.Error as error:
            raise self._write_failure(error) from error
        finally:
            self._doors.leave()
        self._bell.ring()
        return sequence

    def read(self, after: int, limit: int) -> list[Entry]:
        """Return durable entries from ``after + 1``, each checked against the one before it.

        What comes before a damaged entry is returned; the read that begins at the damage raises Corrupt.
        """
        with self._reading:
            self._check_usable()
            # One more, from ``after`` itself: its hash vouches for the first one asked for.
            found, problem = self._select(after, limit + 1)
            if problem is None or found:
                chain = self._chain_before(after, found)
                problem = first_problem(found, after, chain) or problem
            if problem is not None:
                found = found[: max(problem.sequence - after - 1, 0)]
                if not found:
                    raise self._corrupt(*problem)
            if found:
                self._seen = (found[-1].sequence, found[-1].chain)
            return found

    def wait(self, after: int, timeout: float) -> bool:
        """Return True as soon as ``last() > after``, False after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while self.last() <= after:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self._bell.wait(min(left, self._poll_s))
        return True

    def last(self) -> int:
        """Return the last sequence. Every commit acknowledged before is visible to a statement begun now."""
        return self._number(_LAST)

    def first(self) -> int:
        """Return the oldest sequence still here, 1 for an empty log."""
        return self._number(_FIRST)

    def trim(self, before: int) -> None:
        """Delete entries below ``before``, but never the last, some hundreds at a time, others in between.

        The file keeps its size; the room is used again. On a full disk it works out of the ballast.
        Raises Unavailable when there was no turn to write, LogFull, Corrupt, Broken.
        """
        more = True
        while more:
            self._enter(self._timeout)
            try:
                more = self._trim_some(before)
            except sqlite3.Error as error:
                failure = self._write_failure(error)
                if not (isinstance(failure, LogFull) and self._ballast.give()):
                    raise failure from error
            finally:
                self._doors.leave()
        self._ballast.restore()

    def close(self) -> None:
        """Let go of files and locks; what still waits or reads in other threads raises Broken."""
        if self._broken == _CLOSED:
            return
        self._broken = _CLOSED
        self._bell.ring()
        # The last connection to close checkpoints, so it closes inside the doors. When these are not to be
        # had, whoever is inside has a connection, and so ours is not the last.
        inside = self._doors.enter(self._timeout)
        with self._reading:
            self._reader.close()
            self._writer.close()
        if inside:
            self._doors.leave()
        self._doors.close()
        self._bell.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> None:
        if not self._doors.enter(self._timeout):
            raise self._no_turn(self._timeout)
        try:
            with ExitStack() as undo:
                try:
                    self._connect(undo)
                except sqlite3.Error as error:
                    # A full disk has no room for the shared index either: open, so that reads can go on.
                    if not (_is_full(error) and self._ballast.give()):
                        raise
                    self._connect(undo)
                undo.pop_all()
        except sqlite3.Error as error:
            raise self._failure(error) from error
        finally:
            self._doors.leave()

    def _connect(self, undo: ExitStack) -> None:
        path = self._folder / "log.db"
        made = is_made(self._folder)
        self._writer = open_database(path, self._durable, made)
        undo.callback(self._writer.close)
        self._reader = open_database(path, self._durable, made=True)
        undo.callback(self._reader.close)
        self._reader.execute("PRAGMA query_only = ON")
        self._checkpoint()
        if not made:
            mark_made(self._folder)
            self._ballast.restore()
        sync_folder(self._folder)
        self._find_tail()

    def _enter(self, timeout: float) -> None:
        self._check_usable()
        if not self._doors.enter(timeout):
            raise self._no_turn(timeout)
        if self._broken is not None:
            self._doors.leave()
            self._check_usable()

    def _insert(self, batch: Batch) -> int:
        for _ in range(2):
            sequence, chain = self._tail
            following = (sequence + 1, link(chain, batch))
            row = (following[0], batch.producer, batch.epoch, batch.number, batch.body, following[1])
            try:
                inserted = self._writer.execute(_INSERT, (*row, sequence, GENESIS, chain)).rowcount
            except sqlite3.IntegrityError:
                return self._repeated(batch)
            if inserted == 1:
                self._tail = following
                return following[0]
            self._find_tail()
        raise Unavailable(f"log {self._folder}: another program writes to log.db without taking the lock")

    def _find_tail(self) -> None:
        sequence, chain = self._writer.execute(_TAIL).fetchone() or (0, GENESIS)
        if sequence < self._tail[0]:
            raise self._corrupt(sequence + 1, f"is missing: entry {self._tail[0]} was there before")
        if len(chain) != CHAIN_BYTES or (sequence == self._tail[0] and chain != self._tail[1]):
            raise self._corrupt(sequence, "has changed since it was written")
        self._tail = (sequence, chain)

    def _repeated(self, batch: Batch) -> int:
        row = self._writer.execute(_FIND, (batch.producer, batch.epoch, batch.number)).fetchone()
        if row is None:
            raise self._corrupt(0, "is in the index and not in the table")
        sequence: int = row[0]
        if row[1] != batch.body:
            raise BadBatch(
                f"batch {batch.number} of {batch.producer}, epoch {batch.epoch}: "
                f"expected the body that is in the log as entry {sequence}, found another one"
            )
        return sequence

    def _trim_some(self, before: int) -> bool:
        """Delete what one transaction may; return whether there is more."""
        last: int = self._writer.execute(_LAST).fetchone()[0]
        end, size = 0, 0
        for sequence, length in self._writer.execute(_SIZES, (TRIM_ROWS,)).fetchall():
            if sequence >= min(before, last) or size > TRIM_BYTES:
                break
            end, size = sequence + 1, size + length
        if end == 0:
            return False
        self._writer.execute(_TRIM, (end,))
        self._wal_bytes += size
        self._checkpoint()
        return end < min(before, last)

    def _checkpoint(self) -> None:
        self._wal_bytes = 0
        try:
            # Passive: a reader in the middle of something delays the rest to the next time.
            self._writer.execute(_CHECKPOINT).fetchone()
        except sqlite3.Error as error:
            # What is committed stays in the WAL. A full disk may have room next time; anything else is an
            # unsure file, which the next call reports.
            if not _is_full(error):
                self._broken = f"a checkpoint failed: {error}"

    def _select(self, after: int, limit: int) -> tuple[list[Entry], Problem | None]:
        """Return decodable entries from ``after`` on, and what stopped them."""
        found: list[Entry] = []
        size = 0
        cursor = self._reader.cursor()
        try:
            for row in cursor.execute(_READ, (after, limit)):
                entry = _entry(row)
                if entry is None:
                    return found, Problem(row[0], "cannot be decoded")
                size += len(entry.batch.body) if entry.sequence > after else 0
                if size > MAX_READ:
                    break
                found.append(entry)
        except sqlite3.Error as error:
            failure = self._failure(error)
            if not isinstance(failure, Corrupt):
                raise failure from error
            expected = found[-1].sequence + 1 if found else max(after, 1)
            return found, Problem(expected, f"cannot be read: {error}")
        finally:
            cursor.close()  # ends the read transaction
        return found, None

    def _chain_before(self, after: int, found: list[Entry]) -> bytes | None:
        """Return the hash of entry ``after``, and take that entry off ``found``; None when it was trimmed."""
        if after == 0 and (not found or found[0].sequence == 1):
            return GENESIS
        if found and found[0].sequence == after:
            chain = found.pop(0).chain
            if self._seen[0] == after and self._seen[1] != chain:
                raise self._corrupt(after, "has changed since it was read")
            return chain
        first = self._ask(_FIRST)
        if first > after + 1:
            raise Trimmed(
                f"log {self._folder}: entry {after + 1} was trimmed away, the oldest is {first}", first=first
            )
        if found and found[0].sequence == after + 1:
            return self._seen[1] if self._seen[0] == after else None
        last = self._ask(_LAST)
        if last < after:
            raise self._corrupt(last + 1, f"is missing: entry {after} was read before")
        raise self._corrupt(after, "is missing")

    def _number(self, question: str) -> int:
        with self._reading:
            self._check_usable()
            return self._ask(question)

    def _ask(self, question: str) -> int:
        try:
            answer: int = self._reader.execute(question).fetchone()[0]
        except sqlite3.Error as error:
            raise self._failure(error) from error
        return answer

    def _check_usable(self) -> None:
        if self._broken is not None:
            raise Broken(
                f"log {self._folder}: cannot be used: {self._broken}", hint="open it anew and read again"
            )

    def _write_failure(self, error: sqlite3.Error) -> P2pxError:
        """Return what an error of a commit means: certainly not in, or perhaps."""
        failure = self._failure(error)
        if isinstance(failure, LogFull):
            # A checkpointed WAL is written from its start again, and that needs no room.
            self._checkpoint()
        elif isinstance(failure, Broken):
            return Ambiguous(
                f"log {self._folder}: the commit failed, the batch may be in or not: {error}",
                hint="open the log anew and repeat the same batch",
            )
        return failure

    def _failure(self, error: sqlite3.Error) -> P2pxError:
        """Return the failure that an SQLite error stands for; all but the harmless ones break this object."""
        # Python's own errors carry no code; the only one to come is text that is not UTF-8.
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        match code:
            case sqlite3.SQLITE_FULL:
                return LogFull(f"log {self._folder}: the disk is full", hint="free some space on this disk")
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                return Unavailable(f"log {self._folder}: another program holds a lock on log.db: {error}")
            case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
                return self._corrupt(0, f"log.db is damaged: {error}")
        self._broken = f"the disk failed: {error}"
        return Broken(f"log {self._folder}: {self._broken}", hint="open it anew and read again")

    def _corrupt(self, sequence: int, what: str) -> Corrupt:
        where = f"entry {sequence} {what}" if sequence else what
        self._broken = f"it is damaged: {where}"
        return Corrupt(
            f"log {self._folder}: {where}",
            sequence,
            hint="restore the folder from a copy, or export what is intact",
        )

    def _no_turn(self, timeout: float) -> Unavailable:
        return Unavailable(
            f"log {self._folder}: no turn to write within {timeout:g} s: another process holds the lock",
            hint="p2px cluster status shows a process that hangs",
        )


def _is_full(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_FULL or code == sqlite3.SQLITE_IOERR_SHMSIZE


def _entry(row: tuple[object, ...]) -> Entry | None:
    """Return the row as an entry; None when a column is not of its type, as damage can make it."""
    match row:
        case (
            int() as sequence,
            str() as producer,
            int() as epoch,
            int() as number,
            bytes() as body,
            bytes() as chain,
        ):
            return Entry(sequence, Batch(producer, epoch, number, body), chain)
    return None
