"""The folder a log lives in: made so that a power cut cannot take it away, and marked once it is in use."""

import os
from pathlib import Path

_MARK = "format"
_MARK_TEXT = b"p2px log 1\n"


def make_folder(folder: Path, durable: bool) -> None:
    """Make ``folder`` and whatever is missing above it; on return they are there for good, if ``durable``.

    Raises OSError. Whoever finds a folder that another process has just made syncs its name as well:
    the maker may not have come to that yet.
    """
    missing = [path for path in folder.parents if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    if not durable:
        return
    for path in {folder.parent, *(path.parent for path in missing)}:
        sync_folder(path)


def is_made(folder: Path) -> bool:
    """Return whether a log was once made here, whatever has become of its files."""
    return (folder / _MARK).exists()


def mark_made(folder: Path, durable: bool) -> None:
    """Note that the log is made, after which an empty one is a loss. Raises OSError."""
    descriptor = os.open(folder / _MARK, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, _MARK_TEXT)
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Make the names of the files in ``folder`` durable: an fsync of a file does not promise its name."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
