"""Where a market's commands are carried out: the matching rules M1 to M13, on one book.

Deterministic: what it answers follows from the commands before and from nothing else. The time and the
sequence it is given come from the log. It trusts nobody: whoever checked a command before, it is checked
again here, because a log outlives the programs that wrote it.

A command is examined in this order, and the first thing wrong is what the owner is told:
  its ids, whether the market is defined, whether the id was answered before (M7), the ranges of quantity
  and price (M13), the combination of options (M5), whether the market is halted, which order it names (M8),
  the price band, the cap on open orders, and last whether it would trade though it must not (M5, M11).
A place takes the next order id once it gets past M7, whatever becomes of it then (M6).
"""

from collections import OrderedDict
from typing import NamedTuple

import msgspec

from p2pcli.book.book import ANY_BUY_PRICE, ANY_SELL_PRICE, NO_FILLS, Book
from p2pcli.book.level import Order
from p2pcli.market.commands import (
    MAX_ID_LENGTH,
    MAX_WHOLE,
    Amend,
    Cancel,
    CancelAll,
    Checkpoint,
    Command,
    Define,
    Halt,
    Place,
    Resume,
    SelfTrade,
    TimeInForce,
)
from p2pcli.market.events import (
    Amended,
    Cancelled,
    CancelledAll,
    Done,
    Fill,
    Outcome,
    Placed,
    Reason,
    Refused,
    Removed,
    Repeated,
    Status,
)
from p2pcli.market.instrument import BadInstrument, Instrument, as_instrument
from p2pcli.node.memory import FirstOutcome, Memory, Remembered, id_of
from p2pcli.node.tally import Tally

MAX_OWNERS = (
    10_000  # whose ids are remembered; of more, the longest silent one without open orders is forgotten
)
BASIS = 10_000  # basis points in 1

# An enum's member costs 30 ns to look up through its class, a global 5 ns.
_OPEN, _PARTIALLY_FILLED, _FILLED = Status.OPEN, Status.PARTIALLY_FILLED, Status.FILLED
_CANCELLED, _EXPIRED = Status.CANCELLED, Status.EXPIRED
_GTC, _FOK = TimeInForce.GTC, TimeInForce.FOK
_ALLOW = SelfTrade.ALLOW

_NONE_REMOVED: list[Removed] = []  # shared by all outcomes that removed nothing; never changed
_NOBODY: dict[int, Order] = {}
_DONE = Done()


class Arrival(NamedTuple):
    """What became of an order that was matched."""

    status: Status
    rests: int  # lots of it that now rest
    fills: list[Fill]
    removed: list[Removed]


class Desk:
    """One market: its book, its rules, what it remembers."""

    def __init__(self) -> None:
        self.instrument: Instrument | None = None
        self.book = Book()
        self.tally = Tally()
        self.memories: OrderedDict[str, Memory] = OrderedDict()  # by owner, the longest silent first
        self.halted = False
        self.last_price = 0  # ticks; 0 before the first trade
        self.last_order = 0  # the highest order id given
        self._sequence = 0
        self._time_ns = 0

    def carry_out(self, owner: str, commands: list[Command], sequence: int, time_ns: int) -> list[Outcome]:
        """Carry out one owner's commands in turn and return one outcome for each."""
        self._sequence = sequence
        self._time_ns = time_ns
        if len(owner) > MAX_ID_LENGTH:
            refusal = Refused(Reason.ID_TOO_LONG, 0, [len(owner), MAX_ID_LENGTH])
            return [refusal for _ in commands]
        if owner in self.memories:
            self.memories.move_to_end(owner)
        outcomes: list[Outcome] = []
        for command in commands:
            if type(command) is Place:
                command_id = command.client_order_id
                longest = len(command_id)
            else:
                command_id = id_of(command)
                longest = max(len(command_id), len(getattr(command, "client_order_id", "")))
            if longest > MAX_ID_LENGTH:
                outcomes.append(Refused(Reason.ID_TOO_LONG, 0, [longest, MAX_ID_LENGTH]))
            elif command_id and self.instrument is not None:
                outcomes.append(self._once(owner, command_id, command, self.instrument))
            else:
                outcomes.append(self._answer(owner, command))
        return outcomes

    def open_order(self, owner: str, order_id: int, client_order_id: str) -> Order | None:
        """Return an open order of this owner, named by its id or else by its client order id (M8). O(1)."""
        if not order_id and client_order_id and owner in self.memories:
            placed = self.memories[owner].get(client_order_id)
            order_id = placed.order if placed is not None else 0
        return self.book.order(owner, order_id)

    # -- exactly once (M7) ------------------------------------------------------------------------

    def _once(self, owner: str, command_id: str, command: Command, instrument: Instrument) -> Outcome:
        memory = self.memories.get(owner)
        if memory is None:
            memory = self._new_memory(owner)
        first = memory.get(command_id)
        if first is not None:
            if first.command == command:
                return Repeated(first.sequence, first.outcome)
            return Refused(Reason.ID_REUSED)
        outcome = self._answer(owner, command)
        memory.add(command_id, Remembered(command, self._sequence, outcome))
        if len(memory) > instrument.remembered_ids:
            memory.forget(instrument.remembered_ids, self.book.owners.get(owner, _NOBODY))
        return outcome

    def _new_memory(self, owner: str) -> Memory:
        if len(self.memories) >= MAX_OWNERS:
            # Two looks per newcomer: owners with open orders pass, and are never half of those remembered
            # unless they are more than MAX_OWNERS / 2 themselves.
            for _ in range(2):
                silent, memory = self.memories.popitem(last=False)
                if silent not in self.book.owners:
                    break
                self.memories[silent] = memory
        self.memories[owner] = memory = Memory()
        return memory

    # -- one command ------------------------------------------------------------------------------

    def _answer(self, owner: str, command: Command) -> FirstOutcome:
        if type(command) is Define:
            return self._define(command)
        instrument = self.instrument
        if instrument is None:
            return Refused(Reason.NOT_DEFINED)
        if type(command) is Place:
            return self._place(instrument, owner, command)
        if type(command) is Cancel:
            return self._cancel(owner, command)
        if type(command) is Amend:
            return self._amend(instrument, owner, command)
        if type(command) is CancelAll:
            return self._cancel_all(owner, command)
        if type(command) is Checkpoint:  # a node's word to the others: nothing of the market changes
            return _DONE
        assert type(command) in (Halt, Resume), command
        self.halted = type(command) is Halt
        return _DONE

    def _place(self, instrument: Instrument, owner: str, place: Place) -> Placed | Refused:
        self.last_order = number = self.last_order + 1
        quantity = place.quantity
        price = place.price
        side = place.side
        rests = price > 0 and place.tif is _GTC
        refused = self._objection(instrument, owner, place, number, rests)
        if refused is not None:
            return refused
        order = Order(
            number,
            owner,
            side,
            price or (ANY_SELL_PRICE if side else ANY_BUY_PRICE),
            quantity,
            quantity,
            place.client_order_id,
            place.post_only,
            place.self_trade,
            self._sequence,
            self._time_ns,
        )
        self_trade = place.self_trade or instrument.self_trade
        if rests and self_trade is _ALLOW:
            fills = self.book.place(order)
            if fills is NO_FILLS:
                return Placed(number, _OPEN, 0, quantity, NO_FILLS, _NONE_REMOVED)
            remaining = order.remaining
            self._traded(fills, quantity - remaining)
            status = _PARTIALLY_FILLED if remaining else _FILLED
            return Placed(number, status, quantity - remaining, remaining, fills, _NONE_REMOVED)
        arrival = self._arrive(order, self_trade, rests, place.tif is _FOK)
        filled = quantity - order.remaining
        return Placed(number, arrival.status, filled, arrival.rests, arrival.fills, arrival.removed)

    def _objection(
        self, instrument: Instrument, owner: str, place: Place, number: int, rests: bool
    ) -> Refused | None:
        quantity = place.quantity
        if not 1 <= quantity <= instrument.max_quantity:
            return Refused(Reason.QUANTITY_RANGE, number, [quantity, instrument.max_quantity])
        price = place.price
        if not 0 <= price <= instrument.max_price:
            return Refused(Reason.PRICE_RANGE, number, [price, instrument.max_price])
        if place.post_only and not rests:
            return Refused(Reason.POST_ONLY_TAKES, number)
        if self.halted:
            return Refused(Reason.HALTED, number)
        if instrument.price_band and price:
            refused = self._outside_band(instrument, number, price)
            if refused is not None:
                return refused
        if instrument.max_open_orders and rests:
            have = len(self.book.owners.get(owner, _NOBODY))
            if have >= instrument.max_open_orders:
                return Refused(Reason.TOO_MANY_OPEN, number, [have, instrument.max_open_orders])
        if place.post_only and (met := self.book.crossed(place.side, price)):
            return Refused(Reason.WOULD_TRADE, number, [met])
        return None

    def _outside_band(self, instrument: Instrument, number: int, price: int) -> Refused | None:
        last = self.last_price
        if not last:
            return None
        # Rounded inwards: a price on the edge of the band is inside, one tick further is not.
        lowest = -(-last * (BASIS - instrument.price_band) // BASIS)
        highest = last * (BASIS + instrument.price_band) // BASIS
        lowest = max(lowest, 1)
        highest = min(highest, instrument.max_price)
        if lowest <= price <= highest:
            return None
        return Refused(Reason.PRICE_BAND, number, [price, lowest, highest])

    def _arrive(self, order: Order, self_trade: SelfTrade, rests: bool, whole: bool) -> Arrival:
        """Match an order that has a condition; what then remains of it rests or is dropped (M4, M12)."""
        wanted = order.remaining
        stops = False
        removed = _NONE_REMOVED
        if whole or self_trade is not _ALLOW:
            takes, own, stops = self.book.foresee(order, self_trade)
            if whole and takes < wanted:
                return Arrival(_EXPIRED, 0, NO_FILLS, _NONE_REMOVED)
            if own:
                removed = [Removed(each.id, self.book.remove(each)) for each in own]
            if stops:
                order.remaining = takes
        fills = self.book.place(order) if rests and not stops else self.book.take(order)
        if stops:
            order.remaining += wanted - takes
        remaining = order.remaining
        if fills:
            self._traded(fills, wanted - remaining)
        if not remaining:
            return Arrival(_FILLED, 0, fills, removed)
        if stops:
            return Arrival(_CANCELLED, 0, fills, removed)
        if not rests:
            return Arrival(_EXPIRED, 0, fills, removed)
        return Arrival(_PARTIALLY_FILLED if fills else _OPEN, remaining, fills, removed)

    def _traded(self, fills: list[Fill], quantity: int) -> None:
        last = fills[-1].price
        self.last_price = last
        self.tally.add(self._time_ns, fills[0].price, last, quantity, len(fills))

    def _cancel(self, owner: str, cancel: Cancel) -> Cancelled | Refused:
        order = self.open_order(owner, cancel.order, cancel.client_order_id)
        if order is None:
            return Refused(Reason.UNKNOWN_ORDER, _order_id(cancel.order))
        remaining = self.book.remove(order)
        return Cancelled(order.id, order.quantity - remaining, remaining)

    def _cancel_all(self, owner: str, command: CancelAll) -> CancelledAll:
        table = self.book.owners.get(owner, _NOBODY)
        # By id, because the table's own order is not the same after a restart from a snapshot.
        orders = [table[number] for number in sorted(table)]
        return CancelledAll(
            [
                Removed(order.id, self.book.remove(order))
                for order in orders
                if command.side is None or order.side is command.side
            ]
        )

    def _amend(self, instrument: Instrument, owner: str, amend: Amend) -> Amended | Refused:
        quantity = amend.quantity
        number = _order_id(amend.order)
        if not 1 <= quantity <= instrument.max_quantity:
            return Refused(Reason.QUANTITY_RANGE, number, [quantity, instrument.max_quantity])
        if not 0 <= amend.price <= instrument.max_price:
            return Refused(Reason.PRICE_RANGE, number, [amend.price, instrument.max_price])
        if self.halted:
            return Refused(Reason.HALTED, number)
        order = self.open_order(owner, amend.order, amend.client_order_id)
        if order is None:
            return Refused(Reason.UNKNOWN_ORDER, number)
        number = order.id
        price = amend.price or order.price
        filled = order.quantity - order.remaining
        if quantity <= filled:
            self.book.remove(order)
            return Amended(number, _FILLED, filled, order.price, filled, 0, NO_FILLS, _NONE_REMOVED)
        remaining = quantity - filled
        if price == order.price and remaining <= order.remaining:
            self.book.reduce(order, quantity)
            status = _PARTIALLY_FILLED if filled else _OPEN
            return Amended(number, status, quantity, price, filled, remaining, NO_FILLS, _NONE_REMOVED)
        if instrument.price_band:
            refused = self._outside_band(instrument, number, price)
            if refused is not None:
                return refused
        if order.post_only and (met := self.book.crossed(order.side, price)):
            return Refused(Reason.WOULD_TRADE, number, [met])
        # A new object: the old one stays behind in its queue as gone until that is swept.
        again = msgspec.structs.replace(order, price=price, remaining=remaining, quantity=quantity)
        self.book.remove(order)
        arrival = self._arrive(again, order.self_trade or instrument.self_trade, True, False)
        status = _PARTIALLY_FILLED if filled and arrival.status is _OPEN else arrival.status
        filled = quantity - again.remaining
        return Amended(number, status, quantity, price, filled, arrival.rests, arrival.fills, arrival.removed)

    def _define(self, define: Define) -> Done | Refused:
        try:
            instrument = as_instrument(define)
        except BadInstrument:
            return Refused(Reason.BAD_INSTRUMENT)
        if self.instrument is not None and _fixed(instrument) != _fixed(self.instrument):
            return Refused(Reason.INSTRUMENT_FIXED)
        self.instrument = instrument
        return _DONE


def _fixed(instrument: Instrument) -> tuple[str, int, int, int]:
    return instrument.symbol, instrument.number, instrument.tick, instrument.lot


def _order_id(given: int) -> int:
    """Return an order id to quote in a refusal: 0 rather than a number no order can have."""
    return given if 0 < given <= MAX_WHOLE else 0
