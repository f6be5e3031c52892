"""The state of a market at one sequence as bytes, and back: snapshots, and what their digest proves.

    "p2px state 2\\n" | BLAKE2b-256 of the rest, 32 bytes | MessagePack of ``State``

Canonical: the same state gives the same bytes on every node, whatever it did to get there. Everything is
listed in an order that the log decides (priority, age) or that sorting does, never in a table's own.
"""

from hashlib import blake2b

import msgspec

from p2pcli.errors import P2pxError
from p2pcli.market.commands import Place
from p2pcli.market.instrument import Instrument
from p2pcli.market.views import KeyView
from p2pcli.node.memory import Remembered
from p2pcli.node.tally import Minute

MAGIC = b"p2px state 2\n"
OLD_MAGIC = b"p2px state 1\n"  # without keys; the rest is the same
DIGEST_BYTES = 32


class BadSnapshot(P2pxError):
    """Bytes that are no snapshot, a damaged one, or one of another version. An older one may be whole."""

    code = "bad_snapshot"


class Resting(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One open order."""

    id: int
    owner: str
    place: Place
    remaining: int
    sequence: int  # of the entry that placed it
    time_ns: int


class OwnerState(msgspec.Struct, frozen=True, array_like=True):
    """What one owner's ids were answered."""

    owner: str
    recent: list[Remembered]  # oldest first
    kept: list[Remembered]  # older ones of orders that were open when last looked at


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


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(State)


def encode_state(state: State) -> bytes:
    """Return the canonical bytes of a state. O(size)."""
    body = _ENCODER.encode(state)
    return b"".join((MAGIC, fingerprint(body), body))


def decode_state(data: bytes) -> State:
    """Return the state of ``encode_state``'s bytes. Raises BadSnapshot, and nothing else."""
    start = len(MAGIC) + DIGEST_BYTES
    if not data.startswith((MAGIC, OLD_MAGIC)):
        raise BadSnapshot(f"snapshot of {len(data)} bytes: expected {MAGIC!r} first, found {data[:16]!r}")
    body = memoryview(data)[start:]
    if data[len(MAGIC) : start] != fingerprint(body):
        raise BadSnapshot(f"snapshot of {len(data)} bytes is damaged: its bytes do not match its digest")
    try:
        return _DECODER.decode(body)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise BadSnapshot(f"snapshot of {len(data)} bytes does not decode: {error}") from None


def fingerprint(data: bytes | memoryview) -> bytes:
    """Return the BLAKE2b-256 of some bytes."""
    return blake2b(data, digest_size=DIGEST_BYTES).digest()
