"""What came together and is remembered together: commands of one owner, and what they were answered. Pure."""

from collections.abc import Iterator
from itertools import islice
from typing import cast

import msgspec

from p2pcli.book.level import Order
from p2pcli.market.commands import Amend, Cancel, Checkpoint, Command, Define, Move, Place
from p2pcli.market.events import Reason, Refused, Repeated
from p2pcli.market.notes import FirstOutcome, Notes, after, order_at, outcome_at

MAX_TOGETHER = 256  # commands of one request; a retry looks through so many

Whereabouts = tuple[int, int]  # index of a command, and of its notes
BEGINNING: Whereabouts = (0, 0)

_NO_ANSWER = frozenset((Reason.ID_REUSED, Reason.ID_TOO_LONG, Reason.NOT_DEFINED))  # the id stays free


class Request(msgspec.Struct, array_like=True, gc=False):
    """Commands that came together, and their notes; those without a new id may be left out."""

    sequence: int  # of the entry that answered them
    first: int  # the id its first order got, or would have got
    last: int  # ... and its last; first - 1: it placed none
    ids: int  # how many were new
    commands: list[Command]
    notes: Notes

    def packed(self) -> "Packed":
        """Return the request as it is kept."""
        return Packed(self.first, self.last, self.ids, msgspec.Raw(_encode(self)))

    def answered(self, where: Whereabouts = BEGINNING) -> Iterator[tuple[Command, int]]:
        """Yield each command that has its notes already, and where they begin."""
        begin, at = where
        for command in islice(self.commands, begin, None):
            if at >= len(self.notes):
                return
            yield command, at
            at = after(self.notes, at, command)


class Packed(msgspec.Struct, frozen=True, gc=False):
    """A request that is kept: what is asked of it again and again, and everything as MessagePack."""

    first: int
    last: int
    ids: int
    data: msgspec.Raw

    def request(self) -> Request:
        """Return what was packed. O(commands), 0.1 us for each."""
        return unpacked(self.data)


_encode = msgspec.msgpack.Encoder().encode
unpacked = msgspec.msgpack.Decoder(Request).decode


class Remembered(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A command that carried an id, and its answer. A retry is compared with the command itself."""

    command: Command
    sequence: int  # of the entry that answered it
    notes: Notes

    @property
    def order(self) -> int:
        """Return the id of the order this placed, 0 when it placed none."""
        return order_at(self.notes, 0) if type(self.command) is Place else 0

    @property
    def outcome(self) -> FirstOutcome:
        """Return what was answered."""
        outcome = outcome_at(self.notes, 0, self.command)
        assert not isinstance(outcome, Repeated), self
        return outcome


def ids_of(command: Command) -> tuple[str, str]:
    """Return the id that makes a retry of this command safe ("": none), and the longer of its two ids.

    Client order ids and command ids share one namespace.
    """
    match command:
        case Place():
            return command.client_order_id, command.client_order_id
        case Cancel() | Amend():
            name, order = command.command_id, command.client_order_id
            return name, name if len(name) > len(order) else order
        case Define() | Checkpoint() | Move():
            return "", ""
    return command.command_id, command.command_id


def first_of(order: Order) -> Remembered:
    """Return the command that placed an order which is open, and its answer."""
    if order.memo is not None:
        return cast("Remembered", order.memo)
    return Remembered(order.place, order.moment.sequence, [order.id])


def found(
    request: Request, where: Whereabouts, command_id: str, order: int
) -> tuple[int, Whereabouts] | None:
    """Return where the notes begin of the command that placed this order, and where the next command is."""
    for number, (command, at) in enumerate(request.answered(where), where[0] + 1):
        if type(command) is not Place or command.client_order_id != command_id:
            continue
        if order_at(request.notes, at) == order:
            return at, (number, after(request.notes, at, command))
    return None


def single(request: Request, command: Command, at: int) -> Remembered:
    return Remembered(command, request.sequence, request.notes[at : after(request.notes, at, command)])


def is_answer(request: Request, command: Command, at: int) -> bool:
    """Say whether this is what an id is remembered by: its first use."""
    note = request.notes[at]
    if type(note) is Repeated or (type(note) is Refused and note.reason in _NO_ANSWER):
        return False
    return bool(ids_of(command)[0])


def shortened(request: Request) -> Request:
    commands: list[Command] = []
    notes: Notes = []
    for command, at in request.answered():
        if is_answer(request, command, at):
            commands.append(command)
            notes += request.notes[at : after(request.notes, at, command)]
    return msgspec.structs.replace(request, commands=commands, notes=notes)
