"""An accountant who sees only commands and outcomes, and keeps the books of guarantees S5 to S7."""

from dataclasses import dataclass

from p2pcli.market.commands import Command, Place, Side
from p2pcli.market.events import (
    Amended,
    Cancelled,
    CancelledAll,
    Fill,
    Outcome,
    Placed,
    Refused,
    Removed,
    Status,
)


@dataclass
class Account:
    """One order, from first to last."""

    side: Side
    quantity: int
    filled: int = 0
    remaining: int = 0
    cancelled: int = 0

    def balances(self) -> bool:
        parts = (self.filled, self.remaining, self.cancelled)
        return sum(parts) == self.quantity and min(parts) >= 0


class Ledger:
    """Every order ever placed. It asserts what must never be otherwise."""

    def __init__(self) -> None:
        self.orders: dict[int, Account] = {}
        self.trades = 0
        self.traded = {Side.BUY: 0, Side.SELL: 0}  # lots, over all orders' filled parts

    def enter(self, command: Command, outcome: Outcome) -> None:
        if isinstance(command, Place) and isinstance(outcome, Placed | Refused) and outcome.order:
            assert outcome.order == len(self.orders) + 1, "order ids are 1, 2, 3 ... each used once (M6)"
            refused = isinstance(outcome, Refused)
            self.orders[outcome.order] = Account(command.side, 0 if refused else command.quantity)
        match outcome:
            case Placed() | Amended():
                self.arrived(outcome)
            case Cancelled():
                self.remove(Removed(outcome.order, outcome.remaining))
            case CancelledAll():
                for removed in outcome.removed:
                    self.remove(removed)
        assert self.traded[Side.BUY] == self.traded[Side.SELL], "bought = sold (S7)"

    def arrived(self, outcome: Placed | Amended) -> None:
        order = self.orders[outcome.order]
        if isinstance(outcome, Amended):
            order.quantity = outcome.quantity
        for removed in outcome.removed:
            self.remove(removed)
        for fill in outcome.fills:
            self.trade(order, fill)
        assert outcome.filled == order.filled
        assert bool(outcome.remaining) == outcome.status.is_open
        order.remaining = outcome.remaining
        order.cancelled = 0 if outcome.status.is_open else order.quantity - order.filled
        assert order.balances(), f"filled + remaining + cancelled = quantity (S5): {outcome}"
        assert (outcome.status is Status.FILLED) == (order.filled == order.quantity)

    def trade(self, taker: Account, fill: Fill) -> None:
        self.trades += 1
        assert fill.trade == self.trades, "trade numbers are contiguous (S6)"
        maker = self.orders[fill.maker]
        assert maker.side is not taker.side
        assert 0 < fill.quantity <= maker.remaining, "no lot is filled twice (S6)"
        maker.filled += fill.quantity
        maker.remaining -= fill.quantity
        assert maker.remaining == fill.maker_remaining
        assert maker.balances(), f"filled + remaining + cancelled = quantity (S5): {fill}"
        taker.filled += fill.quantity
        self.traded[maker.side] += fill.quantity
        self.traded[taker.side] += fill.quantity

    def remove(self, removed: Removed) -> None:
        order = self.orders[removed.order]
        assert order.remaining == removed.remaining > 0
        order.cancelled, order.remaining = order.remaining, 0
