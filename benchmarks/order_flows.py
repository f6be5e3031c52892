"""Streams of orders to measure with: those of ../shared/workloads, or small ones of the same kind."""

import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from p2pcli.market.commands import Place, Side

SHARED = Path(__file__).resolve().parents[2] / "shared" / "workloads"
MASK = (1 << 64) - 1
FACTOR = 6364136223846793005
MIDDLE = 10_000_000  # ticks; around it lie orders that rest


class Tape(msgspec.Struct, frozen=True):
    """All trades of a run, in order, in three numbers (the hash is h2 of the workloads' README)."""

    trades: int
    volume: int
    hash: int


class Operation(msgspec.Struct, array_like=True, gc=False):
    """Place order ``order``, or cancel it when the quantity is 0."""

    order: int
    side: int
    price: int
    quantity: int


class Flow(msgspec.Struct):
    """A named stream, and what a right book makes of it, where somebody else has said so."""

    name: str
    operations: list[Operation]
    oracle: Tape | None = None


def traded(tape: Tape, taker: int, maker: int, price: int, quantity: int) -> Tape:
    """Return the tape with one more trade on it."""
    hashed = (tape.hash * FACTOR + maker * 31 + taker) & MASK
    hashed = (hashed * FACTOR + price * 1_000_003 + quantity + 1) & MASK
    return Tape(tape.trades + 1, tape.volume + quantity, hashed)


def flow(name: str, orders: int) -> Flow:
    """Return a flow of about ``orders`` commands, 0: of its own size."""
    if (SHARED / "gen.py").is_file():
        return _shared(name, orders)
    return Flow(name, list(_own(name, orders or 300_000)))


def _shared(name: str, orders: int) -> Flow:
    with tempfile.TemporaryDirectory(prefix="p2px-flow-") as folder:
        command = [sys.executable, str(SHARED / "gen.py"), name, "--out", folder]
        if orders:
            command += ["--ops", str(orders)]
        subprocess.run(command, check=True, capture_output=True)
        operations = []
        for line in Path(folder, f"{name}.csv").read_text().splitlines():
            kind, *numbers = line.split(",")
            order, side, price, quantity = map(int, numbers)
            operations.append(Operation(order, side, price, quantity if kind == "L" else 0))
        told = msgspec.json.decode(Path(folder, f"{name}.json").read_bytes())
    return Flow(name, operations, Tape(told["trades"], told["volume"], told["h2"]))


def _own(name: str, orders: int) -> Iterator[Operation]:
    """Yield passive, cancelling and crossing orders around a price that wanders."""
    crossing = 0.45 if name == "heavy" else 0.10
    cancelling = 0.05 if name == "heavy" else 0.35
    width = 150_000 if name == "deep" else 30
    loaded = orders // 4 if name == "deep" else 2_000
    chance = random.Random(name)
    middle, order, alive = 1_000_000, 0, []
    for at in range(orders):
        dice = 1.0 if at < loaded else chance.random()
        if dice < cancelling and alive:
            # Perhaps it was filled meanwhile: then the cancel finds nothing, as cancels do.
            yield Operation(alive.pop(chance.randrange(max(0, len(alive) - 2_000), len(alive))), 0, 0, 0)
            continue
        order += 1
        middle += chance.randrange(-1, 2)
        side = chance.randrange(2)
        away = -2 if dice < cancelling + crossing else chance.randrange(1, width)
        if away > 0:
            alive.append(order)
        yield Operation(order, side, middle + (away if side else -away), chance.randrange(1, 101))


def resting_orders(orders: int, levels: int) -> Iterator[Place]:
    """Yield orders that never trade, spread over so many prices."""
    chance = random.Random(orders)
    half = levels // 2
    for _ in range(orders):
        side = Side(chance.randrange(2))
        away = chance.randrange(1, half + 1)
        price = MIDDLE + (away if side else -away)
        yield Place(side, chance.randrange(1, 1_000_000), price)
