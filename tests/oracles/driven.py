"""A machine that is fed commands one by one, each as a whole entry of a log, and random ones to feed it."""

import random
from collections.abc import Iterator

import msgspec

from p2pcli.log.chain import link
from p2pcli.log.entry import Batch, Entry
from p2pcli.market.commands import (
    Amend,
    Cancel,
    CancelAll,
    Command,
    Define,
    Halt,
    Place,
    Resume,
    SelfTrade,
    Side,
    TimeInForce,
)
from p2pcli.market.events import Outcome
from p2pcli.node.body import encode_body
from p2pcli.node.machine import Applied, Machine

SECOND = 1_000_000_000
DEFINE = Define("BTC/USD", 1, 1_000_000, 1, max_price=1_000, max_quantity=1_000)


class Driven:
    """A machine and the log that it has been given so far, one producer's."""

    def __init__(self, define: Define | None = DEFINE) -> None:
        self.machine = Machine()
        self.entries: list[Entry] = []
        if define is not None:
            self.do("operator", define)

    def do(self, owner: str, command: Command, time_ns: int | None = None) -> Outcome:
        """Apply one command as the next entry and return its outcome."""
        ((outcome,),) = self.apply((owner, [command]), time_ns=time_ns).outcomes
        return outcome

    def apply(self, *groups: tuple[str, list[Command]], time_ns: int | None = None) -> Applied:
        raw = [(owner, msgspec.Raw(msgspec.msgpack.encode(commands))) for owner, commands in groups]
        number = self.machine.sequence + 1
        body = encode_body(number * SECOND if time_ns is None else time_ns, raw)
        entry = next_entry(self.machine, Batch("client1", 1, number, body))
        self.entries.append(entry)
        return self.machine.apply(entry)


def next_entry(machine: Machine, batch: Batch) -> Entry:
    return Entry(machine.sequence + 1, batch, link(machine.chain, batch))


def random_commands(seed: int, count: int, owners: str = "abc") -> Iterator[tuple[str, Command]]:
    """Yield commands of a small world: three prices, few owners, few ids, so that all collides."""
    chance = random.Random(seed)
    whole, pick = chance.randint, chance.choice
    recent: list[tuple[str, Command]] = []
    placed = 0
    for _ in range(count):
        owner = pick(owners)
        dice = whole(0, 99)
        name = f"{owner}{whole(0, count // 8)}" if whole(0, 3) == 0 else ""
        order = max(0, placed - whole(0, 12))
        command: Command
        if dice < 62:
            placed += 1
            command = Place(
                pick(list(Side)),
                whole(1, 9) if dice else pick((0, -3, 1001)),
                whole(99, 101) if dice > 4 else pick((0, 0, 0, -1, 1001)),
                pick((TimeInForce.GTC,) * 6 + (TimeInForce.IOC, TimeInForce.FOK)),
                whole(0, 9) == 0,
                pick((SelfTrade.DEFAULT,) * 6 + tuple(SelfTrade)),
                name,
            )
        elif dice < 76:
            command = Cancel(order, command_id=name)
        elif dice < 92:
            command = Amend(order, whole(1, 12), pick((0, 99, 100, 101)), command_id=name)
        elif dice < 94:
            command = Cancel(0, f"{owner}{whole(0, count // 8)}")
        elif dice < 96:
            command = Amend(0, whole(1, 12), 0, f"{owner}{whole(0, count // 8)}")
        elif dice < 97:
            command = CancelAll(pick((None, *Side)), name)
        elif dice < 98:
            command = Halt(name) if whole(0, 3) == 0 else Resume(name)
        elif recent:
            owner, command = pick(recent)  # a retry, or a stranger repeating what was said before
        else:
            command = Resume()
        recent = [*recent[-30:], (owner, command)]
        yield owner, command
