"""What an owner asked before and was answered: client order ids and command ids, exactly once (M7).

Remembered are the last so many ids of an owner (a market setting), and beyond them the ids of orders that
are still open, however old: an open order can always be named by its client order id, and never doubled.
"""

from collections import deque
from collections.abc import Container, Iterable, Iterator

import msgspec

from p2pcli.market.commands import Amend, Cancel, Checkpoint, Command, Define, Move, Place
from p2pcli.market.events import Amended, Cancelled, CancelledAll, Done, Placed, Refused

FirstOutcome = Placed | Amended | Cancelled | CancelledAll | Refused | Done


class Remembered(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A command that carried an id, and its answer. A retry is compared with the command itself."""

    command: Command
    sequence: int  # of the entry that answered it
    outcome: FirstOutcome

    @property
    def id(self) -> str:
        """Return the id the command carried."""
        return ids_of(self.command)[0]

    @property
    def order(self) -> int:
        """Return the id of the order this placed, 0 when it placed none."""
        return self.outcome.order if type(self.outcome) is Placed else 0


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

    The desk reads and writes ``answers`` and ``recent`` itself where it adds an id: every order passes
    there, and the call would cost as much as the work.
    """

    __slots__ = ("_kept", "answers", "recent")

    def __init__(self) -> None:
        self.answers: dict[str, Remembered] = {}
        # Which id is the oldest: a dict finds its first key in time linear in those deleted before it.
        self.recent: deque[str] = deque()
        self._kept: deque[str] = deque()  # older than recent, but their orders were open

    def add(self, command_id: str, remembered: Remembered) -> None:
        """Remember an id that is not in ``answers``. O(1)."""
        self.answers[command_id] = remembered
        self.recent.append(command_id)

    def forget(self, limit: int, open_orders: Container[int]) -> None:
        """Keep the last ``limit`` ids, and those of open orders. O(1) for each that goes."""
        while len(self.recent) > limit:
            oldest = self.recent.popleft()
            if self.answers[oldest].order not in open_orders:
                del self.answers[oldest]
                continue
            self._kept.append(oldest)
            # Two looks for each that comes: so those of closed orders never outnumber those of open ones.
            for _ in range(2):
                oldest = self._kept.popleft()
                if self.answers[oldest].order in open_orders:
                    self._kept.append(oldest)
                else:
                    del self.answers[oldest]
                if not self._kept:
                    break

    def newest(self) -> Iterator[Remembered]:
        """Yield what was answered to the last ids, oldest first."""
        return (self.answers[command_id] for command_id in self.recent)

    def kept(self) -> Iterator[Remembered]:
        """Yield what was answered to older ids, remembered for their open orders."""
        return (self.answers[command_id] for command_id in self._kept)

    @classmethod
    def of(cls, newest: Iterable[Remembered], kept: Iterable[Remembered]) -> "Memory":
        """Return the memory that yielded these. Raises ValueError for an id that is empty or occurs twice."""
        memory = cls()
        for queue, found in ((memory.recent, newest), (memory._kept, kept)):
            for remembered in found:
                command_id = remembered.id
                if not command_id or command_id in memory.answers:
                    raise ValueError(f"remembered id {command_id[:64]!r} is empty or occurs twice")
                memory.answers[command_id] = remembered
                queue.append(command_id)
        return memory
