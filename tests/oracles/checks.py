"""What must hold inside a book after any command, however it is built."""

from collections.abc import Iterable

from p2pcli.book.book import Book
from p2pcli.book.ladder import BLOCK, Ladder
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
    assert len(ladder._blocks) == len(ladder._fences)
    fences = [*ladder._fences, 1 << 80]
    for at, block in enumerate(ladder._blocks):
        assert list(block) == sorted(block)
        assert len(block) <= BLOCK
        assert block or len(ladder._blocks) == 1
        assert all(fences[at] <= rank < fences[at + 1] for rank in block)
