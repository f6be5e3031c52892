"""The locks of a cluster's folder: who holds one lives, whatever files say (folder.py has the list)."""

import fcntl
import os
from pathlib import Path

from p2pcli.cluster.folder import unusable


class FolderLock:
    """An flock on a file of the folder, held until ``release`` or the end of the process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def take(self, *, shared: bool = False) -> bool:
        """Take the lock without waiting; return whether it is held now. Raises ``FolderUnusable``.

        A file that was deleted and made again between open and lock is another lock, so look twice.
        """
        assert self._descriptor is None, "taken twice"
        while True:
            try:
                descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            except OSError as error:
                raise unusable(self._path, error) from error
            try:
                fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return False
            self._descriptor = descriptor
            if self.is_in_place():
                return True
            self.release()

    def is_in_place(self) -> bool:
        """Return whether the file that is locked is still the one in the folder."""
        assert self._descriptor is not None, "not taken"
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.stat(self._path))
        except OSError:
            return False

    def release(self) -> None:
        """Let go. Repeating it is fine."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
