"""What must hold inside a book after any command, however it is built."""

from p2pcli.book.book import Book
from p2pcli.book.ladder import BLOCK, Ladder


def check_book(book: Book) -> None:
    """Assert that sums, queues, tables and prices of a book tell the same story."""
    listed = {}
    for ladder, sign in ((book.bids, 1), (book.asks, -1)):
        check_ladder(ladder)
        for level in ladder.best_first():
            assert level.rank == level.price * sign
            resting = list(level.orders())
            assert resting, "an empty level stayed"
            assert level.quantity == sum(order.remaining for order in resting)
            assert level.count == len(resting)
            for order in resting:
                assert order.price == level.price
                assert 0 < order.remaining <= order.quantity
                listed[order.owner, order.id] = order
    tables = {
        (owner, number): order for owner, table in book.owners.items() for number, order in table.items()
    }
    assert tables == listed
    assert all(book.owners.values()), "an owner without orders kept a table"
    if book.bids.best is not None and book.asks.best is not None:
        assert book.bids.best.price < book.asks.best.price


def check_ladder(ladder: Ladder) -> None:
    """Assert that a ladder's prices are in order, each with its level, and the best at hand."""
    ranks = [level.rank for level in ladder.best_first()]
    assert ranks == sorted(ladder.levels, reverse=True)
    best = ladder.best.rank if ladder.best is not None else None
    assert best == (ranks[0] if ranks else None)
    assert len(ladder._blocks) == len(ladder._fences)
    for at, block in enumerate(ladder._blocks):
        assert block == sorted(block)
        assert len(block) <= BLOCK
        assert block or len(ladder._blocks) == 1
        fences = [*ladder._fences, 1 << 80]
        assert all(fences[at] <= rank < fences[at + 1] for rank in block)
