"""What happens in a run, decided from its seed: which faults when, and what every client asks. Pure.

Faults are dealt from a shuffled deck, so that a run of half a minute sees most kinds and a long one sees
all. Orders live in a small world (a few prices, recent orders, reused ids), where everything collides.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from random import Random

from p2pcli.market.commands import Amend, Cancel, CancelAll, Command, Place, SelfTrade, Side, TimeInForce

QUIET_S = 1.0  # before the first fault: something must be under way
LONGEST_PAUSE_S = 8.0
SHORTEST_PAUSE_S = 0.1
AFTER_ALL = 3  # times longer until the next fault when everything has ended, or it would meet nothing
SPREAD = 5  # ticks around the base price
LARGEST = 20  # lots of one order, times ``lots``
RECENT = 40  # own orders that cancels and amends choose from
MOST_REPEATS = 4
LATEST = 12  # steps after which a request is repeated at the latest


class Kind(Enum):
    """What can befall a cluster. The value is its name on screen and in options."""

    NODE_KILLED = "node-killed"
    REGISTRY_KILLED = "registry-killed"
    SUPERVISOR_KILLED = "supervisor-killed"
    ALL_KILLED = "all-killed"
    NODE_PAUSED = "node-paused"
    WRITER_PAUSED = "writer-paused"  # a node that holds the log's lock
    REGISTRY_PAUSED = "registry-paused"
    SUPERVISOR_PAUSED = "supervisor-paused"

    @property
    def pauses(self) -> bool:
        """Return whether the process goes on afterwards, unless it is killed for its silence."""
        return self.value.endswith("paused")


_DECK = (
    *(Kind.NODE_KILLED,) * 4,
    *(Kind.REGISTRY_KILLED,) * 2,
    *(Kind.NODE_PAUSED,) * 3,
    Kind.WRITER_PAUSED,
    Kind.REGISTRY_PAUSED,
    Kind.SUPERVISOR_PAUSED,
    Kind.SUPERVISOR_KILLED,
    Kind.ALL_KILLED,
)


_ENDS_ALL = (Kind.SUPERVISOR_KILLED, Kind.ALL_KILLED)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, planned. Times in seconds, ``at`` since the start of the load."""

    number: int  # 1, 2, 3 ... in order of time
    kind: Kind
    at: float
    choice: int  # which of the processes in question: this one modulo their number
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Repeat:
    """The same request again, through another node, when its client has gone ``later`` steps on."""

    later: int  # 0: at the same time as the original
    through: int


@dataclass(frozen=True, slots=True)
class Step:
    """One request of a client: a command under an id, and how it is sent."""

    number: int  # 1, 2, 3 ... per client
    command: Command
    through: int  # the node to begin with: this one modulo their number
    repeats: tuple[Repeat, ...] = ()


def faults(
    seed: int, duration: float, every: float = 2.0, kinds: Sequence[Kind] = tuple(Kind)
) -> list[Fault]:
    """Return the faults of a run of ``duration`` seconds, about one ``every`` seconds, in order of time."""
    chance = Random(f"faults {seed}")
    wanted = [kind for kind in _DECK if kind in kinds]
    deck: list[Kind] = []
    dealt: list[Fault] = []
    at = QUIET_S
    while at < duration and wanted:
        if not deck:
            deck = chance.sample(wanted, len(wanted))
        kind = deck.pop()
        pause = 0.0
        if kind.pauses:  # short ones are common, those the watchdog ends are rare
            pause = round(SHORTEST_PAUSE_S * (LONGEST_PAUSE_S / SHORTEST_PAUSE_S) ** chance.random(), 3)
        dealt.append(Fault(len(dealt) + 1, kind, round(at, 3), chance.randrange(1 << 16), pause))
        at += every * chance.uniform(0.5, 1.5) * (AFTER_ALL if kind in _ENDS_ALL else 1)
    return dealt


class Orders:
    """What one client asks, without end. ``tag`` begins its ids, so that no two runs share one."""

    def __init__(self, seed: int, client: int, tag: str, base: int, lots: int = 1) -> None:
        """``base`` is the price in the middle, in ticks; quantities are multiples of ``lots``."""
        self._chance = Random(f"orders {seed} {client}")
        self._tag = tag
        self._base = base
        self._lots = lots
        self._number = 0
        self._placed: list[str] = []
        self._said: list[Command] = []

    def __iter__(self) -> Iterator[Step]:
        while True:
            self._number += 1
            command = self._command(f"{self._tag}-{self._number}")
            self._said = [*self._said[-RECENT:], command]
            yield Step(self._number, command, self._chance.randrange(1 << 16), self._repeats())

    def _command(self, name: str) -> Command:
        chance = self._chance
        dice = chance.randrange(100)
        if dice < 62 or not self._placed:
            return self._place(name)
        order = chance.choice(self._placed[-RECENT:])
        if dice < 76:
            return Cancel(0, order, name)
        if dice < 94:
            price = self._price() if chance.random() < 0.6 else 0
            return Amend(0, self._quantity(), price, order, name)
        if dice < 96:
            return CancelAll(chance.choice((None, *Side)), name)
        if dice < 98:  # an id that is taken, for something else
            return Place(
                chance.choice(list(Side)), LARGEST * self._lots + 1, self._price(), client_order_id=order
            )
        return chance.choice(self._said)  # a retry that nobody planned

    def _place(self, name: str) -> Place:
        chance = self._chance
        self._placed = [*self._placed[-RECENT:], name]
        tif, price = TimeInForce.GTC, self._price()
        dice = chance.randrange(100)
        if dice < 10:
            tif = TimeInForce.IOC
        elif dice < 16:
            tif = TimeInForce.FOK
        if dice % 10 == 9:
            price = 0
        mode = chance.choice((SelfTrade.DEFAULT,) * 8 + tuple(SelfTrade))
        return Place(
            chance.choice(list(Side)),
            self._quantity(),
            price,
            tif,
            dice in range(20, 28),
            mode,
            name,
        )

    def _price(self) -> int:
        return max(1, self._base + self._chance.randint(-SPREAD, SPREAD))

    def _quantity(self) -> int:
        return self._chance.randint(1, LARGEST) * self._lots

    def _repeats(self) -> tuple[Repeat, ...]:
        chance = self._chance
        if chance.random() >= 0.15:
            return ()
        return tuple(
            Repeat(chance.choice((0, 0, chance.randint(1, LATEST))), chance.randrange(1 << 16))
            for _ in range(chance.randint(1, MOST_REPEATS))
        )
