"""What must hold inside a book after any command, however it is built."""

from collections.abc import Iterable

from p2pcli.book import ladder as room
from p2pcli.book.book import Book
from p2pcli.book.ladder import Ladder
from p2pcli.book.level import Owner


def check_book(book: Book, owners: Iterable[Owner]) -> None:
    """Assert that sums, queues, tables and prices of a book tell the same story."""
    listed = {}
    for ladder in (book.bids, book.asks):
        check_ladder(ladder)
        for price, level in ladder.best_first():
            resting = list(level.orders())
            assert resting, "an empty level stayed"
            assert level.remaining == sum(order.remaining for order in resting)
            assert level.count == len(resting)
            for order in resting:
                assert order.place.price == price
                assert 0 < order.remaining <= order.place.quantity
                listed[order.owner.name, order.id] = order
    assert {
        (owner.name, number): order for owner in owners for number, order in owner.orders.items()
    } == listed
    assert book.bids.best < book.asks.best


def check_ladder(ladder: Ladder) -> None:
    """Assert that a ladder's prices are in order, each with its level, and the best at hand."""
    prices = [price for price, _ in ladder.best_first()]
    assert prices == sorted(ladder.levels, reverse=ladder._sign > 0)
    assert ladder.best == (prices[0] if prices else ladder._none)
    assert ladder._near or not ladder.levels
    assert ladder._near == sorted(ladder._near)
    assert len(ladder._near) <= room.NEAR
    assert len(ladder._far) == len(ladder._fences)
    assert ladder._fence == (ladder._fences[-1] if ladder._fences else room._LOWEST)
    assert all(rank >= ladder._fence for rank in ladder._near)
    fences = [-1 << 80, *ladder._fences]
    assert fences == sorted(set(fences))
    for at, pile in enumerate(ladder._far):
        assert all(fences[at] <= price * ladder._sign < fences[at + 1] for price in pile.prices)
        assert len(pile.prices) <= room.MOST
        assert len(pile.prices) == len(set(pile.prices) & set(ladder.levels)) + pile.left
