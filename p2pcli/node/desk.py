"""Where a market's commands are carried out: the matching rules M1 to M13, on one book.

Deterministic: what it answers follows from the commands before and from nothing else. The time and the
sequence it is given come from the log. It trusts nobody: whoever checked a command before, it is checked
again here, because a log outlives the programs that wrote it. A command is examined in this order, and the
first thing wrong is what the owner is told:
  its ids, whether the market is defined, whether the id was answered before (M7), the ranges of quantity
  and price (M13), the combination of options (M5), whether the market is halted, which order it names (M8),
  the price band, the cap on open orders, and last whether it would trade though it must not (M5, M11).
A place takes the next order id once it gets past M7, whatever becomes of it then (M6).
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from msgspec.structs import replace

from p2pcli.book.book import ANY_BUY_PRICE, Book, Trades
from p2pcli.book.level import Moment, Owner
from p2pcli.market.commands import (
    MAX_ID_LENGTH,
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
    Outcome,
    Placed,
    Reason,
    Refused,
    Removed,
    Repeated,
    Status,
)
from p2pcli.market.instrument import BadInstrument, Instrument, as_instrument
from p2pcli.node.keys import Keys
from p2pcli.node.memory import FirstOutcome, Memory, Remembered, ids_of
from p2pcli.node.tally import Tally

MAX_OWNERS = 10_000  # known at once; of more, the longest silent one without open orders is forgotten
BASIS = 10_000  # basis points in 1

# An enum's member costs 30 ns to look up through its class, a global 5 ns.
_OPEN, _PARTIALLY_FILLED, _FILLED = Status.OPEN, Status.PARTIALLY_FILLED, Status.FILLED
_CANCELLED, _EXPIRED = Status.CANCELLED, Status.EXPIRED
_GTC, _FOK = TimeInForce.GTC, TimeInForce.FOK
_ALLOW = SelfTrade.ALLOW

_NO_FILLS: list[Fill] = []  # these two are shared by all outcomes without any, and never changed
_NONE_REMOVED: list[Removed] = []
_DONE = Done()


class Account(Owner):
    """An owner, its open orders, and what it asked before."""

    __slots__ = ("memory",)

    def __init__(self, name: str, memory: Memory | None = None) -> None:
        super().__init__(name)
        self.memory = Memory() if memory is None else memory


class Arrival(NamedTuple):
    """What became of an order that was matched."""

    status: Status
    untraded: int  # lots; they rest if the status is open, else nobody will ever trade them
    fills: list[Fill]
    removed: list[Removed]


class Desk:
    """One market: its book, its rules, what it remembers."""

    def __init__(self) -> None:
        self.instrument: Instrument | None = None
        self.book = Book()
        self.tally = Tally()
        self.accounts: OrderedDict[str, Account] = OrderedDict()  # by name, the longest silent first
        self.keys = Keys()
        self.halted = False
        self.last_price = 0  # ticks; 0 before the first trade
        self.last_order = 0  # the highest order id given
        self.last_trade = 0  # the highest trade number given
        self._calm = False  # nothing but ranges and options can stand against an order
        self._now = Moment(0, 0)

    def __del__(self) -> None:
        # Owners and their orders know each other, and the garbage collector does not see orders.
        for account in self.accounts.values():
            account.orders.clear()

    def carry_out(self, owner: str, commands: list[Command], now: Moment, key: str = "") -> list[Outcome]:
        """Carry out one owner's commands in turn and return one outcome for each.

        ``key`` is the id of the key that proved the owner: none of its commands is looked at unless it is
        good at this very place in the log, whatever the node knew that took them.
        """
        if key and not self.keys.admits(key, owner):
            return [Refused(Reason.KEY_REFUSED) for _ in commands]
        if len(owner) > MAX_ID_LENGTH:
            return [Refused(Reason.ID_TOO_LONG, 0, [len(owner), MAX_ID_LENGTH])] * len(commands)
        self._now = now
        account = self._account(owner)
        answers, recent = account.memory.answers, account.memory.recent
        outcomes: list[Outcome] = []
        for command in commands:
            instrument = self.instrument
            if type(command) is Place:
                command_id = longest = command.client_order_id
            else:
                command_id, longest = ids_of(command)
            if instrument is None:
                outcomes.append(self._before_all(command))
            elif not command_id:
                outcomes.append(_RULES[type(command)](self, instrument, account, command))
            elif len(longest) > MAX_ID_LENGTH:
                outcomes.append(Refused(Reason.ID_TOO_LONG, 0, [len(longest), MAX_ID_LENGTH]))
            elif (first := answers.get(command_id)) is None:
                outcome = _RULES[type(command)](self, instrument, account, command)
                answers[command_id] = Remembered(command, now.sequence, outcome)
                recent.append(command_id)
                if len(recent) > instrument.remembered_ids:
                    account.memory.forget(instrument.remembered_ids, account.orders)
                outcomes.append(outcome)
            elif first.command == command:
                outcomes.append(Repeated(first.sequence, first.outcome))
            else:
                outcomes.append(Refused(Reason.ID_REUSED))
        return outcomes

    def named(self, account: Account, client_order_id: str) -> int:
        """Return the id of the order that this owner placed under a client order id, 0 for none. O(1)."""
        placed = account.memory.answers.get(client_order_id) if client_order_id else None
        return placed.order if placed is not None else 0

    def _account(self, owner: str) -> Account:
        accounts = self.accounts
        account = accounts.get(owner)
        if account is not None:
            accounts.move_to_end(owner)
            return account
        if len(accounts) >= MAX_OWNERS:
            # Two looks for each newcomer: owners with open orders pass, so that others never outnumber them.
            for _ in range(2):
                silent, account = accounts.popitem(last=False)
                if not account.orders:
                    break
                accounts[silent] = account
        account = accounts[owner] = Account(owner)
        return account

    # -- one command ------------------------------------------------------------------------------

    def _before_all(self, command: Command) -> Done | Refused:
        if type(command) is not Define:
            return Refused(Reason.NOT_DEFINED)
        return self._define(None, None, command)

    def _place(self, instrument: Instrument, account: Account, place: Place) -> Placed | Refused:
        self.last_order = number = self.last_order + 1
        quantity, price = place.quantity, place.price
        # Nearly every order is like this, and nothing can be wrong with it. Others are judged further down.
        if (
            self._calm
            and 0 < quantity <= instrument.max_quantity
            and 0 < price <= instrument.max_price
            and place.tif is _GTC
            and not place.post_only
            and (place.self_trade or instrument.self_trade) is _ALLOW
        ):
            trades = self.book.place(number, account, place, quantity, self._now)
            if trades is None:
                return Placed(number, _OPEN, 0, quantity, _NO_FILLS, _NONE_REMOVED)
            left = trades[2]
            status = _PARTIALLY_FILLED if left else _FILLED
            fills = self._fills(trades, quantity - left)
            return Placed(number, status, quantity - left, left, fills, _NONE_REMOVED)
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
        rests = place.price > 0 and place.tif is _GTC
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
        rests = place.price > 0 and place.tif is _GTC
        if not place.price and not place.side:
            place = replace(place, price=ANY_BUY_PRICE)  # one that sells is content with 0 as it is
        takes, stops, removed = wanted, False, _NONE_REMOVED
        self_trade = place.self_trade or instrument.self_trade
        if place.tif is _FOK or self_trade is not _ALLOW:
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
        first_price = makers[0].place.price
        partly = makers.pop() if part else None
        fills = [
            Fill(trade, maker.place.price, maker.remaining, maker.id, maker.owner.name, 0)
            for trade, maker in enumerate(makers, number)
        ]
        if partly is not None:
            fills.append(Fill(last, partly.place.price, part, partly.id, partly.owner.name, partly.remaining))
        self.last_price = price = fills[-1].price
        self.tally.add(self._now.time_ns, first_price, price, lots, len(fills))
        return fills

    # -- orders that rest -------------------------------------------------------------------------

    def _cancel(self, _: Instrument, account: Account, cancel: Cancel) -> Cancelled | Refused:
        number = cancel.order or self.named(account, cancel.client_order_id)
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
        order = account.orders.get(amend.order or self.named(account, amend.client_order_id))
        if order is None:
            return Refused(Reason.UNKNOWN_ORDER, number)
        number, place, filled = order.id, order.place, order.filled
        if quantity <= filled:
            self.book.cancel(account, number)
            return Amended(number, _FILLED, filled, place.price, filled, 0, _NO_FILLS, _NONE_REMOVED)
        price = amend.price or place.price
        wanted = quantity - filled
        if price == place.price and wanted <= order.remaining:
            self.book.reduce(order, quantity)
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
        self._calm = not (halted or instrument.price_band or instrument.max_open_orders)


_RULES: dict[type, Callable[..., FirstOutcome]] = {
    Place: Desk._place,
    Cancel: Desk._cancel,
    Amend: Desk._amend,
    CancelAll: Desk._cancel_all,
    Halt: Desk._halt,
    Resume: Desk._halt,
    Define: Desk._define,
    Checkpoint: Desk._pass_over,
    Move: Desk._pass_over,
    GrantKey: Desk._keep_keys,
    RevokeKey: Desk._keep_keys,
}


def _fixed(instrument: Instrument) -> tuple[str, int, int, int]:
    return instrument.symbol, instrument.number, instrument.tick, instrument.lot


def _order_id(given: int) -> int:
    """Return an order id to quote in a refusal: 0 rather than a number no order can have."""
    return given if 0 < given <= MAX_WHOLE else 0
