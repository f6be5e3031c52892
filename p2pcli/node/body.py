"""What a batch carries through the log: a time and the commands of one or more clients, as MessagePack.

    [version, time_ns, [[owner, [command, command, ...], requests, key], ...]]

One group is what one connection asked at once (``parcels``): a request or many. The node that gathers a
batch embeds its list of commands as the parcel has it, encoded once for log, peers and history. ``requests``
names what was asked (``asked``), for the logs of those who apply it; a node's own commands have none.
"""

from collections.abc import Sequence

import msgspec

from p2pcli import __version__
from p2pcli.errors import P2pxError
from p2pcli.market.commands import Command
from p2pcli.node.asked import Asked

VERSION = 2
READ = (1, 2)  # versions; 1 named no requests
MAX_COMMANDS = 10_000  # in one body, and so in one request
MAX_GROUPS = 10_000  # in one body; an empty one is legal
MAX_TIME_NS = (1 << 63) - 1  # in the year 2262; history stores it as a signed integer


class BadBody(P2pxError):
    """Bytes that are no body, or one of an unknown version. A node that finds them in its log stops."""

    code = "bad_body"


class Group(msgspec.Struct, frozen=True, array_like=True):
    """What one owner asked at once, in one request or in several that came together."""

    owner: str
    commands: list[Command]
    asked: Asked | None = None
    key: str = ""  # id of the key that proved the owner; "": the cluster's secret did, and it is left out


class Body(msgspec.Struct, frozen=True, array_like=True):
    """The commands of one batch, in the order they are carried out."""

    version: int
    time_ns: int  # the producer's wall clock, nanoseconds since 1970
    groups: list[Group]


_ENCODER = msgspec.msgpack.Encoder()
_BODY = msgspec.msgpack.Decoder(Body)
# Read first, and alone: of another version nothing else can be expected to decode.
_VERSION = msgspec.msgpack.Decoder(tuple[int, msgspec.Raw, msgspec.Raw])


LoggedGroup = (
    tuple[str, msgspec.Raw]
    | tuple[str, msgspec.Raw, Asked | None]
    | tuple[str, msgspec.Raw, Asked | None, str]
)


def encode_body(time_ns: int, groups: Sequence[LoggedGroup]) -> bytes:
    """Return a body's bytes. A group is as ``Group``, but its commands are MessagePack already."""
    return _ENCODER.encode((VERSION, time_ns, groups))


def decode_body(data: bytes) -> Body:
    """Return what ``encode_body`` wrote. Raises BadBody, and nothing else, whatever the bytes."""
    try:
        body = _BODY.decode(data)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise _bad(data, error) from None
    if body.version not in READ:
        raise _unknown(body.version)
    if not 0 <= body.time_ns <= MAX_TIME_NS:
        raise BadBody(f"body of {len(data)} bytes: time must be 0 to {MAX_TIME_NS} ns, not {body.time_ns}")
    if len(data) > min(MAX_COMMANDS, MAX_GROUPS):  # each takes a byte at least
        _check_counts(body, len(data))
    return body


def _check_counts(body: Body, size: int) -> None:
    commands = sum(len(group.commands) for group in body.groups)
    if commands > MAX_COMMANDS or len(body.groups) > MAX_GROUPS:
        raise BadBody(
            f"body of {size} bytes: {commands} commands in {len(body.groups)} groups,"
            f" at most {MAX_COMMANDS} in {MAX_GROUPS} fit"
        )


def _bad(data: bytes, error: Exception) -> BadBody:
    try:
        version = _VERSION.decode(data)[0]
    except (msgspec.MsgspecError, RecursionError, ValueError):
        version = VERSION
    if version not in READ:
        return _unknown(version)
    return BadBody(f"body of {len(data)} bytes does not decode: {error}")


def _unknown(version: int) -> BadBody:
    return BadBody(
        f"body of version {version}, this is p2px {__version__}, which reads version {VERSION}",
        hint="run the p2px that the node which wrote it runs: p2px node info NODE shows its version",
    )
