"""What an owner asked before and was answered: client order ids and command ids, exactly once (M7).

Remembered are at least the last so many ids of an owner (a market setting), and beyond them the ids of orders
that are still open, however old: an open order can always be named by its client order id, and never doubled.

Nothing is made for the id of an order: it gets a place in a dict, with the order's number that exists anyway.
Command and answer are kept as the bytes of the request they came in, and are found there when somebody asks
again. Requests are forgotten whole, the oldest first. (An object and a place in a queue for each id cost as
much as matching an order. So did commands kept as they are: most of it for touching memory that nobody looks
at again, and the next command would not get the memory, still at hand, of the one before.)
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from p2pcli.book.level import Order
from p2pcli.market.commands import Place
from p2pcli.market.notes import outcomes_of
from p2pcli.node.remembered import (
    BEGINNING,
    Packed,
    Remembered,
    Request,
    Whereabouts,
    first_of,
    found,
    ids_of,
    is_answer,
    shortened,
    single,
    unpacked,
)


class Seen(NamedTuple):
    """Where something was found last."""

    packed: Packed | None  # None: the request was being answered
    request: Request
    where: Whereabouts  # behind it


_NOTHING_SEEN = Seen(None, Request(0, 0, 0, 0, [], []), BEGINNING)


class Memory:
    """The remembered ids of one owner.

    The desk looks into ``older`` and ``kept`` and writes ``answers`` itself, because every order passes there
    and a call would cost as much as the work; then it hands over the request with ``keep``.

    An id is forgotten without being taken out of a dict, for which its request would have to be unpacked:
    what it stands for is gone, which whoever finds it sees. Once the new ids alone are enough, ``answers``
    becomes ``older``, and what was ``older`` goes as a whole.
    """

    __slots__ = (
        "_ids",
        "_looking",
        "_open",
        "_requests",
        "_seen",
        "_serial",
        "_serials",
        "_singly",
        "answers",
        "kept",
        "older",
    )

    def __init__(self, open_orders: dict[int, Order]) -> None:
        """Begin to remember for the owner of these orders, a table that changes as they come and go."""
        self._open = open_orders
        # The order that a client order id was given to, or minus a serial number of other commands.
        # The key that is no text makes Python keep the hashes beside the keys: a look past other ids then
        # does not visit the text of each, which of 100,000 ids lies in memory that is far away (a third).
        self.answers: dict[str | None, int] = {None: 0}
        self.older: dict[str | None, int] = {None: 0}  # the same of ids before those
        self.kept: dict[str | None, int] = {None: 0}  # of orders that were open when their request went
        self._looking: deque[str] = deque()  # the ids in ``kept``, as their orders are looked at again
        self._requests: deque[Packed] = deque()
        self._ids = 0  # in requests
        self._serial = 0
        self._serials: deque[int] = deque()  # the serial number after each request
        self._singly: dict[int, Remembered] = {}  # commands that are no orders, by serial number
        self._seen = _NOTHING_SEEN

    def note(self, command_id: str, remembered: Remembered) -> None:
        """Remember the new id of a command that is no order."""
        self._serial += 1
        self.answers[command_id] = -self._serial
        self._singly[self._serial] = remembered

    def keep(self, request: Request) -> None:
        """Keep a request whose ids are in ``answers``. O(commands)."""
        if request.ids * 2 < len(request.commands):  # what nobody can ask for would fill the memory
            request = shortened(request)
        self._add(request)

    def _add(self, request: Request) -> None:
        self._requests.append(request.packed())
        self._serials.append(self._serial)
        self._ids += request.ids

    def first(self, command_id: str, asking: Request | None = None) -> Remembered | None:
        """Return the first use of an id. O(log requests + MAX_TOGETHER).

        ``asking`` is the request that is being answered, whose notes end where it has come to.
        """
        known = self._known(command_id)
        if known <= 0:
            return self._singly.get(-known)
        order = self._open.get(known)
        if order is not None:
            return first_of(order)
        request = asking
        if request is None or known < request.first:
            if not self._requests or known < self._requests[0].first:
                return None  # forgotten
            request = self._unpacked(self._requests[bisect_right(self._requests, known, key=_first) - 1])
        # A request that is sent again asks for one id after the other: the next is right behind the last.
        where = self._seen.where if self._seen.request is request else BEGINNING
        place = found(request, where, command_id, known) or found(request, BEGINNING, command_id, known)
        assert place is not None, f"order {known} is not in the request that placed it"
        at, where = place
        self._seen = Seen(self._seen.packed if request is not asking else None, request, where)
        return single(request, request.commands[where[0] - 1], at)

    def _unpacked(self, packed: Packed) -> Request:
        if self._seen.packed is not packed:
            self._seen = Seen(packed, packed.request(), BEGINNING)
        return self._seen.request

    def order(self, client_order_id: str) -> int:
        """Return the id of the open order that has this client order id. O(1).

        If none has it: the id of a closed order, or 0.
        """
        return max(0, self._known(client_order_id))

    def _known(self, command_id: str) -> int:
        """Return what an id stands for or, if it was forgotten, once stood for; 0 for a new one."""
        # Newest first: an id may have been used again after it was forgotten.
        known = self.answers.get(command_id) or self.older.get(command_id)
        return known or self.kept.get(command_id, 0)

    def forget(self, limit: int) -> None:
        """Forget the oldest requests, down to the last ``limit`` ids; keep the ids of open orders.

        O(1) for each command that goes.
        """
        requests, opened = self._requests, self._open
        while requests and self._ids - requests[0].ids >= limit:
            request = requests.popleft()
            self._ids -= request.ids
            gone = self._serials.popleft()
            while self._singly.pop(gone, None) is not None:
                gone -= 1
            placed = range(request.first, request.last + 1)
            if not opened.keys().isdisjoint(placed):
                still_open = [opened[number] for number in placed if number in opened]
                self._look_again(sum(map(self._keep, still_open)) * 2)
        if len(self.answers) > limit:  # with the one that is no id
            self.older, self.answers = self.answers, {None: 0}

    def _keep(self, order: Order) -> bool:
        command_id = order.place.client_order_id
        if command_id:
            self.kept[command_id] = order.id
            self._looking.append(command_id)
        return bool(command_id)

    def _look_again(self, times: int) -> None:
        """Look whether the orders kept longest are still open.

        Two looks for each that comes: so those of closed orders never outnumber those of open ones.
        """
        looking = self._looking
        for _ in range(min(times, len(looking))):
            oldest = looking.popleft()
            if self.kept.get(oldest) in self._open:
                looking.append(oldest)
            else:
                self.kept.pop(oldest, None)

    def requests(self) -> list[msgspec.Raw]:
        """Return the requests that hold the last ids, oldest first, each as MessagePack."""
        return [packed.data for packed in self._requests]

    def restore(self, requests: Iterable[msgspec.Raw]) -> None:
        """Remember what another memory yielded. Raises ValueError when none can have yielded it."""
        for data in requests:
            try:
                self._restore(unpacked(data))
            except msgspec.MsgspecError as error:
                raise ValueError(f"remembered request: {error}") from None

    def _restore(self, request: Request) -> None:
        outcomes_of(request.notes, request.commands)  # raises when they are not whole
        before = len(self.answers)
        for command, at in request.answered():
            if not is_answer(request, command, at):
                continue
            remembered = single(request, command, at)
            command_id = ids_of(command)[0]
            if command_id in self.answers:
                raise ValueError(f"remembered id {command_id[:64]!r} occurs twice")
            if type(command) is not Place:
                self.note(command_id, remembered)
            elif request.first <= remembered.order <= request.last:
                self.answers[command_id] = remembered.order
            else:
                raise ValueError(f"remembered id {command_id[:64]!r} placed no order of its request")
        if len(self.answers) - before != request.ids:
            raise ValueError(f"request at sequence {request.sequence} has not {request.ids} new ids")
        self._add(request)

    def restore_open(self, order: Order, first: Remembered | None) -> None:
        """Remember the id of an open order, and its first answer if that does not follow from the order.

        Raises ValueError like ``restore``, which goes before.
        """
        command_id = order.place.client_order_id
        if first is not None:
            outcomes_of(first.notes, [first.command])
            if ids_of(first.command)[0] != command_id or first.order != order.id:
                raise ValueError(f"open order {order.id} is not what was remembered: {first}")
            order.memo = first
        if not command_id or self.answers.get(command_id) == order.id:
            return
        forgotten = not self._requests or order.id < self._requests[0].first
        if self._known(command_id) or not forgotten:
            raise ValueError(f"id {command_id[:64]!r} of open order {order.id} is not the one remembered")
        self._keep(order)


def _first(packed: Packed) -> int:
    return packed.first
