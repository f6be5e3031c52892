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
from p2pcli.node.remembered import ids_of

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


Groups = list[tuple[str, list[Command]]]  # an entry's commands, with their owners


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
        if dice < 98:
            known = f"{owner}{whole(0, count // 8)}" if 92 <= dice < 96 else ""
            command = _command(chance, dice, order, name, known)
            placed += type(command) is Place
        elif recent:
            owner, command = pick(recent)  # a retry, or a stranger repeating what was said before
        else:
            command = Resume()
        recent = [*recent[-30:], (owner, command)]
        yield owner, command


def random_batches(
    driven: Driven, seed: int, entries: int, remembered: int, owners: str = "abc"
) -> Iterator[Groups]:
    """Yield entries of the same small world: commands of several owners, many together.

    About half of the commands carry an id. Of these every second one was said before, in this batch or an
    earlier one, mostly among its owner's last ``remembered`` ids and as many before them: on both sides of
    the place where ids are forgotten. Now and then such an id comes with other content.

    Whoever iterates applies each entry to ``driven``, whose book is looked at for orders to cancel and amend.
    """
    chance = random.Random(seed)
    said: dict[str, list[Command]] = {owner: [] for owner in owners}  # what carried an id
    for _ in range(entries):
        machine = driven.machine
        resting = machine.full_book()
        groups: Groups = [(owners[0], [Resume()])] if machine.halted and chance.random() < 0.5 else []
        for _ in range(chance.choice((1, 1, 2, 3))):
            owner = chance.choice(owners)
            own = [view for view in resting if view.owner == owner] or resting
            # Few are so many that they are remembered in pieces.
            count = chance.randint(1, 12) if chance.random() < 0.98 else chance.randint(200, 600)
            group: list[Command] = []
            for _ in range(count):
                before = said[owner]
                reach = 2 * remembered + 2 if chance.random() < 0.9 else len(before)
                last = before[-chance.randint(1, min(len(before), reach))] if before else None
                if last is not None and chance.random() < 0.25:
                    group.append(last if chance.random() < 0.9 else CancelAll(Side.BUY, id_of(last)))
                    continue
                order, filled = max(0, machine.last_order + len(group) - chance.randint(0, 12)), 0
                if own and chance.random() < 0.7:
                    view = chance.choice(own)
                    order, filled = view.order, view.filled
                name = f"{owner}{len(before)}" if chance.random() < 0.35 else ""
                known = id_of(last) if last is not None else "nothing"
                group.append(command := _command(chance, chance.randint(0, 97), order, name, known, filled))
                if id_of(command):
                    before.append(command)
            groups.append((owner, group))
        yield groups


def id_of(command: Command) -> str:
    """Return the id that makes a retry of this command safe."""
    return ids_of(command)[0]


def _command(chance: random.Random, dice: int, order: int, name: str, known: str, filled: int = 0) -> Command:
    """Return any command. ``name`` is its own id, ``known`` perhaps that of an order."""
    whole, pick = chance.randint, chance.choice
    total = filled + whole(-1, 6) if filled else whole(1, 12)
    if dice < 62:
        return Place(
            pick(list(Side)),
            whole(1, 9) if dice else pick((0, -3, 1001)),
            whole(99, 101) if dice > 4 else pick((0, 0, 0, -1, 1001)),
            pick((TimeInForce.GTC,) * 6 + (TimeInForce.IOC, TimeInForce.FOK)),
            whole(0, 9) == 0,
            pick((SelfTrade.DEFAULT,) * 6 + tuple(SelfTrade)),
            name,
        )
    if dice < 76:
        return Cancel(order, command_id=name)
    if dice < 92:
        return Amend(order, total, pick((0, 99, 100, 101)), command_id=name)
    if dice < 94:
        return Cancel(0, known, name if order % 2 else "")
    if dice < 96:
        return Amend(0, total, 0, known, name if order % 2 else "")
    if dice < 97:
        return CancelAll(pick((None, *Side)), name)
    return Halt(name) if whole(0, 3) == 0 else Resume(name)
