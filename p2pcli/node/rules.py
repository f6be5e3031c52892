"""What becomes of one command: the matching rules M1 to M13, on one book.

A command is examined in this order, and the first thing wrong is what the owner is told:
  its ids, whether the market is defined, whether the id was answered before (M7): all this is the desk's;
  the ranges of quantity and price (M13), the combination of options (M5), whether the market is halted, which
  order it names (M8), the price band, the cap on open orders, and last whether it would trade though it must
  not (M5, M11).
A place takes the next order id once it gets past M7, whatever becomes of it then (M6).
"""

from collections.abc import Callable
from typing import NamedTuple

from msgspec.structs import replace

from p2pcli.book.book import ANY_BUY_PRICE, Book, Trades
from p2pcli.book.level import Moment, Owner
from p2pcli.market.commands import (
    MAX_WHOLE,
    Amend,
    Cancel,
    CancelAll,
    Checkpoint,
    Command,
    Define,
    GrantKey,
    Halt,
    Move,
    Place,
    Resume,
    RevokeKey,
    SelfTrade,
    Side,
    TimeInForce,
)
from p2pcli.market.events import (
    Amended,
    Cancelled,
    CancelledAll,
    Done,
    Fill,
    Placed,
    Reason,
    Refused,
    Removed,
    Status,
)
from p2pcli.market.instrument import BadInstrument, Instrument, as_instrument
from p2pcli.market.notes import FirstOutcome
from p2pcli.node.keys import Keys
from p2pcli.node.memory import Memory
from p2pcli.node.remembered import first_of
from p2pcli.node.tally import Tally

BASIS = 10_000  # basis points in 1

# An enum's member costs 30 ns to look up through its class, a global 5 ns.
_OPEN, _PARTIALLY_FILLED, _FILLED = Status.OPEN, Status.PARTIALLY_FILLED, Status.FILLED
_CANCELLED, _EXPIRED = Status.CANCELLED, Status.EXPIRED
GTC, _FOK = TimeInForce.GTC, TimeInForce.FOK
ALLOW = SelfTrade.ALLOW

_NO_FILLS: list[Fill] = []  # these two are shared by all outcomes without any, and never changed
_NONE_REMOVED: list[Removed] = []
_DONE = Done()


class Account(Owner):
    """An owner, its open orders, and what it asked before."""

    __slots__ = ("memory",)

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.memory = Memory(self.orders)


class Arrival(NamedTuple):
    """What became of an order that was matched."""

    status: Status
    untraded: int  # lots; they rest if the status is open, else nobody will ever trade them
    fills: list[Fill]
    removed: list[Removed]


class Rules:
    """One market: its book, what orders are held to, and the numbers given so far."""

    def __init__(self) -> None:
        self.instrument: Instrument | None = None
        self.book = Book()
        self.tally = Tally()
        self.keys = Keys()
        self.halted = False
        self.last_price = 0  # ticks; 0 before the first trade
        self.last_order = 0  # the highest order id given
        self.last_trade = 0  # the highest trade number given
        # An order without conditions, as ``rule`` has it: at most so many lots (0: in this market every
        # order is judged now) at so many ticks, its self-trade mode this or ``ALLOW``. Nothing can stand
        # against one.
        self._calm: tuple[int, int, SelfTrade] = 0, 0, ALLOW
        self._prices: list[int] = []  # of the trades of a group: what the tally wants of them,
        self._lots: list[int] = []  # told once, because telling it of each order costs as much as the order
        self._now = Moment(0, 0)

    # -- one command ------------------------------------------------------------------------------

    def _before_all(self, command: Command) -> Done | Refused:
        if type(command) is not Define:
            return Refused(Reason.NOT_DEFINED)
        return self._define(None, None, command)

    def _place(self, instrument: Instrument, account: Account, place: Place) -> Placed | Refused:
        self.last_order = number = self.last_order + 1
        quantity = place.quantity
        refused = self._objection(instrument, account, place, number)
        if refused is not None:
            return refused
        status, left, fills, removed = self._arrive(instrument, number, account, place, quantity, self._now)
        resting = left if status <= _PARTIALLY_FILLED else 0
        return Placed(number, status, quantity - left, resting, fills, removed)

    def _objection(
        self, instrument: Instrument, account: Account, place: Place, number: int
    ) -> Refused | None:
        if not 0 < place.quantity <= instrument.max_quantity:
            return Refused(Reason.QUANTITY_RANGE, number, [place.quantity, instrument.max_quantity])
        if not 0 <= place.price <= instrument.max_price:
            return Refused(Reason.PRICE_RANGE, number, [place.price, instrument.max_price])
        rests = place.price > 0 and place.tif is GTC
        if place.post_only and not rests:
            return Refused(Reason.POST_ONLY_TAKES, number)
        if self.halted:
            return Refused(Reason.HALTED, number)
        if instrument.price_band and place.price:
            refused = self._outside_band(instrument, number, place.price)
            if refused is not None:
                return refused
        if instrument.max_open_orders and rests and len(account.orders) >= instrument.max_open_orders:
            numbers = [len(account.orders), instrument.max_open_orders]
            return Refused(Reason.TOO_MANY_OPEN, number, numbers)
        return self._crossing(number, place.side, place.price) if place.post_only else None

    def _outside_band(self, instrument: Instrument, number: int, price: int) -> Refused | None:
        last = self.last_price
        if not last:
            return None
        # Rounded inwards: a price on the edge of the band is inside, one tick further is not.
        lowest = max(1, -(-last * (BASIS - instrument.price_band) // BASIS))
        highest = min(last * (BASIS + instrument.price_band) // BASIS, instrument.max_price)
        if lowest <= price <= highest:
            return None
        return Refused(Reason.PRICE_BAND, number, [price, lowest, highest])

    def _crossing(self, number: int, side: Side, price: int) -> Refused | None:
        met = self.book.crossed(side, price)
        return Refused(Reason.WOULD_TRADE, number, [met]) if met else None

    # -- matching ---------------------------------------------------------------------------------

    def _arrive(
        self, instrument: Instrument, number: int, account: Account, place: Place, wanted: int, moment: Moment
    ) -> Arrival:
        """Match an order under any condition; what then remains of it rests or is dropped (M4, M12)."""
        book = self.book
        rests = place.price > 0 and place.tif is GTC
        if not place.price and not place.side:
            place = replace(place, price=ANY_BUY_PRICE)  # one that sells is content with 0 as it is
        takes, stops, removed = wanted, False, _NONE_REMOVED
        self_trade = place.self_trade or instrument.self_trade
        if place.tif is _FOK or self_trade is not ALLOW:
            takes, own, stops = book.foresee(account, place, wanted, self_trade)
            if place.tif is _FOK and takes < wanted:
                return Arrival(_EXPIRED, wanted, _NO_FILLS, _NONE_REMOVED)
            for order in own:
                book.cancel(account, order.id)
            if own:
                removed = [Removed(order.id, abs(order.remaining)) for order in own]
        trades = None
        if not stops:
            trades = book.place(number, account, place, wanted, moment, rests)
        elif takes:
            trades = book.place(number, account, place, takes, moment, False)
        fills = _NO_FILLS
        left = wanted
        if trades is not None:
            left = wanted - takes if stops else trades[2]
            fills = self._fills(trades, wanted - left)
        if not left:
            status = _FILLED
        elif stops:
            status = _CANCELLED
        elif not rests:
            status = _EXPIRED
        else:
            status = _PARTIALLY_FILLED if fills else _OPEN
        return Arrival(status, left, fills, removed)

    def _fills(self, trades: Trades, lots: int) -> list[Fill]:
        """Number the trades, remember the last, and return them as they are told to others."""
        makers, part, _ = trades
        number = self.last_trade + 1
        self.last_trade = last = self.last_trade + len(makers)
        partly = makers.pop() if part else None
        fills = [
            Fill(trade, maker.place.price, maker.remaining, maker.id, maker.owner.name, 0)
            for trade, maker in enumerate(makers, number)
        ]
        if partly is not None:
            fills.append(Fill(last, partly.place.price, part, partly.id, partly.owner.name, partly.remaining))
        self.last_price = fills[-1].price
        self._prices += (fills[0].price, self.last_price)
        self._lots.append(lots)
        return fills

    # -- orders that rest -------------------------------------------------------------------------

    def _cancel(self, _: Instrument, account: Account, cancel: Cancel) -> Cancelled | Refused:
        number = cancel.order or account.memory.order(cancel.client_order_id)
        order = self.book.cancel(account, number)
        if order is None:
            return Refused(Reason.UNKNOWN_ORDER, _order_id(cancel.order))
        remaining = abs(order.remaining)
        return Cancelled(number, order.place.quantity - remaining, remaining)

    def _cancel_all(self, _: Instrument, account: Account, command: CancelAll) -> CancelledAll:
        # By id, because the table's own order is not the same after a restart from a snapshot.
        orders = [account.orders[number] for number in sorted(account.orders)]
        going = [order for order in orders if command.side is None or order.place.side is command.side]
        for order in going:
            self.book.cancel(account, order.id)
        return CancelledAll([Removed(order.id, abs(order.remaining)) for order in going])

    def _amend(self, instrument: Instrument, account: Account, amend: Amend) -> Amended | Refused:
        quantity = amend.quantity
        number = _order_id(amend.order)
        if not 0 < quantity <= instrument.max_quantity:
            return Refused(Reason.QUANTITY_RANGE, number, [quantity, instrument.max_quantity])
        if not 0 <= amend.price <= instrument.max_price:
            return Refused(Reason.PRICE_RANGE, number, [amend.price, instrument.max_price])
        if self.halted:
            return Refused(Reason.HALTED, number)
        order = account.orders.get(amend.order or account.memory.order(amend.client_order_id))
        if order is None:
            return Refused(Reason.UNKNOWN_ORDER, number)
        number, place, filled = order.id, order.place, order.filled
        if quantity <= filled:
            self.book.cancel(account, number)
            return Amended(number, _FILLED, filled, place.price, filled, 0, _NO_FILLS, _NONE_REMOVED)
        price = amend.price or place.price
        wanted = quantity - filled
        first = first_of(order) if place.client_order_id else None
        if price == place.price and wanted <= order.remaining:
            self.book.reduce(order, quantity)
            order.memo = first
            status = _PARTIALLY_FILLED if filled else _OPEN
            return Amended(number, status, quantity, price, filled, wanted, _NO_FILLS, _NONE_REMOVED)
        refused = self._outside_band(instrument, number, price) if instrument.price_band else None
        if refused is None and place.post_only:
            refused = self._crossing(number, place.side, price)
        if refused is not None:
            return refused
        self.book.cancel(account, number)
        place = replace(place, quantity=quantity, price=price)
        status, left, fills, removed = self._arrive(instrument, number, account, place, wanted, order.moment)
        if number in account.orders:
            account.orders[number].memo = first
        if filled and status is _OPEN:
            status = _PARTIALLY_FILLED
        resting = left if status <= _PARTIALLY_FILLED else 0
        return Amended(number, status, quantity, price, quantity - left, resting, fills, removed)

    def _halt(self, instrument: Instrument, account: Account, command: Halt | Resume) -> Done:
        self.rule(instrument, type(command) is Halt)
        return _DONE

    def _define(self, old: Instrument | None, account: Account | None, define: Define) -> Done | Refused:
        try:
            instrument = as_instrument(define)
        except BadInstrument:
            return Refused(Reason.BAD_INSTRUMENT)
        if old is not None and _fixed(instrument) != _fixed(old):
            return Refused(Reason.INSTRUMENT_FIXED)
        self.rule(instrument, self.halted)
        return _DONE

    def _pass_over(self, *_: object) -> Done:
        return _DONE  # nodes' words to each other, and about the log: nothing of the market changes

    def _keep_keys(self, _: Instrument, account: Account, command: GrantKey | RevokeKey) -> Done | Refused:
        return self.keys.carry_out(command, self._now.time_ns)

    def rule(self, instrument: Instrument, halted: bool) -> None:
        """Set what orders are held to from now on."""
        self.instrument = instrument
        self.halted = halted
        is_calm = not (halted or instrument.price_band or instrument.max_open_orders)
        usual_mode = SelfTrade.DEFAULT if instrument.self_trade is ALLOW else ALLOW
        self._calm = (instrument.max_quantity if is_calm else 0), instrument.max_price, usual_mode


RULES: dict[type, Callable[..., FirstOutcome]] = {
    Place: Rules._place,
    Cancel: Rules._cancel,
    Amend: Rules._amend,
    CancelAll: Rules._cancel_all,
    Halt: Rules._halt,
    Resume: Rules._halt,
    Define: Rules._define,
    Checkpoint: Rules._pass_over,
    Move: Rules._pass_over,
    GrantKey: Rules._keep_keys,
    RevokeKey: Rules._keep_keys,
}


def _fixed(instrument: Instrument) -> tuple[str, int, int, int]:
    return instrument.symbol, instrument.number, instrument.tick, instrument.lot


def _order_id(given: int) -> int:
    """Return an order id to quote in a refusal: 0 rather than a number no order can have."""
    return given if 0 < given <= MAX_WHOLE else 0
