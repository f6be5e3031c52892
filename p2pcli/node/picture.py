"""A machine's whole state, taken at one moment and encoded later, piece by piece. Pure.

Nothing is matched while it is taken, so that must be short: it copies references to what never changes, and
the fields of an order that do (a million of them: 0.7 s). Encoding them takes longer; it is done while
others go on, and no piece keeps the interpreter from them for more than about a millisecond. The bytes are
those of ``encode_state``.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple, cast

import msgspec

from p2pcli.book.level import Order
from p2pcli.market.commands import Place
from p2pcli.node.remembered import Remembered
from p2pcli.node.state import OwnerState, Resting, State, sealed

ORDERS_AT_ONCE = 500
REQUESTS_AT_ONCE = 100  # already encoded, up to 256 commands each

_ENCODER = msgspec.msgpack.Encoder()


class Picture(NamedTuple):
    """What a snapshot is made of; later commands change nothing of it."""

    state: State  # all but its orders
    orders: list[Order]  # bids best first, then asks
    remaining: list[int]  # what each of them had left
    places: list[Place]  # ... and as what it was placed or amended
    memos: list[object]  # ... and its first answer, where that is something of its own

    def encoded(self) -> bytes:
        """Return the canonical bytes of the state. O(its size)."""
        values = dict(zip(State.__struct_fields__, msgspec.structs.astuple(self.state), strict=True))
        values["orders"] = in_pieces(self._resting(), len(self.orders), ORDERS_AT_ONCE)
        values["owners"] = [_owner(owner) for owner in self.state.owners]
        return sealed(_ENCODER.encode(list(values.values())))

    def _resting(self) -> Iterator[Resting]:
        for order, remaining, place, memo in zip(
            self.orders, self.remaining, self.places, self.memos, strict=True
        ):
            name, moment, first = order.owner.name, order.moment, cast("Remembered | None", memo)
            yield Resting(order.id, name, place, remaining, moment.sequence, moment.time_ns, first)


def in_pieces(items: Iterable[Any], count: int, at_once: int) -> msgspec.Raw:
    """Return the MessagePack of a list of ``count`` items, so many of them encoded at once."""
    iterator = iter(items)
    pieces = [_head(count)]
    while piece := list(islice(iterator, at_once)):
        pieces.append(_ENCODER.encode(piece)[len(_head(len(piece))) :])
    return msgspec.Raw(b"".join(pieces))


def _owner(owner: OwnerState) -> list[Any]:
    requests = in_pieces(owner.requests, len(owner.requests), REQUESTS_AT_ONCE)
    return [owner.owner, requests]


def _head(count: int) -> bytes:
    """Return how MessagePack begins a list of so many items."""
    if count < 16:
        return bytes((0x90 | count,))
    if count < 1 << 16:
        return b"\xdc" + count.to_bytes(2, "big")
    return b"\xdd" + count.to_bytes(4, "big")
