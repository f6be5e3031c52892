"""What an owner asked before and was answered: client order ids and command ids, exactly once (M7).

Remembered are at least the last so many ids of an owner (a market setting), and beyond them the ids of orders
that are still open, however old: an open order can always be named by its client order id, and never doubled.

Nothing is made for the id of an order: it gets a place in a dict, with the order's number that exists anyway.
Command and answer stay in the lists of the request they came in, and are found there when somebody asks
again. Requests are forgotten whole, the oldest first. (An object and a place in a queue for each id cost as
much as matching an order, most of it for touching memory that nobody looks at again.)
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Container, Iterable, Iterator
from itertools import islice

import msgspec

from p2pcli.market.commands import Amend, Cancel, Checkpoint, Command, Define, Move, Place
from p2pcli.market.events import Reason, Refused, Repeated
from p2pcli.market.notes import EACH, HEAD, FirstOutcome, Notes, after, order_at, outcome_at, outcomes_of

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

    def answered(self, where: Whereabouts = BEGINNING) -> Iterator[tuple[Command, int]]:
        """Yield each command that has its notes already, and where they begin."""
        begin, at = where
        for command in islice(self.commands, begin, None):
            if at >= len(self.notes):
                return
            yield command, at
            at = after(self.notes, at, command)


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


class Memory:
    """The remembered ids of one owner.

    The desk writes ``answers`` itself, because every order passes there and a call would cost as much as the
    work; then it hands over the request with ``keep``.
    """

    __slots__ = ("_ids", "_kept", "_requests", "_seen", "_serial", "_singly", "answers")

    def __init__(self) -> None:
        # The order that a client order id was given to, or minus a serial number of other commands.
        # The key that is no text makes Python keep the hashes beside the keys: a look past other ids then
        # does not visit the text of each, which of 100,000 ids lies in memory that is far away (a third).
        self.answers: dict[str | None, int] = {None: 0}
        self._requests: deque[Request] = deque()
        self._ids = 0  # in requests
        self._serial = 0
        # What is not found through requests, by order or serial number: commands that are no orders, and
        # open orders of requests that were forgotten ...
        self._singly: dict[int, Remembered] = {}
        self._kept: deque[int] = deque()  # ... and the latter in the order in which they are looked at again

        self._seen: tuple[Request | None, Whereabouts] = None, BEGINNING  # behind what was last found

    def __len__(self) -> int:
        """Return how many ids are remembered."""
        return len(self.answers) - 1

    def note(self, command_id: str, remembered: Remembered) -> None:
        """Remember the new id of a command that is no order."""
        self._serial += 1
        self.answers[command_id] = -self._serial
        self._singly[-self._serial] = remembered

    def keep(self, request: Request) -> None:
        """Keep a request whose ids are in ``answers``. O(1), O(commands) when few of them have a new id."""
        if request.ids * 2 < len(request.commands):  # what nobody can ask for would fill the memory
            request = _shortened(request)
        self._requests.append(request)
        self._ids += request.ids

    def first(self, command_id: str, asking: Request | None = None) -> Remembered | None:
        """Return the first use of an id. O(log requests + MAX_TOGETHER).

        ``asking`` is the request that is being answered, whose notes end where it has come to.
        """
        known = self.answers.get(command_id)
        if known is None:
            return None
        if known in self._singly:
            return self._singly[known]
        request = asking
        if request is None or known < request.first:
            request = self._requests[bisect_right(self._requests, known, key=_first) - 1]
        # A request that is sent again asks for one id after the other: the next is right behind the last.
        where = self._seen[1] if self._seen[0] is request else BEGINNING
        found = _found(request, where, command_id, known) or _found(request, BEGINNING, command_id, known)
        assert found is not None, f"order {known} is not in the request that placed it"
        at, self._seen = found[0], (request, found[1])
        return _single(request, request.commands[found[1][0] - 1], at)

    def order(self, client_order_id: str) -> int:
        """Return the id of the order that was given this client order id, 0 for none. O(1)."""
        return max(0, self.answers.get(client_order_id, 0))

    def forget(self, limit: int, open_orders: Container[int]) -> None:
        """Forget the oldest requests, down to the last ``limit`` ids; keep the ids of open orders.

        O(1) for each command that goes.
        """
        requests = self._requests
        while requests and self._ids - requests[0].ids >= limit:
            request = requests.popleft()
            self._ids -= request.ids
            self._look_again(self._let_go(request, open_orders) * 2, open_orders)

    def _let_go(self, request: Request, open_orders: Container[int]) -> int:
        """Return how many ids were kept, because their orders are open."""
        answers, notes = self.answers, request.notes
        kept = at = 0
        for command in request.commands:
            begins, note = at, notes[at]
            if type(command) is Place:
                if type(note) is not int:
                    number = order_at(notes, at)  # 0: an id that was remembered before, or is not
                    at += 1
                elif note > 0:
                    number = note
                    at += 1
                else:
                    number = -note
                    at += HEAD + EACH * notes[at + 1]  # type: ignore[operator]
                command_id = command.client_order_id
                if command_id and number:
                    if number in open_orders:
                        self._singly[number] = Remembered(command, request.sequence, notes[begins:at])
                        self._kept.append(number)
                        kept += 1
                    else:
                        del answers[command_id]
            else:
                at = after(notes, at, command)
                if _is_answer(request, command, begins):  # its first use, not a retry or a refused other one
                    del self._singly[answers.pop(ids_of(command)[0])]
        return kept

    def _look_again(self, times: int, open_orders: Container[int]) -> None:
        """Look whether the orders kept longest are still open.

        Two looks for each that comes: so those of closed orders never outnumber those of open ones.
        """
        kept = self._kept
        for _ in range(min(times, len(kept))):
            oldest = kept.popleft()
            if oldest in open_orders:
                kept.append(oldest)
            else:
                del self.answers[ids_of(self._singly.pop(oldest).command)[0]]

    def requests(self) -> list[Request]:
        """Return the requests that hold the last ids, oldest first."""
        return list(self._requests)

    def kept(self) -> list[Remembered]:
        """Return what was answered to older ids, remembered for their open orders."""
        return [self._singly[number] for number in self._kept]

    @classmethod
    def of(cls, requests: Iterable[Request], kept: Iterable[Remembered]) -> "Memory":
        """Return the memory that gave these. Raises ValueError when no memory can have given them."""
        memory = cls()
        for remembered in kept:
            memory._add(remembered)
            if not remembered.order:
                raise ValueError(f"kept for an open order: {remembered.command}")
            memory._singly[remembered.order] = remembered
            memory._kept.append(remembered.order)
        for request in requests:
            outcomes_of(request.notes, request.commands)  # raises when they are not whole
            memory._add_request(request)
        return memory

    def _add_request(self, request: Request) -> None:
        before = len(self)
        for command, at in request.answered():
            if _is_answer(request, command, at):
                self._add(_single(request, command, at))
        if len(self) - before != request.ids:
            raise ValueError(f"request at sequence {request.sequence} has not {request.ids} new ids")
        self._requests.append(request)
        self._ids += request.ids

    def _add(self, remembered: Remembered) -> None:
        outcomes_of(remembered.notes, [remembered.command])
        command_id = ids_of(remembered.command)[0]
        if not command_id or command_id in self.answers:
            raise ValueError(f"remembered id {command_id[:64]!r} is empty or occurs twice")
        if type(remembered.command) is not Place:
            self.note(command_id, remembered)
        elif remembered.order:
            self.answers[command_id] = remembered.order
        else:
            raise ValueError(f"remembered id {command_id[:64]!r} placed no order")


def _first(request: Request) -> int:
    return request.first


def _found(
    request: Request, where: Whereabouts, command_id: str, order: int
) -> tuple[int, Whereabouts] | None:
    """Return where the notes begin of the command that placed this order, and where the next command is."""
    for number, (command, at) in enumerate(request.answered(where), where[0] + 1):
        if type(command) is not Place or command.client_order_id != command_id:
            continue
        if order_at(request.notes, at) == order:
            return at, (number, after(request.notes, at, command))
    return None


def _single(request: Request, command: Command, at: int) -> Remembered:
    return Remembered(command, request.sequence, request.notes[at : after(request.notes, at, command)])


def _is_answer(request: Request, command: Command, at: int) -> bool:
    """Say whether this is what an id is remembered by: its first use."""
    note = request.notes[at]
    if type(note) is Repeated or (type(note) is Refused and note.reason in _NO_ANSWER):
        return False
    return bool(ids_of(command)[0])


def _shortened(request: Request) -> Request:
    commands: list[Command] = []
    notes: Notes = []
    for command, at in request.answered():
        if _is_answer(request, command, at):
            commands.append(command)
            notes += request.notes[at : after(request.notes, at, command)]
    return msgspec.structs.replace(request, commands=commands, notes=notes)
