"""Who trades with whom. The rules as stories are in tests/scenarios; here is what only the book promises."""

import sys

import pytest
from checks import check_book

from p2pcli.book.book import ANY_BUY_PRICE, Book
from p2pcli.book.level import Moment, Order, Owner
from p2pcli.market.commands import Place, SelfTrade, Side

NOW = Moment(1, 1)
ANN, BOB = "ann", "bob"


class Bench:
    """A book, two owners and the next order id."""

    def __init__(self) -> None:
        self.book = Book()
        self.owners = {ANN: Owner(ANN), BOB: Owner(BOB)}
        self.last = 0

    def place(self, side: Side, quantity: int, price: int, owner: str = ANN, rests: bool = True):
        self.last += 1
        place = Place(side, quantity, price)
        return self.book.place(self.last, self.owners[owner], place, quantity, NOW, rests)

    def order(self, number: int) -> Order:
        return next(order for order in self.book.orders() if order.id == number)

    def check(self) -> None:
        check_book(self.book, self.owners.values())


@pytest.fixture
def bench():
    made = Bench()
    yield made
    made.check()


def ids(trades) -> list[int]:
    return [maker.id for maker in trades[0]]


def test_order_that_meets_nobody_makes_no_trades(bench):
    assert bench.place(Side.SELL, 5, 100) is None
    assert bench.place(Side.BUY, 5, 99) is None
    assert (bench.book.bids.best, bench.book.asks.best) == (99, 100)


def test_makers_come_back_in_the_order_they_traded(bench):
    bench.place(Side.SELL, 2, 101)
    bench.place(Side.SELL, 2, 100)
    bench.place(Side.SELL, 2, 101)
    trades = bench.place(Side.BUY, 5, 101)
    assert ids(trades) == [2, 1, 3]
    assert trades[1:] == (1, 0), "the last maker gave one lot and rests on"
    assert bench.order(3).remaining == 1


def test_makers_that_gave_everything_leave_and_the_rest_of_the_taker_rests(bench):
    bench.place(Side.BUY, 2, 100)
    bench.place(Side.BUY, 2, 100)
    trades = bench.place(Side.SELL, 5, 100)
    assert ids(trades) == [1, 2]
    assert trades[1:] == (0, 1)
    assert [order.id for order in bench.book.orders()] == [3]


def test_order_that_may_not_rest_leaves_nothing_behind(bench):
    bench.place(Side.SELL, 2, 100)
    trades = bench.place(Side.BUY, 5, ANY_BUY_PRICE, rests=False)
    assert trades[2] == 3
    assert list(bench.book.orders()) == []
    assert bench.place(Side.SELL, 5, 0, rests=False) is None


def test_taker_passes_over_withdrawn_orders(bench):
    for _ in range(5):
        bench.place(Side.SELL, 1, 100)
    for number in (1, 3, 4):
        bench.book.cancel(bench.owners[ANN], number)
    bench.check()
    assert ids(bench.place(Side.BUY, 1, 100)) == [2]
    bench.check()
    assert ids(bench.place(Side.BUY, 1, 100)) == [5]


def test_cancel_of_another_owner_or_an_unknown_order_finds_nothing(bench):
    bench.place(Side.SELL, 1, 100)
    assert bench.book.cancel(bench.owners[BOB], 1) is None
    assert bench.book.cancel(bench.owners[ANN], 2) is None
    assert bench.book.cancel(bench.owners[ANN], 1) is not None
    assert bench.book.cancel(bench.owners[ANN], 1) is None


def test_best_price_is_known_after_the_last_order_there_was_cancelled(bench):
    bench.place(Side.BUY, 1, 100)
    bench.place(Side.BUY, 1, 99)
    bench.book.cancel(bench.owners[ANN], 1)
    assert bench.book.bids.best == 99
    assert bench.place(Side.SELL, 1, 100) is None


def test_reduced_order_keeps_its_place(bench):
    bench.place(Side.BUY, 5, 100)
    bench.place(Side.BUY, 5, 100)
    bench.book.reduce(bench.order(1), 2)
    bench.check()
    assert ids(bench.place(Side.SELL, 2, 100)) == [1]


def test_lone_order_can_be_reduced(bench):
    bench.place(Side.BUY, 5, 100)
    bench.book.reduce(bench.order(1), 2)
    assert bench.order(1).remaining == 2


@pytest.mark.parametrize("mode", list(SelfTrade)[1:])
def test_looking_ahead_changes_nothing(bench, mode):
    bench.place(Side.SELL, 2, 100, BOB)
    bench.place(Side.SELL, 2, 100, ANN)
    before = [(order.id, order.remaining) for order in bench.book.orders()]
    bench.book.foresee(bench.owners[ANN], Place(Side.BUY, 4, 100), 4, mode)
    assert [(order.id, order.remaining) for order in bench.book.orders()] == before


def test_looking_ahead_stops_where_the_order_is_filled(bench):
    bench.place(Side.SELL, 2, 100, BOB)
    bench.place(Side.SELL, 2, 100, ANN)
    seen = bench.book.foresee(bench.owners[ANN], Place(Side.BUY, 2, 100), 2, SelfTrade.CANCEL_BOTH)
    assert seen == (2, [], False)


def test_dropped_book_frees_its_orders():
    # Orders are out of the collector's sight, so nothing but reference counts can free them.
    bench = Bench()
    for price in range(1, 50):
        bench.place(Side.BUY, 1, price)
        bench.place(Side.BUY, 1, price)
    command = Place(Side.BUY, 1, 1)
    bench.book.place(1_000, bench.owners[ANN], command, 1, NOW)
    references = _references(command)
    for owner in bench.owners.values():
        owner.orders.clear()
    del bench
    assert _references(command) == references - 1


def _references(thing: object) -> int:
    return sys.getrefcount(thing)
