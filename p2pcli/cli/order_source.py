"""Where an order file comes from: a file or standard input, line by line."""

import os
import select
import sys
from collections.abc import Callable, Iterator
from typing import BinaryIO

from p2pcli.cli.order_lines import MAX_LINE
from p2pcli.errors import BadInput

READ_BYTES = 64 * 1024
_LONGEST = 4 * (MAX_LINE + 1)  # bytes of a line that are looked at: a character has up to four


class NoSuchFile(BadInput):
    """The file of orders cannot be read."""

    code = "no_such_file"


def opened(source: str) -> BinaryIO:
    """Open a file, or standard input for ``-``. Raises ``NoSuchFile``."""
    try:
        if source == "-" and sys.stdin is None:
            raise NoSuchFile("standard input is closed", hint="p2px order import FILE")
        if source == "-":
            # A file object of its own, so that leaving the block does not close the process's stdin.
            return open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)
        return open(source, "rb", buffering=0)
    except OSError as error:
        raise NoSuchFile(
            f"{source} cannot be read: {error.strerror}", hint="- reads standard input"
        ) from error


def size(stream: BinaryIO) -> int | None:
    """Return the bytes to read, or None for a pipe."""
    return os.fstat(stream.fileno()).st_size if stream.seekable() else None


def lines(
    stream: BinaryIO, progress: Callable[[int], None], before_waiting: Callable[[], None]
) -> Iterator[str]:
    """Yield lines; of one longer than ``MAX_LINE`` only so much that it is seen to be too long.

    ``progress`` is told of bytes. ``before_waiting`` is called when a pipe has nothing more for now, so that
    what came is not held back until more comes.
    """
    rest, is_too_long = b"", False
    while True:
        if not stream.seekable() and not select.select([stream], [], [], 0)[0]:
            before_waiting()
        data = stream.read(READ_BYTES)
        if not data:
            break
        progress(len(data))
        *whole, rest = _split(rest + data)
        for line in whole:
            if not is_too_long:
                yield _text(line)
            is_too_long = False
        if len(rest) > _LONGEST:
            if not is_too_long:
                yield _text(rest)
            rest, is_too_long = b"", True
    if rest and not is_too_long:
        yield _text(rest)


def _split(data: bytes) -> list[bytes]:
    """Return the lines with their ends, and what follows the last end."""
    found = data.splitlines(keepends=True)
    if found and found[-1].endswith(b"\n"):
        found.append(b"")
    return found or [b""]


def _text(line: bytes) -> str:
    return line[:_LONGEST].decode("utf-8", errors="replace")
