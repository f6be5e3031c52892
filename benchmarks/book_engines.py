"""What benchmarks/book.py compares, each behind the same two functions: prepare commands, and run them."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from order_flows import Flow, Operation, Tape, traded
from sortedcontainers import SortedDict

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

Engine = tuple[Callable[[list[Operation]], list[Any]], Callable[[Any], None]]


class PeerBook:
    """The usual design: a SortedDict of prices on each side, a dict in order of arrival at each price."""

    def __init__(self) -> None:
        self.sides = (SortedDict(), SortedDict())
        self.where: dict[int, tuple[int, int]] = {}

    def place(self, order: int, side: int, price: int, quantity: int) -> list[tuple[int, int, int]]:
        opposite = self.sides[1 - side]
        trades = []
        while quantity and opposite:
            best, queue = opposite.peekitem(-1 if side else 0)
            if best < price if side else best > price:
                break
            while quantity and queue:
                maker, held = next(iter(queue.items()))
                taken = min(held, quantity)
                trades.append((maker, best, taken))
                quantity -= taken
                if taken == held:
                    del queue[maker], self.where[maker]
                else:
                    queue[maker] = held - taken
            if not queue:
                del opposite[best]
        if quantity:
            mine = self.sides[side]
            queue = mine.get(price)
            if queue is None:
                mine[price] = {order: quantity}
            else:
                queue[order] = quantity
            self.where[order] = (side, price)
        return trades

    def cancel(self, order: int) -> None:
        side, price = self.where.pop(order, (0, 0))
        if price:
            queue = self.sides[side][price]
            del queue[order]
            if not queue:
                del self.sides[side][price]


def peer() -> Engine:
    """Return the peer's engine."""
    book = PeerBook()
    place, cancel = book.place, book.cancel

    def prepare(operations: list[Operation]) -> list[Any]:
        return [(each.order, each.side, each.price, each.quantity) for each in operations]

    def run(operations: Any) -> None:
        for order, side, price, quantity in operations:
            if quantity:
                place(order, side, price, quantity)
            else:
                cancel(order)

    return prepare, run


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


ENGINES: dict[str, Callable[[], Engine]] = {
    "peer": peer,
    "book": book,
    "machine": machine,
    "+ decode": machine_from_bytes,
}


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


def tape(engine: str, flow: Flow) -> Tape:
    """Return the trades that an engine makes of a whole flow."""
    made = Tape(0, 0, 0)
    trades = {"peer": _peer_trades, "book": _book_trades, "machine": _machine_trades}[engine]
    for taker, maker, price, quantity in trades(flow.operations):
        made = traded(made, taker, maker, price, quantity)
    return made


def _peer_trades(operations: list[Operation]) -> Iterator[tuple[int, int, int, int]]:
    book = PeerBook()
    for each in operations:
        if not each.quantity:
            book.cancel(each.order)
            continue
        for maker, price, quantity in book.place(each.order, each.side, each.price, each.quantity):
            yield each.order, maker, price, quantity


def _book_trades(operations: list[Operation]) -> Iterator[tuple[int, int, int, int]]:
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


def _machine_trades(operations: list[Operation]) -> Iterator[tuple[int, int, int, int]]:
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
