"""A market as a person would write it on one evening: one list of orders, scanned for everything.

The twin that the real machine is compared with. It shares the commands and outcomes with it and nothing
else: no ladder, no levels, no looking ahead (a fill-or-kill is tried out on a copy), no clever order of
anything. Where the two differ, one of them is wrong, and this one can be read.
"""

from copy import deepcopy
from dataclasses import dataclass, field

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

INFINITE = 1 << 80


@dataclass
class NaiveOrder:
    id: int
    owner: str
    side: Side
    price: int
    quantity: int
    filled: int
    client_order_id: str
    post_only: bool
    self_trade: SelfTrade

    @property
    def remaining(self) -> int:
        return self.quantity - self.filled


@dataclass
class Answered:
    id: str
    command: Command
    sequence: int
    outcome: Outcome
    number: int  # of its use among the owner's new ids: 1, 2, 3 ...


@dataclass
class NaiveMarket:
    """``rests`` is in the order of arrival: whoever stands earlier has rested longer."""

    define: Define
    rests: list[NaiveOrder] = field(default_factory=list)
    answered: dict[str, list[Answered]] = field(default_factory=dict)  # by owner, in the order of first use
    new_ids: dict[str, int] = field(default_factory=dict)  # by owner
    forgotten: int = 0  # ids that were used again as new ones
    orders: int = 0
    trades: int = 0
    last_price: int = 0
    halted: bool = False

    def do(self, owner: str, command: Command, sequence: int, said: Outcome | None = None) -> Outcome:
        """Return what must be answered (M7).

        An owner's last ``remembered_ids`` new ids are known, and those of its open orders. Of any other that
        was used before the machine may still know or not, so what it ``said`` decides which of the two right
        answers is expected; but what it says is the first answer or a wholly new one.
        """
        mine = command.client_order_id if isinstance(command, Place) else getattr(command, "command_id", "")
        if not mine:
            return self.first_time(owner, command)
        uses = self.answered.setdefault(owner, [])
        before = next((each for each in uses if each.id == mine), None)
        if before is not None:
            again = (
                Repeated(before.sequence, before.outcome)
                if before.command == command
                else Refused(Reason.ID_REUSED)
            )
            if self.must_know(owner, before) or said == again:
                return again
            self.forgotten += 1
            uses.remove(before)
        outcome = self.first_time(owner, command)
        number = self.new_ids[owner] = self.new_ids.get(owner, 0) + 1
        uses.append(Answered(mine, command, sequence, outcome, number))
        return outcome

    def must_know(self, owner: str, use: Answered) -> bool:
        is_recent = use.number > self.new_ids[owner] - self.define.remembered_ids
        return is_recent or (
            isinstance(use.command, Place)
            and any(each.owner == owner and each.client_order_id == use.id for each in self.rests)
        )

    def first_time(self, owner: str, command: Command) -> Outcome:
        match command:
            case Place():
                return self.place(owner, command)
            case Cancel():
                order = self.find(owner, command)
                if order is None:
                    return Refused(Reason.UNKNOWN_ORDER, command.order)
                self.rests.remove(order)
                return Cancelled(order.id, order.filled, order.remaining)
            case CancelAll():
                goes = [
                    each for each in self.rests if each.owner == owner and command.side in (None, each.side)
                ]
                for order in goes:
                    self.rests.remove(order)
                return CancelledAll(
                    [Removed(each.id, each.remaining) for each in sorted(goes, key=lambda each: each.id)]
                )
            case Amend():
                return self.amend(owner, command)
            case Halt() | Resume():
                self.halted = isinstance(command, Halt)
                return Done()
            case Define():
                self.define = command
                return Done()
        raise AssertionError(command)

    def find(self, owner: str, command: Cancel | Amend) -> NaiveOrder | None:
        for order in self.rests:
            named = order.id == command.order if command.order else False
            if not command.order and command.client_order_id:
                named = order.client_order_id == command.client_order_id
            if named and order.owner == owner:
                return order
        return None

    def place(self, owner: str, place: Place) -> Outcome:
        self.orders += 1
        number = self.orders
        rules = self.define
        market_order = place.price == 0
        if place.quantity < 1 or place.quantity > rules.max_quantity:
            return Refused(Reason.QUANTITY_RANGE, number, [place.quantity, rules.max_quantity])
        if place.price < 0 or place.price > rules.max_price:
            return Refused(Reason.PRICE_RANGE, number, [place.price, rules.max_price])
        if place.post_only and (market_order or place.tif != TimeInForce.GTC):
            return Refused(Reason.POST_ONLY_TAKES, number)
        if self.halted:
            return Refused(Reason.HALTED, number)
        if not market_order and (band := self.outside_band(place.price)):
            return Refused(Reason.PRICE_BAND, number, band)
        if rules.max_open_orders and not market_order and place.tif == TimeInForce.GTC:
            have = sum(each.owner == owner for each in self.rests)
            if have >= rules.max_open_orders:
                return Refused(Reason.TOO_MANY_OPEN, number, [have, rules.max_open_orders])
        order = NaiveOrder(
            number,
            owner,
            place.side,
            place.price or (INFINITE if place.side == Side.BUY else 0),
            place.quantity,
            0,
            place.client_order_id,
            place.post_only,
            place.self_trade,
        )
        if place.post_only and (best := self.best_for(order)):
            return Refused(Reason.WOULD_TRADE, number, [best.price])
        if place.tif == TimeInForce.FOK:
            trial = NaiveMarket(self.define, deepcopy(self.rests))
            twin = deepcopy(order)
            trial.match(twin)
            if twin.remaining:
                return Placed(number, Status.EXPIRED, 0, 0)
        fills, removed, stopped = self.match(order)
        rests = 0
        if not order.remaining:
            status = Status.FILLED
        elif stopped:
            status = Status.CANCELLED
        elif market_order or place.tif != TimeInForce.GTC:
            status = Status.EXPIRED
        else:
            status = Status.PARTIALLY_FILLED if order.filled else Status.OPEN
            rests = order.remaining
            self.rests.append(order)
        return Placed(number, status, order.filled, rests, fills, removed)

    def amend(self, owner: str, amend: Amend) -> Outcome:
        rules = self.define
        if amend.quantity < 1 or amend.quantity > rules.max_quantity:
            return Refused(Reason.QUANTITY_RANGE, amend.order, [amend.quantity, rules.max_quantity])
        if amend.price < 0 or amend.price > rules.max_price:
            return Refused(Reason.PRICE_RANGE, amend.order, [amend.price, rules.max_price])
        if self.halted:
            return Refused(Reason.HALTED, amend.order)
        order = self.find(owner, amend)
        if order is None:
            return Refused(Reason.UNKNOWN_ORDER, amend.order)
        price = amend.price or order.price
        if amend.quantity <= order.filled:
            self.rests.remove(order)
            return Amended(order.id, Status.FILLED, order.filled, order.price, order.filled, 0)
        if price == order.price and amend.quantity <= order.quantity:
            order.quantity = amend.quantity
            status = Status.PARTIALLY_FILLED if order.filled else Status.OPEN
            return Amended(order.id, status, order.quantity, price, order.filled, order.remaining)
        if band := self.outside_band(price):
            return Refused(Reason.PRICE_BAND, order.id, band)
        again = deepcopy(order)
        again.price, again.quantity = price, amend.quantity
        if again.post_only and (best := self.best_for(again)):
            return Refused(Reason.WOULD_TRADE, order.id, [best.price])
        self.rests.remove(order)
        fills, removed, stopped = self.match(again)
        rests = 0
        if not again.remaining:
            status = Status.FILLED
        elif stopped:
            status = Status.CANCELLED
        else:
            status = Status.PARTIALLY_FILLED if again.filled else Status.OPEN
            rests = again.remaining
            self.rests.append(again)
        return Amended(order.id, status, again.quantity, price, again.filled, rests, fills, removed)

    def outside_band(self, price: int) -> list[int]:
        band, last = self.define.price_band, self.last_price
        if not band or not last or abs(price - last) * 10_000 <= last * band:
            return []
        inside = [
            each for each in range(1, self.define.max_price + 1) if abs(each - last) * 10_000 <= last * band
        ]
        return [price, inside[0], inside[-1]]

    def best_for(self, order: NaiveOrder) -> NaiveOrder | None:
        """Return the resting order that this one would trade with first."""
        best = None
        for each in self.rests:
            if each.side == order.side:
                continue
            buyer, seller = (order, each) if order.side == Side.BUY else (each, order)
            if buyer.price < seller.price:
                continue
            if (
                best is None
                or (order.side == Side.BUY and each.price < best.price)
                or (order.side == Side.SELL and each.price > best.price)
            ):
                best = each
        return best

    def match(self, order: NaiveOrder) -> tuple[list[Fill], list[Removed], bool]:
        mode = order.self_trade or self.define.self_trade
        fills: list[Fill] = []
        removed: list[Removed] = []
        while order.remaining and (maker := self.best_for(order)):
            if maker.owner == order.owner and mode != SelfTrade.ALLOW:
                if mode in (SelfTrade.CANCEL_OLDEST, SelfTrade.CANCEL_BOTH):
                    self.rests.remove(maker)
                    removed.append(Removed(maker.id, maker.remaining))
                if mode in (SelfTrade.CANCEL_NEWEST, SelfTrade.CANCEL_BOTH):
                    return fills, removed, True
                continue
            self.trades += 1
            quantity = min(order.remaining, maker.remaining)
            order.filled += quantity
            maker.filled += quantity
            self.last_price = maker.price
            fills.append(Fill(self.trades, maker.price, quantity, maker.id, maker.owner, maker.remaining))
            if not maker.remaining:
                self.rests.remove(maker)
        return fills, removed, False

    def in_priority(self) -> list[tuple[int, str, int, int, int]]:
        """Return (id, owner, price, quantity, filled) of every resting order, bids first, best first."""
        bids = sorted((each for each in self.rests if each.side == Side.BUY), key=lambda each: -each.price)
        asks = sorted((each for each in self.rests if each.side == Side.SELL), key=lambda each: each.price)
        return [(each.id, each.owner, each.price, each.quantity, each.filled) for each in bids + asks]
