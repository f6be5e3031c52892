"""What benchmarks/book.py compares, each behind the same two functions: prepare commands, and run them."""

import gc
import importlib.util
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import peer_book
from order_flows import Flow, Operation, Tape, traded

from p2pcli.book.book import Book
from p2pcli.book.level import Moment, Owner
from p2pcli.log.chain import link
from p2pcli.log.entry import Batch, Entry
from p2pcli.market.commands import Cancel, Command, Place, Side
from p2pcli.market.events import Placed
from p2pcli.market.instrument import Instrument, as_define
from p2pcli.node.body import decode_body, encode_body
from p2pcli.node.machine import Machine

BATCH = 100
OWNER = "client1"
MARKET = Instrument("BTC/USD", 1, 1_000_000, 1, 10**11, 10**14)
SIDES = tuple(Side)

STRETCH = 5_000  # commands timed together

Engine = tuple[Callable[[list[Operation]], list[Any]], Callable[[Any], None]]
Trades = Iterator[tuple[int, int, int, int]]  # taker, maker, price, quantity


class Contender(NamedTuple):
    """Somebody's book: how a new one is run, and what a new one trades."""

    engine: Callable[[], Engine]
    trades: Callable[[list[Operation]], Trades]


def book() -> Engine:
    """Return the engine of the book alone, which is given commands as msgspec decodes them."""
    alone, owner, now = Book(), Owner(OWNER), Moment(1, 1)
    place, cancel = alone.place, alone.cancel

    def prepare(operations: list[Operation]) -> list[Any]:
        return [
            (each.order, Place(SIDES[each.side], each.quantity, each.price) if each.quantity else None)
            for each in operations
        ]

    def run(operations: Any) -> None:
        for order, command in operations:
            if command is not None:
                place(order, owner, command, command.quantity, now)
            else:
                cancel(owner, order)

    return prepare, run


def machine(decoded: bool = True) -> Engine:
    """Return the engine of the whole machine, which is given entries of 100 commands."""
    whole = Machine()
    _apply_define(whole)
    chain = [whole.chain]

    def prepare(operations: list[Operation]) -> list[Any]:
        commands = list(map(command_of, operations))
        entries = []
        for start in range(0, len(commands), BATCH):
            raw = msgspec.Raw(msgspec.msgpack.encode(commands[start : start + BATCH]))
            number = whole.sequence + len(entries) + 1
            batch = Batch(OWNER, 1, number, encode_body(number, [(OWNER, raw)]))
            chain[0] = link(chain[0], batch)
            entry = Entry(number, batch, chain[0])
            entries.append((entry, decode_body(batch.body) if decoded else None))
        return entries

    def run(entries: Any) -> None:
        for entry, body in entries:
            whole.apply(entry, body)

    return prepare, run


def machine_from_bytes() -> Engine:
    """Return the engine of the machine that decodes each batch itself."""
    return machine(decoded=False)


def command_of(operation: Operation) -> Command:
    """Return an operation as a client sends it. The machine gives the flow's ids itself: 1, 2, 3 ..."""
    if not operation.quantity:
        return Cancel(operation.order)
    return Place(
        SIDES[operation.side],
        operation.quantity,
        operation.price,
        client_order_id=f"o{operation.order}",
    )


def _book_trades(operations: list[Operation]) -> Trades:
    book, owner, now = Book(), Owner(OWNER), Moment(1, 1)
    for each in operations:
        if not each.quantity:
            book.cancel(owner, each.order)
            continue
        place = Place(SIDES[each.side], each.quantity, each.price)
        trades = book.place(each.order, owner, place, each.quantity, now)
        makers, part, _ = trades if trades is not None else ([], 0, 0)
        for maker in makers:
            lots = part if part and maker is makers[-1] else maker.remaining
            yield each.order, maker.id, maker.place.price, lots


def _machine_trades(operations: list[Operation]) -> Trades:
    whole = Machine()
    _apply_define(whole)
    for start in range(0, len(operations), BATCH):
        commands = list(map(command_of, operations[start : start + BATCH]))
        raw = msgspec.Raw(msgspec.msgpack.encode(commands))
        number = whole.sequence + 1
        batch = Batch(OWNER, 1, number, encode_body(number, [(OWNER, raw)]))
        (outcomes,) = whole.apply(Entry(number, batch, link(whole.chain, batch))).outcomes
        for outcome in outcomes:
            if isinstance(outcome, Placed):
                for fill in outcome.fills:
                    yield outcome.order, fill.maker, fill.price, fill.quantity


def _apply_define(whole: Machine) -> None:
    raw = msgspec.Raw(msgspec.msgpack.encode([as_define(MARKET)]))
    batch = Batch(OWNER, 1, 1, encode_body(1, [(OWNER, raw)]))
    whole.apply(Entry(1, batch, link(whole.chain, batch)))


ENGINES = {
    "peer": Contender(peer_book.engine, peer_book.trades),
    "book": Contender(book, _book_trades),
    "machine": Contender(machine, _machine_trades),
    "+ decode": Contender(machine_from_bytes, _machine_trades),
}


def contender(name: str) -> Contender:
    """Return one of ours, or the one that a file of somebody else defines. Its folder need be nowhere."""
    if name in ENGINES:
        return ENGINES[name]
    spec = importlib.util.spec_from_file_location(Path(name).stem, name)
    if spec is None or spec.loader is None or not Path(name).is_file():
        raise SystemExit(f"error: {name} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return Contender(module.engine, module.trades)


def stretches(name: str, path: Path) -> list[float]:
    """Return the CPU seconds of each stretch of a flow. What belongs to decoding happens between them."""
    operations = msgspec.msgpack.decode(path.read_bytes(), type=Flow).operations
    gc.collect()
    gc.freeze()  # the operations are not the engine's garbage
    prepare, run = contender(name).engine()
    seconds = []
    for start in range(0, len(operations), STRETCH):
        ready = prepare(operations[start : start + STRETCH])
        began = time.process_time()
        run(ready)
        seconds.append(time.process_time() - began)
    return seconds


def tape(name: str, path: Path) -> Tape:
    """Return the trades that an engine makes of a whole flow."""
    made = Tape(0, 0, 0)
    for trade in contender(name).trades(msgspec.msgpack.decode(path.read_bytes(), type=Flow).operations):
        made = traded(made, *trade)
    return made
