"""What an owner asked before and was answered: client order ids and command ids, exactly once (M7).

Remembered are the last so many ids of an owner (a market setting), and beyond them the ids of orders that
are still open, however old: an open order can always be named by its client order id, and never doubled.
"""

from collections import OrderedDict, deque
from collections.abc import Container, Iterable, Iterator

import msgspec

from p2pcli.market.commands import Command, Place
from p2pcli.market.events import Amended, Cancelled, CancelledAll, Done, Placed, Refused

FirstOutcome = Placed | Amended | Cancelled | CancelledAll | Refused | Done


class Remembered(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A command that carried an id, and its answer. The command itself is what a retry is compared with."""

    command: Command
    sequence: int  # of the entry that answered it
    outcome: FirstOutcome

    @property
    def id(self) -> str:
        return id_of(self.command)

    @property
    def order(self) -> int:
        """Return the id of the order this placed, 0 when it placed none."""
        return self.outcome.order if isinstance(self.outcome, Placed) else 0


def id_of(command: Command) -> str:
    """Return the id that makes a retry of this command safe; "": it has none. All share one namespace."""
    if type(command) is Place:
        return command.client_order_id
    return getattr(command, "command_id", "")  # a Define has none: repeating one changes nothing


class Memory:
    """The remembered ids of one owner, oldest first."""

    __slots__ = ("_answers", "_kept", "_queue")

    def __init__(self) -> None:
        self._answers: dict[str, Remembered] = {}
        # Which one is the oldest: a dict finds its first key in time linear in the keys deleted before it.
        self._queue: deque[str] = deque()
        self._kept: OrderedDict[str, Remembered] = OrderedDict()  # too old, but their orders were open

    def __len__(self) -> int:
        return len(self._queue)

    def get(self, command_id: str) -> Remembered | None:
        """Return what was answered to this id, or None. O(1)."""
        return self._answers.get(command_id) or self._kept.get(command_id)

    def add(self, command_id: str, remembered: Remembered) -> None:
        """Remember an id that ``get`` does not know. O(1)."""
        self._answers[command_id] = remembered
        self._queue.append(command_id)

    def forget(self, limit: int, open_orders: Container[int]) -> None:
        """Keep the last ``limit`` ids, and those of open orders. O(1) for each that goes."""
        while len(self._queue) > limit:
            oldest = self._queue.popleft()
            remembered = self._answers.pop(oldest)
            if remembered.order in open_orders:
                self._kept[oldest] = remembered
                self._tidy(open_orders)

    def _tidy(self, open_orders: Container[int]) -> None:
        # Two looks for each id that comes in: those of closed orders are never more than those of open ones.
        for _ in range(min(2, len(self._kept))):
            oldest, remembered = self._kept.popitem(last=False)
            if remembered.order in open_orders:
                self._kept[oldest] = remembered

    def recent(self) -> Iterator[Remembered]:
        """Yield the last ids' answers, oldest first."""
        return (self._answers[command_id] for command_id in self._queue)

    def kept(self) -> Iterator[Remembered]:
        """Yield the older ones that are remembered for their open orders."""
        return iter(self._kept.values())

    @classmethod
    def of(cls, recent: Iterable[Remembered], kept: Iterable[Remembered]) -> "Memory":
        """Return the memory of which ``recent`` and ``kept`` yielded these."""
        memory = cls()
        for remembered in recent:
            memory.add(remembered.id, remembered)
        for remembered in kept:
            memory._kept[remembered.id] = remembered
        return memory
