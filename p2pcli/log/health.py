"""Whether a log object may go on, and what an error of SQLite says about the batch and about the files.

| SQLite's result | raised | means |
| --- | --- | --- |
| FULL | LogFull | writing failed before the commit frame was whole: not in, and nothing is lost |
| BUSY, LOCKED | Unavailable | a foreign program holds SQLite's own lock: not in |
| CORRUPT, NOTADB, text that is no UTF-8 | Corrupt | the file is damaged |
| IOERR and all others | Broken; Ambiguous from a commit | an fsync or the shared index failed: perhaps in |

Corrupt, Broken and Ambiguous are final for the object: what it believes about its files may be wrong.
"""

import sqlite3
from pathlib import Path

from p2pcli.errors import P2pxError
from p2pcli.log.entry import Ambiguous, Broken, Corrupt, LogFull, Unavailable

CLOSED = "it was closed"


class Health:
    """What is known to be wrong with one log object. Any thread may find something; the first find stays."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.trouble: str | None = None

    def check(self) -> None:
        """Raise Broken unless the log may go on."""
        if self.trouble is not None:
            raise self._as_broken(self.trouble)

    def give_up(self, trouble: str) -> None:
        """Let every later ``check`` raise."""
        self.trouble = self.trouble or trouble

    def corrupt(self, sequence: int, what: str) -> Corrupt:
        """Give up, and return the failure that names the first entry not to be trusted (0: the file)."""
        where = f"entry {sequence} {what}" if sequence else what
        self.give_up(f"it is damaged: {where}")
        return Corrupt(
            f"log {self._folder}: {where}",
            sequence,
            hint="restore the folder from a copy, or export what is intact",
        )

    def failure(self, error: sqlite3.Error) -> P2pxError:
        """Return what ``error`` means outside a commit, and give up unless it is harmless."""
        if is_damage(error):
            return self.corrupt(0, f"log.db is damaged: {error}")
        match _code(error) & 0xFF:
            case sqlite3.SQLITE_FULL:
                return LogFull(
                    f"log {self._folder}: the disk is full, nothing was appended",
                    hint=f"df -h {self._folder}; once there is room, orders are taken again by themselves",
                )
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                return Unavailable(f"log {self._folder}: another program holds a lock on log.db: {error}")
        self.give_up(f"the disk failed: {error}")
        return self._as_broken(f"the disk failed: {error}")

    def commit_failure(self, error: sqlite3.Error) -> P2pxError:
        """Return what ``error`` means for the batch whose commit raised it; give up unless it is harmless."""
        failure = self.failure(error)
        if not isinstance(failure, Broken):
            return failure
        return Ambiguous(
            f"log {self._folder}: the commit failed, the batch may be in or not: {error}",
            hint="open the log anew and repeat the same batch",
        )

    def _as_broken(self, trouble: str) -> Broken:
        return Broken(f"log {self._folder}: cannot be used: {trouble}", hint="open it anew and read again")


def is_full(error: sqlite3.Error) -> bool:
    """Return whether ``error`` is about space: for the database, its WAL or the index they share."""
    return _code(error) & 0xFF == sqlite3.SQLITE_FULL or _code(error) == sqlite3.SQLITE_IOERR_SHMSIZE


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether ``error`` says that the bytes of the file make no sense."""
    return _code(error) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _code(error: sqlite3.Error) -> int:
    # Python's own errors carry no code: text that is not UTF-8 is one, a connection closed meanwhile another.
    own = sqlite3.SQLITE_CORRUPT if isinstance(error, sqlite3.OperationalError) else sqlite3.SQLITE_MISUSE
    code: int = getattr(error, "sqlite_errorcode", own)
    return code
