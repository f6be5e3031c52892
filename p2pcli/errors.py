"""The root of every p2px failure: a message that is complete, a stable code, a next step.

A failure is defined beside the code that raises it, as a subclass of one of the kinds here. The
kind decides the exit code of the command line; the message says what, where, expected and found;
the hint is the next command to type, or None when there is none worth typing.
"""

from typing import ClassVar, Self


class P2pxError(Exception):
    """A failure that p2px can explain. Its text is printed as it stands, in one place (the CLI)."""

    code: ClassVar[str] = "failed"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.request_name = ""  # what the nodes' logs call the request that failed; "": none was sent

    def on(self, request: str) -> Self:
        """Name the request that failed, and return this."""
        self.request_name = request
        return self


class BadInput(P2pxError):
    """Text, an option or a file that does not say what it should; nothing was changed."""

    code = "bad_input"
    exit_code = 2


class NotRunning(P2pxError):
    """The cluster, node or registry that was asked for is not there."""

    code = "not_running"
    exit_code = 3


class NotFound(P2pxError):
    """No node, order or market has that name."""

    code = "not_found"
    exit_code = 4


class TimedOut(P2pxError):
    """No answer within the time given; what was asked may or may not have happened."""

    code = "timed_out"
    exit_code = 5


class Conflict(P2pxError):
    """A port is taken, a folder is locked, or the other side is of another version."""

    code = "conflict"
    exit_code = 6


def harmless(text: str) -> str:
    """Return text of unknown origin with everything unprintable escaped.

    Owners, client order ids and log lines come from other programs: printed raw, an escape sequence
    in one could rewrite what the reader sees.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
