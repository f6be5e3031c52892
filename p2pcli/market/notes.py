"""Outcomes as the machine keeps them: numbers where nothing unusual happened, which is nearly always.

The *notes* of a group are one flat list, read beside its commands. It is what the digest hashes, what history
stores, and what an owner's ids are remembered by. For each command in turn it holds

    a place that rests whole         order
    a place that traded, if nothing  -order, makers, remaining, first trade, part, and for each maker
    else happened                    price, lots, order, owner
    a cancel by order id             filled, remaining
    anything else                    the outcome itself, a struct

``lots`` are what a maker gave, and ``part`` is 0; if it is not, then the last maker gave so much, and its
``lots`` are what still rests of it.

Making a struct for each outcome and each fill, and encoding them, took a third of the machine's time, and
nearly nobody reads them: a node answers for its own batches only, and looks into a few of history's. One list
for all of a group, not one for each order, because the garbage collector visits every list again and again.
"""

from collections.abc import Sequence
from typing import Any, cast

import msgspec

from p2pcli.market.commands import Cancel, Command, Place
from p2pcli.market.events import (
    Amended,
    Cancelled,
    CancelledAll,
    Done,
    Fill,
    Outcome,
    Placed,
    Refused,
    Status,
)

FirstOutcome = Placed | Amended | Cancelled | CancelledAll | Refused | Done
Note = int | str | Outcome
Notes = list[Note]

HEAD = 5  # numbers of a place that traded, before its makers
EACH = 4  # for each of them

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Notes]).decode


class BadNotes(ValueError):
    """Notes that no machine can have made of these commands."""


def encode_notes(notes: list[Notes]) -> bytes:
    """Return the notes of an entry, one list for each group, as MessagePack."""
    return _encode(notes)


def decode_notes(data: bytes) -> list[Notes]:
    """Return what ``encode_notes`` wrote. Raises ``msgspec.MsgspecError``."""
    return _decode(data)


def outcomes_of(notes: Notes, commands: Sequence[Command]) -> list[Outcome]:
    """Return the outcomes that a group's notes stand for. Raises ``BadNotes``."""
    outcomes: list[Outcome] = []
    at = 0
    try:
        for command in commands:
            outcomes.append(outcome_at(notes, at, command))
            at = after(notes, at, command)
    except (IndexError, TypeError, ValueError) as error:
        raise BadNotes(f"notes of {len(commands)} commands end or differ at {at}: {error}") from None
    if at != len(notes):
        raise BadNotes(f"notes of {len(commands)} commands go on after {at}")
    return outcomes


def after(notes: Notes, at: int, command: Command) -> int:
    """Return where the notes of the next command begin. O(1)."""
    note = notes[at]
    if type(note) is not int:
        return at + 1
    if type(command) is Cancel:
        return at + 2
    return at + 1 if note > 0 else at + HEAD + EACH * notes[at + 1]  # type: ignore[operator]


def outcome_at(notes: Notes, at: int, command: Command) -> Outcome:
    """Return the outcome of the command whose notes begin there."""
    note = notes[at]
    if type(note) is not int:
        return cast("Outcome", note)
    if type(command) is Cancel:
        return Cancelled(command.order, note, cast("int", notes[at + 1]))
    if type(command) is not Place:
        raise BadNotes(f"number {note} noted for {type(command).__name__}")
    if note > 0:
        return Placed(note, Status.OPEN, 0, command.quantity)
    makers, remaining, trade, part = cast("list[int]", notes[at + 1 : at + HEAD])
    flat: Any = notes[at + HEAD : at + HEAD + EACH * makers]
    fills = [
        Fill(trade + number, flat[each], flat[each + 1], flat[each + 2], flat[each + 3], 0)
        for number, each in enumerate(range(0, EACH * makers, EACH))
    ]
    if part:
        fills[-1] = msgspec.structs.replace(fills[-1], quantity=part, maker_remaining=fills[-1].quantity)
    status = Status.PARTIALLY_FILLED if remaining else Status.FILLED
    return Placed(-note, status, command.quantity - remaining, remaining, fills)


def order_at(notes: Notes, at: int) -> int:
    """Return the id that a place got whose notes begin there; 0 when it got none."""
    note = notes[at]
    if type(note) is int:
        return abs(note)
    return note.order if isinstance(note, Placed | Refused) else 0


def makers_at(notes: Notes, at: int, end: int) -> list[int]:
    """Return the orders that one traded with whose notes lie there. O(their number)."""
    return cast("list[int]", notes[at + HEAD + 2 : end : EACH])
