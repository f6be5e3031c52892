"""How fast matching is by itself: no log, no socket, no disk, one process.

    python benchmarks/book.py [--orders 200000] [--runs 5]

Two numbers for one random flow around one price: the book alone, and the whole machine (decode, sessions,
market rules, book, digest) in batches of 100. Of 50,000 commands 33,308 are orders, of which 9,818 trade
at once, and the others cancels, of which 6,403 find their order open. Each number is the median of the
runs; the same seed makes the same flow.
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable

import msgspec

from p2pcli.book.book import Book
from p2pcli.book.level import Order
from p2pcli.log.chain import link
from p2pcli.log.entry import Batch, Entry
from p2pcli.market.commands import Cancel, Command, Place, Side
from p2pcli.market.instrument import Instrument, as_define
from p2pcli.node.body import encode_body
from p2pcli.node.machine import Machine

BATCH = 100
OWNER = "client1"
MARKET = Instrument("BTC/USD", 1, 1_000_000, 1, 10**11, 10**14)


def flow(count: int, seed: int) -> list[Command]:
    """Return places and cancels; a cancel names an order of the last thousand, perhaps a closed one."""
    rng = random.Random(seed)
    commands: list[Command] = []
    placed = 0
    for _ in range(count):
        if placed and rng.random() < 1 / 3:
            commands.append(Cancel(order=max(1, placed - rng.randrange(1000))))
            continue
        placed += 1
        side = Side(rng.randrange(2))
        away = rng.randrange(-20, 40)
        price = 3_000_000 + (away if side else -away)
        commands.append(Place(side, rng.randrange(1, 100) * 1_000_000, price))
    return commands


def book_alone(commands: list[Command]) -> float:
    """Return the seconds that a book takes for the commands."""
    book = Book()
    number = 0
    began = time.perf_counter()
    for command in commands:
        if isinstance(command, Place):
            number += 1
            quantity = command.quantity
            book.place(Order(number, OWNER, command.side, command.price, quantity, quantity))
        elif isinstance(command, Cancel):
            order = book.owners.get(OWNER, {}).get(command.order)
            if order is not None:
                book.remove(order)
    return time.perf_counter() - began


def whole_machine(commands: list[Command]) -> float:
    """Return the seconds that a machine takes for the commands, read from the log in batches."""
    machine = Machine()
    entries: list[Entry] = []
    chain = machine.chain
    batches = [
        [as_define(MARKET)],
        *(commands[start : start + BATCH] for start in range(0, len(commands), BATCH)),
    ]
    for number, batch in enumerate(batches, start=1):
        body = encode_body(number, [(OWNER, msgspec.Raw(msgspec.msgpack.encode(batch)))])
        made = Batch(OWNER, 1, number, body)
        chain = link(chain, made)
        entries.append(Entry(number, made, chain))
    began = time.perf_counter()
    for entry in entries:
        machine.apply(entry)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=200_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    commands = flow(options.orders, options.seed)
    measured: list[tuple[str, Callable[[list[Command]], float]]] = [
        ("book alone", book_alone),
        ("whole machine", whole_machine),
    ]
    for name, measure in measured:
        seconds = statistics.median(measure(commands) for _ in range(options.runs))
        each = seconds / len(commands) * 1e6
        print(f"{name:14} {len(commands) / seconds:>12,.0f} commands/s {each:8.2f} us each")


if __name__ == "__main__":
    main()
