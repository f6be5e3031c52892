"""Spare room for a full disk: a file that is given up in slices so that trimming can begin.

Deleting from a database needs space first (the deletion is written to its WAL), so a disk filled to the
last byte would otherwise stay full.
"""

import os
from pathlib import Path

SLICE_BYTES = 1 << 20
SLICES = 4


class Ballast:
    """One file of ``SLICES`` slices whose blocks are really allocated."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def give(self) -> bool:
        """Free one slice; False when none is left. Somebody else may take the space first."""
        try:
            size = self._path.stat().st_size
            if size == 0:
                return False
            os.truncate(self._path, max(size - SLICE_BYTES, 0))
        except FileNotFoundError:
            return False
        return True

    def restore(self) -> bool:
        """Take all slices back; False when the disk has no room for them."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(descriptor).st_size < SLICES * SLICE_BYTES:
                os.posix_fallocate(descriptor, 0, SLICES * SLICE_BYTES)
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return True
