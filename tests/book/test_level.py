"""A queue of orders forgets those that left, without making anybody wait for it."""

from p2pcli.book.book import Book
from p2pcli.book.level import Level, Moment, Order, Owner
from p2pcli.market.commands import Place, Side

NOW = Moment(1, 1)


def queue_of(count: int) -> tuple[Book, Owner, Level]:
    book, owner = Book(), Owner("ann")
    for number in range(1, count + 1):
        book.place(number, owner, Place(Side.SELL, 5, 100), 5, NOW)
    level = book.asks.levels[100]
    assert isinstance(level, Level)
    return book, owner, level


def test_lone_order_is_a_level_of_one():
    order = Order(1, Owner("ann"), Place(Side.BUY, 7, 100), 5, NOW)
    assert (order.count, list(order.orders()), order.filled) == (1, [order], 2)


def test_withdrawn_orders_are_swept_once_they_are_most_of_the_queue():
    book, owner, level = queue_of(100)
    for number in range(2, 100):
        book.cancel(owner, number)
        assert level.count == 100 - number + 1
        assert len(level.queue) <= 2 * level.count + 17
    assert [order.id for order in level.orders()] == [1, 100]


def test_filled_orders_are_swept_once_they_are_most_of_the_queue():
    book, _, level = queue_of(100)
    taker = Owner("bob")
    for number in range(101, 199):
        book.place(number, taker, Place(Side.BUY, 5, 100), 5, NOW)
        assert len(level.queue) <= 2 * level.count + 17
    assert [order.id for order in level.orders()] == [99, 100]


def test_draining_a_long_queue_one_by_one_is_not_quadratic():
    # 20,000 orders: quadratic, their queue would be copied or searched 10**8 times. Counted, not timed.
    book, owner, level = queue_of(20_000)
    sweeps = 0
    queue = level.queue
    for number in range(1, 20_000):
        book.cancel(owner, number)
        sweeps += level.queue is not queue
        queue = level.queue
    assert sweeps <= 12, "each sweep has to halve the queue"
    assert level.count == 1


def test_withdrawn_order_says_how_much_had_not_traded():
    book, owner, _ = queue_of(2)
    book.place(3, Owner("bob"), Place(Side.BUY, 3, 100), 3, NOW)
    order = book.cancel(owner, 1)
    assert order is not None
    assert (abs(order.remaining), order.filled) == (2, 3)
