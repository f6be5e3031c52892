"""A file that is touched after a commit, so that tailers in other processes need not wait for their poll.

A ring reads one byte of the file, and inotify reports the access. A write would do as well, but it dirties
the inode, and then the ring may wait for the file system's journal. Rings are hints: one may be lost (no
inotify on this system, another thread of this process took it) and a stray one may come (somebody looked
into the file), so whoever waits also polls.
"""

import ctypes
import os
import select
import threading
import time
from pathlib import Path

_IN_ACCESS = 0x00000001  # linux/inotify.h
_DRAIN_BYTES = 4096  # one event is 16 bytes, and unread equal events are merged


class Doorbell:
    """Both ends of the bell: ``ring`` after a commit, ``wait`` for somebody else's ring."""

    def __init__(self, path: Path) -> None:
        """Open (and make) the file. Raises OSError."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if os.fstat(self._file).st_size == 0:
            os.pwrite(self._file, b"\n", 0)  # reading nothing would not ring
        self._events = _watch(path)
        self._listening = threading.Lock()

    def ring(self) -> None:
        """Wake whoever waits, in every process. About a microsecond."""
        os.pread(self._file, 1, 0)

    def wait(self, timeout: float) -> None:
        """Return once there was a ring since the last ``wait``, or after ``timeout`` seconds, or closed."""
        if not self._listening.acquire(timeout=timeout):
            return
        try:
            if self._file < 0:
                return
            if self._events < 0:
                time.sleep(timeout)
                return
            poll = select.poll()
            poll.register(self._events, select.POLLIN)
            if poll.poll(timeout * 1000):
                os.read(self._events, _DRAIN_BYTES)
        finally:
            self._listening.release()

    def close(self) -> None:
        """Close the files, after whoever waits at the moment has returned."""
        with self._listening:
            for descriptor in (self._file, self._events):
                if descriptor >= 0:
                    os.close(descriptor)
            self._file = self._events = -1


def _watch(path: Path) -> int:
    """Return an inotify descriptor that reports accesses to ``path``, or -1 where there is none to be had."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "inotify_init1"):
        return -1
    events: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if events >= 0 and libc.inotify_add_watch(events, os.fsencode(path), _IN_ACCESS) < 0:
        os.close(events)
        return -1
    return events
