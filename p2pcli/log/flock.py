"""Two doors before a folder: one writer at a time over all processes, and nobody waits for ever.

A writer takes the *gate*, then the *lock*, lets go of the gate, writes, and lets go of the lock. Whoever
has just written must queue at the gate again, behind the one who waits there: with the lock alone the
process that is awake takes it over and over (fairness 0.0 measured with SQLite's own busy handler, 0.99
with two doors). Both are flock(2) locks, which the kernel frees when their holder dies, however it dies.

flock has no timeout. So a *doorman* thread queues in the kernel when the doors are not free at once, and
the writer waits for the doorman with a timeout. A writer that gives up leaves the doorman in the queue:
it gives the lock back as soon as it has it, unless another writer of this process wants it by then.
Rejected: LOCK_NB with sleeps (whoever sleeps shortest wins, and every hand-over costs half a sleep) and
a signal to break the wait (a library must not own signal handlers).
"""

import fcntl
import os
import threading
import time
from pathlib import Path

from p2pcli.log.entry import Unavailable


class TwoDoors:
    """The right to write in one folder, for one thread of one process at a time.

    Locks belong to the open files, so two objects exclude each other in one process as well.
    """

    def __init__(self, folder: Path) -> None:
        """Open (and make) the files ``gate`` and ``lock`` in ``folder``. Raises OSError."""
        self._folder = folder
        self._gate = _open(folder / "gate")
        try:
            self._lock = _open(folder / "lock")
        except OSError:
            os.close(self._gate)
            raise
        self._turn = threading.Lock()  # held by the thread that is inside or on its way in
        self._state = threading.Lock()  # guards the fields below, for moments only
        self._queueing = False  # the doorman stands in the kernel's queue
        self._wanted = False  # somebody waits for the doorman
        self._closed = False
        self._failure: OSError | None = None
        self._orders = threading.Semaphore(0)  # wakes the doorman
        self._arrivals = threading.Semaphore(0)  # wakes the writer
        self._doorman: threading.Thread | None = None

    def enter(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds for both doors; True means inside, and ``leave`` is owed.

        Raises Unavailable when the files were removed under us: then other processes may hold other locks.
        """
        deadline = time.monotonic() + timeout
        if not self._turn.acquire(timeout=max(timeout, 0)):
            return False
        inside = False
        try:
            inside = self._at_once() or self._by_doorman(deadline)
            if inside and os.fstat(self._lock).st_nlink == 0:
                fcntl.flock(self._lock, fcntl.LOCK_UN)
                inside = False
                raise Unavailable(
                    f"log folder {self._folder}: its lock file was removed while the log was in use",
                    hint="put the folder back, or restart the node",
                )
        finally:
            if not inside:
                self._turn.release()
        return inside

    def leave(self) -> None:
        """Let the next writer in. Only the thread that entered may call this."""
        fcntl.flock(self._lock, fcntl.LOCK_UN)
        self._turn.release()

    def close(self) -> None:
        """Close both files; nobody may be inside. A doorman who still queues closes them when he arrives."""
        with self._state:
            if self._closed:
                return
            self._closed = True
            if not self._queueing:
                self._close_files()
        self._orders.release()
        if self._doorman is not None and not self._queueing:
            self._doorman.join()

    def _at_once(self) -> bool:
        """Take both doors if they are free. While the doorman queues the files are his."""
        if self._closed:
            raise Unavailable(f"log folder {self._folder}: closed")
        if self._queueing:
            return False
        try:
            fcntl.flock(self._gate, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False  # the gate stays ours: our place in the queue
        fcntl.flock(self._gate, fcntl.LOCK_UN)
        return True

    def _by_doorman(self, deadline: float) -> bool:
        with self._state:
            self._wanted = True
            if not self._queueing:
                self._queueing = True
                if self._doorman is None:
                    self._doorman = threading.Thread(target=self._queue, name="log-doorman", daemon=True)
                    self._doorman.start()
                self._orders.release()
        arrived = self._arrivals.acquire(timeout=max(deadline - time.monotonic(), 0))
        if not arrived:
            with self._state:
                # He may have arrived between the timeout and this line.
                arrived = self._arrivals.acquire(blocking=False)
                self._wanted = False
        if arrived and self._failure is not None:
            raise Unavailable(f"log folder {self._folder}: cannot be locked: {self._failure}")
        return arrived

    def _queue(self) -> None:
        """Be the doorman: stand in the kernel's queue, once per order, until the files are closed."""
        while self._orders.acquire() and self._fetch_lock():
            pass

    def _fetch_lock(self) -> bool:
        """Wait for both doors and hand the lock to whoever wants it; False when the log was closed."""
        if self._closed:
            return False
        failure = None
        try:
            fcntl.flock(self._gate, fcntl.LOCK_EX)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            fcntl.flock(self._gate, fcntl.LOCK_UN)
        except OSError as error:
            failure = error
        with self._state:
            self._queueing = False
            self._failure = failure
            return self._hand_over()

    def _hand_over(self) -> bool:
        if self._closed:
            self._close_files()
            return False
        if self._wanted:
            self._wanted = False
            self._arrivals.release()
        elif self._failure is None:
            fcntl.flock(self._lock, fcntl.LOCK_UN)
        return True

    def _close_files(self) -> None:
        os.close(self._gate)
        os.close(self._lock)


def _open(path: Path) -> int:
    # Never inheritable: a child that kept the file open would keep the lock of a dead parent.
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
