"""What may be asked of a supervisor, and its answers, as bytes. Pure; sockets are in control.py and door.py.

One datagram is one message: a version byte, then JSON (so that a person can read it with strace or
socat). A ``Watch`` is answered by a report now and another at every change; everything else by one
answer. Datagrams keep their bounds, so there are no frames to cut and none can stay half open.
"""

from collections.abc import Iterable
from typing import TypeVar

import msgspec

from p2pcli.cluster.plan import MAX_BOTS, MAX_MEMBERS, MAX_NODES, LogAccess
from p2pcli.cluster.report import MAX_CHILD_BYTES, ClusterReport, NoSuchChild
from p2pcli.errors import BadInput, Conflict, NotRunning, P2pxError

VERSION = b"\x01"
MAX_REQUEST = 4096  # bytes
MAX_ANSWER = 160 << 10  # bytes; below Linux' default socket buffer of 208 KiB


class OtherSupervisor(Conflict):
    """The supervisor and this p2px do not understand each other."""

    code = "other_version"


class BadCount(BadInput):
    """A number of nodes or bots that a cluster cannot have."""

    code = "bad_count"


class IsEnding(Conflict):
    """The cluster is being stopped and takes no more requests."""

    code = "is_ending"


class NothingToKill(NotRunning):
    """There is no process of that name to be killed."""

    code = "nothing_to_kill"


class Report(msgspec.Struct, frozen=True, tag="report"):
    """Show the cluster as it is."""


class Watch(msgspec.Struct, frozen=True, tag="watch"):
    """Show the cluster now and at every change."""


class Start(msgspec.Struct, frozen=True, tag="start"):
    """Have a child run."""

    name: str


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """Have a child end and stay away."""

    name: str


class Restart(msgspec.Struct, frozen=True, tag="restart"):
    """Have a child end and run again."""

    name: str


class Kill(msgspec.Struct, frozen=True, tag="kill"):
    """Kill a child with SIGKILL; it is restarted as after any crash."""

    name: str


class Scale(msgspec.Struct, frozen=True, tag="scale"):
    """Have this many nodes, and this many bots."""

    count: int | None = None  # 1 to MAX_NODES; None: as many as there are
    bots: int | None = None  # 0 to MAX_BOTS; likewise


class UseLog(msgspec.Struct, frozen=True, tag="use_log"):
    """Keep in the plan where the log is now, and have the nodes that run restarted on it."""

    url: str
    identity: str
    access: LogAccess


class Shutdown(msgspec.Struct, frozen=True, tag="shutdown"):
    """Stop every child, then end."""


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """A request that was not carried out, and why: an error in transit."""

    code: str
    message: str
    hint: str | None = None


Request = Report | Watch | Start | Stop | Restart | Kill | Scale | UseLog | Shutdown
Answer = ClusterReport | Refused

_Message = TypeVar("_Message")
_request = msgspec.json.Decoder(Request)
_answer = msgspec.json.Decoder(Answer)


def encode(message: Request | Answer) -> bytes:
    """Return a message as one datagram."""
    return VERSION + msgspec.json.encode(message)


def decode_request(data: bytes) -> Request:
    """Return the request in a datagram. Raises ``OtherSupervisor`` for anything else."""
    request: Request = _decoded(_request, data, MAX_REQUEST)
    return request


def decode_answer(data: bytes) -> Answer:
    """Return the answer in a datagram. Raises ``OtherSupervisor`` for anything else."""
    answer: Answer = _decoded(_answer, data, MAX_ANSWER)
    return answer


def as_refused(error: P2pxError) -> Refused:
    """Return an error in the form that travels."""
    return Refused(error.code, error.message, error.hint)


def as_error(refused: Refused, kinds: Iterable[type[P2pxError]]) -> P2pxError:
    """Return the error that travelled, of whichever of ``kinds`` it was."""
    kind = next((kind for kind in kinds if kind.code == refused.code), P2pxError)
    return kind(refused.message, refused.hint)


REFUSALS = (BadCount, IsEnding, NoSuchChild, NothingToKill, OtherSupervisor)  # of a request


def _decoded(decoder: "msgspec.json.Decoder[_Message]", data: bytes, limit: int) -> _Message:
    if data[:1] != VERSION or len(data) > limit:
        raise OtherSupervisor(
            "the cluster's supervisor speaks another version of the control protocol",
            hint="p2px cluster down with the version that started it",
        )
    try:
        return decoder.decode(data[1:])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise OtherSupervisor(f"the control socket carried something unknown: {error}") from error


assert (MAX_NODES + MAX_MEMBERS + MAX_BOTS) * MAX_CHILD_BYTES < MAX_ANSWER, (
    "the largest cluster fits one datagram"
)
