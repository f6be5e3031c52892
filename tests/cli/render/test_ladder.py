"""The book as a ladder."""

import pytest

from p2pcli.cli.render.ink import ansi
from p2pcli.cli.render.ladder import bar, ladder, ladder_difference, levels_of, owners_notes
from p2pcli.market.commands import SelfTrade, Side, TimeInForce
from p2pcli.market.depth import Level
from p2pcli.market.events import Status
from p2pcli.market.instrument import Instrument
from p2pcli.market.views import BookView, OrderView

BTC = Instrument("BTC/USD", 1, tick=1_000_000, lot=1_000_000, max_price=10**11, max_quantity=10**6)
BOOK = BookView(
    17,
    bids=[Level(3_000_000, 100, 1), Level(2_999_000, 225, 3)],
    asks=[Level(3_000_500, 30, 1), Level(3_001_000, 150, 2)],
    last_price=3_000_000,
)


def resting(order, side, price, lots, owner):
    return OrderView(
        order, "", owner, side, price, lots, 0, lots, Status.OPEN, TimeInForce.GTC, False,
        SelfTrade.DEFAULT, order, 0,
    )  # fmt: skip


def test_asks_stand_above_bids_with_the_spread_between():
    lines = ladder(BTC, BOOK, "client1", 80)
    assert lines[0] == "BTC/USD  on client1  at sequence 17  last 30000.00"
    assert [line.split()[0] for line in lines[2:]] == [
        "30010.00",
        "30005.00",
        "5.00",
        "30000.00",
        "29990.00",
    ]
    assert lines[4].split()[1] == "spread"


def test_every_level_fits_the_width():
    for width in (40, 80, 140):
        assert max(map(len, ladder(BTC, BOOK, "client1", width)[1:])) <= width


def test_a_one_sided_book_says_what_is_missing():
    lines = ladder(BTC, BookView(3, bids=[Level(5, 1, 1)], asks=[]), "client1")
    assert any("no asks" in line for line in lines)
    lines = ladder(BTC, BookView(3, bids=[], asks=[Level(5, 1, 1)]), "client1")
    assert any("no bids" in line for line in lines)


def test_an_empty_book_says_so():
    assert ladder(BTC, BookView(0, [], []), "client1")[-1] == "the book is empty"


def test_a_halted_market_says_so_in_the_first_line():
    assert ladder(BTC, BookView(0, [], [], halted=True), "client1")[0].endswith("halted")


def test_own_levels_are_marked():
    own = levels_of([resting(1, Side.BUY, 3_000_000, 5, "client1")], "client1")
    marked = [line for line in ladder(BTC, BOOK, "client1", own=own) if line.startswith("*")]
    assert len(marked) == 1
    assert "30000.00" in marked[0]


def test_notes_name_owners_in_order_of_the_queue():
    orders = [
        resting(1, Side.SELL, 3_001_000, 50, "client2"),
        resting(2, Side.SELL, 3_001_000, 70, "client1"),
        resting(3, Side.SELL, 3_001_000, 30, "client2"),
    ]
    notes = owners_notes(BTC, orders)
    assert notes == {(Side.SELL, 3_001_000): "client2 0.8  client1 0.7"}
    assert any(line.endswith("client2 0.8  client1 0.7") for line in ladder(BTC, BOOK, "x", notes=notes))


def test_colour_adds_nothing_but_colour():
    import re

    coloured = ladder(BTC, BOOK, "client1", 80, ansi)
    assert [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in coloured] == ladder(BTC, BOOK, "client1", 80)
    assert any("\x1b[32m" in line for line in coloured)


@pytest.mark.parametrize(("quantity", "shown"), [(100, "████"), (50, "██"), (37, "█▍"), (1, "▏"), (0, "▏")])
def test_a_bar_is_as_long_as_its_share_and_never_nothing(quantity, shown):
    assert bar(quantity, 100, 4) == shown


def test_no_room_means_no_bar():
    assert bar(5, 10, 0) == ""


def test_equal_books_do_not_differ():
    assert ladder_difference(BTC, BOOK, BOOK, ("client1", "client2")) == []


def test_a_level_that_differs_is_shown_for_both_nodes():
    other = BookView(17, bids=[Level(3_000_000, 90, 1)], asks=BOOK.asks)
    assert ladder_difference(BTC, BOOK, other, ("client1", "client2")) == [
        "- bid  30000.00  1 in 1 order  client1",
        "+ bid  30000.00  0.9 in 1 order  client2",
        "- bid  29990.00  2.25 in 3 orders  client1",
        "+ bid  29990.00  nothing  client2",
    ]
