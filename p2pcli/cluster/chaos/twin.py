"""A market kept in two lists, fed with the rows that nodes export: what should have happened. Pure.

It shares no code with the matching engine. Orders stand in two lists, best first and at one price longest
at rest first, and every order that arrives walks along the other side's list (M1 to M13).
"""

from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]
Trade = tuple[int, int, int, int, str, str]  # maker, taker, price, quantity, buyer, seller

REPEATS = ("repeated", "refused id_reused")
# What depends on commands that are not exported, or on a text's length: taken from the row.
TRUSTED = ("refused halted", "refused not_defined", "refused id_too_long")
_WITHOUT_ID = ("refused not_defined", "refused id_too_long")


@dataclass(slots=True)
class Rules:
    """What a market's definition says, in ticks and lots; band in basis points, 0: none."""

    max_price: int
    max_quantity: int
    price_band: int = 0
    max_open_orders: int = 0
    remembered_ids: int = 100_000


@dataclass(slots=True)
class Resting:
    """One order that may still trade."""

    order: int
    owner: str
    is_buy: bool
    price: int
    quantity: int
    filled: int
    post_only: bool
    stp: str

    @property
    def remaining(self) -> int:
        return self.quantity - self.filled


@dataclass(slots=True)
class Expected:
    """What a row should have come to."""

    outcome: str  # done, repeated, or refused and why
    order: int = 0  # the id that a place got
    trades: list[Trade] = field(default_factory=list)


class Twin:
    """The market after the rows so far. ``take`` is O(resting orders)."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.last_order = 0
        self.last_trade = 0
        self._last_price = 0
        # (rank, turn, order): rank is the price with the better first, turn how long ago it came to rest.
        self._bids: list[tuple[int, int, Resting]] = []
        self._asks: list[tuple[int, int, Resting]] = []
        self._open: dict[int, tuple[int, int, Resting]] = {}
        self._turn = 0
        self._ids: dict[tuple[str, str], int] = {}  # when an id was first used, counted per owner
        self._used: dict[str, int] = {}  # ids per owner
        self._sweep: tuple[str, str] | None = None  # the cancel-all whose rows these may be

    def take(self, row: Row) -> Expected:
        """Carry out one exported command."""
        name = row["owner"], row["id"]
        if self._is_used(name, row):
            outcome = row["outcome"] if row["outcome"] in REPEATS else REPEATS[0]
            return Expected(outcome, row["order"] if row["op"] == "place" else 0)
        if row["outcome"] in TRUSTED:
            takes_id = row["op"] == "place" and row["outcome"] not in _WITHOUT_ID
            return Expected(row["outcome"], self._next_order() if takes_id else 0)
        match row["op"]:
            case "place":
                return self._place(row)
            case "amend":
                return self._amend(row)
            case _:
                return self._cancel(row)

    def resting(self) -> Iterator[Resting]:
        """Yield every resting order in priority order: bids best first, then asks."""
        for side in (self._bids, self._asks):
            for _, _, order in side:
                yield order

    @property
    def is_crossed(self) -> bool:
        """Return whether a bid and an ask rest that should have traded (S8)."""
        return bool(self._bids and self._asks) and self._bids[0][2].price >= self._asks[0][2].price

    def _is_used(self, name: tuple[str, str], row: Row) -> bool:
        """Note an id and say whether it was there before. A cancel-all has one row for each order."""
        is_sweep = row["op"] == "cancel" and self._sweep == name and row["outcome"] == "done"
        self._sweep = name if row["op"] == "cancel" else None
        first = self._ids.get(name)
        if first is not None and not is_sweep:
            forgotten = self._used[name[0]] - first >= self.rules.remembered_ids
            if not forgotten or row["outcome"] in REPEATS:
                return True
        if not is_sweep:
            self._used[name[0]] = self._ids[name] = self._used.get(name[0], 0) + 1
        return False

    # -- commands ---------------------------------------------------------------------------------

    def _place(self, row: Row) -> Expected:
        number = self._next_order()
        price, quantity = row["price"] or 0, row["qty"]
        rests = price > 0 and row["tif"] == "GTC"
        order = Resting(
            number, row["owner"], row["side"] == "buy", price, quantity, 0, row["post_only"], row["stp"]
        )
        refused = self._out_of_range(price, quantity)
        if not refused and order.post_only and not rests:
            refused = "refused post_only_takes"
        if not refused and price and self._is_outside_band(price):
            refused = "refused price_band"
        if not refused and rests and self._has_too_many(order.owner):
            refused = "refused too_many_open"
        if not refused and order.post_only and self._crossing(order):
            refused = "refused would_trade"
        if refused:
            return Expected(refused, number)
        if row["tif"] == "FOK" and self._takeable(order) < quantity:
            return Expected("done", number)
        trades, stopped = self._match(order)
        if order.remaining and rests and not stopped:
            self._rest(order)
        return Expected("done", number, trades)

    def _amend(self, row: Row) -> Expected:
        quantity = row["qty"]
        refused = self._out_of_range(row["price"] or 0, quantity)
        if refused:
            return Expected(refused)
        order = self._own(row)
        if order is None:
            return Expected("refused unknown_order")
        price = row["price"] or order.price
        if quantity <= order.filled:
            self._remove(order)
            return Expected("done")
        if price == order.price and quantity <= order.quantity:
            order.quantity = quantity
            return Expected("done")
        if self._is_outside_band(price):
            return Expected("refused price_band")
        again = Resting(
            order.order, order.owner, order.is_buy, price, quantity, order.filled, order.post_only, order.stp
        )
        if again.post_only and self._crossing(again):
            return Expected("refused would_trade")
        self._remove(order)
        trades, stopped = self._match(again)
        if again.remaining and not stopped:
            self._rest(again)
        return Expected("done", 0, trades)

    def _cancel(self, row: Row) -> Expected:
        order = self._own(row)
        if order is None:
            return Expected("refused unknown_order")
        self._remove(order)
        return Expected("done")

    # -- rules ------------------------------------------------------------------------------------

    def _next_order(self) -> int:
        self.last_order += 1
        return self.last_order

    def _own(self, row: Row) -> Resting | None:
        found = self._open.get(row["order"])
        return found[2] if found is not None and found[2].owner == row["owner"] else None

    def _out_of_range(self, price: int, quantity: int) -> str:
        if not 1 <= quantity <= self.rules.max_quantity:
            return "refused quantity_range"
        return "" if 0 <= price <= self.rules.max_price else "refused price_range"

    def _is_outside_band(self, price: int) -> bool:
        last, band = self._last_price, self.rules.price_band
        return bool(band and last) and abs(price - last) * 10_000 > last * band

    def _has_too_many(self, owner: str) -> bool:
        limit = self.rules.max_open_orders
        return bool(limit) and sum(found[2].owner == owner for found in self._open.values()) >= limit

    def _crossing(self, order: Resting) -> list[Resting]:
        """Return the orders this one would meet, in the order in which it would."""
        met = []
        for _, _, maker in self._asks if order.is_buy else self._bids:
            away = maker.price - order.price if order.is_buy else order.price - maker.price
            if order.price and away > 0:
                break
            met.append(maker)
        return met

    def _takeable(self, order: Resting) -> int:
        """Return how many lots it could take at once (M4, M12)."""
        takes = 0
        for maker in self._crossing(order):
            if maker.owner == order.owner and order.stp != "allow":
                if order.stp == "cancel-oldest":
                    continue
                break
            takes += maker.remaining
        return takes

    def _match(self, order: Resting) -> tuple[list[Trade], bool]:
        """Trade what can be traded; also say whether self-trade prevention stopped the order."""
        trades: list[Trade] = []
        for maker in self._crossing(order):
            if not order.remaining:
                break
            if maker.owner == order.owner and order.stp != "allow":
                if order.stp != "cancel-newest":
                    self._remove(maker)
                if order.stp != "cancel-oldest":
                    return trades, True
                continue
            quantity = min(order.remaining, maker.remaining)
            order.filled += quantity
            maker.filled += quantity
            self.last_trade += 1
            self._last_price = maker.price
            buyer, seller = (order, maker) if order.is_buy else (maker, order)
            trades.append((maker.order, order.order, maker.price, quantity, buyer.owner, seller.owner))
            if not maker.remaining:
                self._remove(maker)
        return trades, False

    def _rest(self, order: Resting) -> None:
        self._turn += 1
        place = (-order.price if order.is_buy else order.price, self._turn, order)
        insort(self._bids if order.is_buy else self._asks, place, key=lambda each: each[:2])
        self._open[order.order] = place

    def _remove(self, order: Resting) -> None:
        place = self._open.pop(order.order)
        (self._bids if order.is_buy else self._asks).remove(place)
