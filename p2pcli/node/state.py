"""The state of a market at one sequence as bytes, and back: snapshots, and what their digest proves.

    "p2px state 5\\n" | BLAKE2b-256 of the rest, 32 bytes | MessagePack of ``State``

In a file the first line also says who wrote it: ``p2px state 5 by 0.1.0``. That is no part of the state.

Canonical: the same state gives the same bytes on every node, whatever it did to get there. Everything is
listed in an order that the log decides (priority, age) or that sorting does, never in a table's own.
"""

import re
from hashlib import blake2b

import msgspec

from p2pcli import __version__
from p2pcli.errors import Conflict, P2pxError
from p2pcli.market.commands import Move, Place
from p2pcli.market.instrument import Instrument
from p2pcli.market.views import KeyView
from p2pcli.node.remembered import Remembered
from p2pcli.node.tally import Minute

VERSION = 5  # up to 4 ids were remembered in other forms, up to 3 digests hashed other bytes: not read
MAGIC = b"p2px state %d\n" % VERSION
DIGEST_BYTES = 32


class BadSnapshot(P2pxError):
    """Bytes that are no snapshot, a damaged one, or one of another version. An older one may be whole."""

    code = "bad_snapshot"


class OtherStateVersion(Conflict):
    """A snapshot that another p2px wrote, in a form that this one does not know. It is not passed over."""

    code = "other_state_version"


class Resting(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One open order."""

    id: int
    owner: str
    place: Place
    remaining: int
    sequence: int  # of the entry that placed it
    time_ns: int
    first: Remembered | None = None  # as what it was placed and answered, if that does not follow from this


class OwnerState(msgspec.Struct, frozen=True, array_like=True):
    """What one owner's ids were answered."""

    owner: str
    requests: list[msgspec.Raw]  # that hold the last ids, oldest first, each a ``Request``


class State(msgspec.Struct, frozen=True, array_like=True):
    """Everything that decides what a market answers next."""

    sequence: int
    chain: bytes
    digest: bytes
    time_ns: int
    sessions: list[tuple[str, int, int]]
    instrument: Instrument | None
    halted: bool
    last_price: int
    last_order: int
    last_trade: int
    orders: list[Resting]  # bids best first, then asks; at one price longest at rest first
    owners: list[OwnerState]  # the longest silent one first
    minutes: list[Minute]
    keys: list[KeyView] = []  # in the order they were granted
    moving: Move | None = None  # how far the log is on its way to another place


_FIRST_LINE = re.compile(rb"p2px state ([0-9]{1,9})(?: by ([0-9A-Za-z.+!-]{1,64}))?\n")
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(State)


def encode_state(state: State) -> bytes:
    """Return the canonical bytes of a state. O(size)."""
    return sealed(_ENCODER.encode(state))


def sealed(body: bytes) -> bytes:
    """Return the MessagePack of a state with what goes before it."""
    return b"".join((MAGIC, fingerprint(body), body))


def signed(data: bytes) -> bytes:
    """Return a state's bytes as a file holds them: with the p2px that wrote them in the first line."""
    return b"p2px state %d by %s\n" % (VERSION, __version__.encode()) + data[len(MAGIC) :]


def decode_state(data: bytes) -> State:
    """Return the state of ``encode_state``'s bytes, signed or not. Raises BadSnapshot, OtherStateVersion."""
    first = _FIRST_LINE.match(data)
    if first is None:
        raise BadSnapshot(f"snapshot of {len(data)} bytes: expected {MAGIC!r} first, found {data[:16]!r}")
    if int(first[1]) != VERSION:
        writer = (first[2] or b"unknown").decode()
        raise OtherStateVersion(
            f"snapshot of state version {int(first[1])}, written by p2px {writer}; "
            f"this is p2px {__version__}, which reads version {VERSION}",
            hint="run that p2px; without the file the node begins with the log, or with a peer's snapshot",
        )
    start = first.end() + DIGEST_BYTES
    body = memoryview(data)[start:]
    if data[first.end() : start] != fingerprint(body):
        raise BadSnapshot(f"snapshot of {len(data)} bytes is damaged: its bytes do not match its digest")
    try:
        return _DECODER.decode(body)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise BadSnapshot(f"snapshot of {len(data)} bytes does not decode: {error}") from None


def fingerprint(data: bytes | memoryview) -> bytes:
    """Return the BLAKE2b-256 of some bytes."""
    return blake2b(data, digest_size=DIGEST_BYTES).digest()
