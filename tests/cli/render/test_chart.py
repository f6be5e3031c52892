"""The depth of a book as a chart."""

import re
from random import Random

import pytest

from p2pcli.cli.render.chart import EIGHTHS, depth_chart
from p2pcli.cli.render.ink import ansi
from p2pcli.market.commands import Side
from p2pcli.market.depth import Level
from p2pcli.market.instrument import Instrument
from p2pcli.market.views import BookView

BTC = Instrument("BTC/USD", 1, tick=1_000_000, lot=1_000_000, max_price=10**11, max_quantity=10**6)
BOOK = BookView(
    17,
    bids=[Level(2_999_900, 100, 1), Level(2_999_800, 300, 2)],
    asks=[Level(3_000_100, 100, 1), Level(3_000_200, 100, 3)],
    last_price=3_000_000,
)


def drawn(lines: list[str]) -> list[str]:
    """Return the rows of the chart itself, the highest first, from the axis to the right."""
    return [line.partition("│")[2] for line in lines if "│" in line]


def test_bids_rise_to_the_left_and_asks_to_the_right_up_to_their_sums():
    rows = drawn(depth_chart(BTC, BOOK, "client1", (40, 11)))  # 4 rows: 1 lot each
    half = max(map(len, rows)) // 2
    heights = [[sum(EIGHTHS.index(row[at]) for row in rows if at < len(row)) for at in side]
               for side in (range(half), range(half + 1, 2 * half + 1))]  # fmt: skip
    assert heights[0] == sorted(heights[0], reverse=True)
    assert heights[1] == sorted(heights[1])
    assert (max(heights[0]), max(heights[1])) == (32, 16)  # 4 and 2 of 4


def test_axis_spread_and_sums_are_written_below():
    *_, axis, prices, sums = depth_chart(BTC, BOOK, "client1", (80, 24))
    assert axis.split()[0] == "0"
    assert prices.split() == ["29998.00", "spread", "2.00", "30002.00"]
    assert sums.split("  ", 1)[0] == ""
    assert sums.split() == ["bids", "4", "in", "2", "levels", "asks", "2", "in", "2", "levels"]


@pytest.mark.parametrize("size", [(40, 8), (80, 24), (140, 50)])
@pytest.mark.parametrize("seed", range(5))
def test_any_book_fits_the_terminal(size, seed):
    random = Random(seed)
    sides = [
        [Level(3_000_000 + sign * random.randint(1, 999), random.randint(1, 10**6), 1) for _ in range(30)]
        for sign in (-1, 1)
    ]
    bids = sorted(sides[0], key=lambda level: -level.price)
    asks = sorted(sides[1], key=lambda level: level.price)
    own = frozenset({(Side.BUY, bids[3].price)})
    lines = depth_chart(BTC, BookView(1, bids, asks), "client1", size, own=own)
    assert max(map(len, lines)) <= size[0]
    assert len(lines) < max(size[1], 12)


def test_one_side_one_lot_and_an_empty_book_are_drawn_too():
    lines = depth_chart(BTC, BookView(1, [Level(1, 1, 1)], []), "client1", (80, 24))
    assert "no spread" in lines[-2]
    assert any("█" in row for row in drawn(lines))
    assert depth_chart(BTC, BookView(1, [], []), "client1")[-1] == "the book is empty"


def test_what_rests_far_out_does_not_squeeze_the_rest():
    far = BookView(1, [*BOOK.bids, Level(5, 1, 1)], BOOK.asks)
    lines = depth_chart(BTC, far, "client1")
    assert lines[-3].split()[0] == "29998.00"
    assert lines[-1].strip() == "1 further out not drawn"


def test_own_levels_are_marked_and_colour_changes_nothing_else():
    own = frozenset({(Side.SELL, 3_000_200)})
    lines = depth_chart(BTC, BOOK, "client1", (80, 24), own=own)
    assert lines[-3].strip() == "*"
    assert len(lines[-3]) == len(lines[-4])  # at the highest price shown
    painted = depth_chart(BTC, BOOK, "client1", (80, 24), ansi, own)
    assert any("\x1b[32m" in line for line in painted)
    assert [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in painted] == lines
