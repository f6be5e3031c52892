"""Prices in order, best at hand: compared with a dict that is sorted whenever somebody looks."""

import pytest
from checks import check_ladder
from hypothesis import given
from hypothesis import strategies as st

from p2pcli.book import ladder as room
from p2pcli.book.ladder import NO_ASK, NO_BID, Ladder
from p2pcli.book.level import Moment, Order, Owner
from p2pcli.market.commands import MAX_WHOLE, Place, Side

ORDER = Order(1, Owner("ann"), Place(Side.BUY, 1, 1), 1, Moment(1, 1))


@pytest.mark.parametrize(("sign", "none"), [(1, NO_BID), (-1, NO_ASK)])
def test_empty_ladder_has_a_best_price_nobody_reaches(sign, none):
    ladder = Ladder(sign)
    assert ladder.best == none
    ladder.open(5, ORDER)
    assert ladder.best == 5
    ladder.close(5)
    assert ladder.best == none
    check_ladder(ladder)


@pytest.mark.parametrize("sign", [1, -1])
def test_extreme_prices_have_a_place(sign):
    ladder = Ladder(sign)
    for price in (1, MAX_WHOLE, 2):
        ladder.open(price, ORDER)
    check_ladder(ladder)


@given(st.sampled_from([1, -1]), st.lists(st.tuples(st.booleans(), st.integers(1, 40)), max_size=300))
def test_any_changes_leave_the_prices_in_order(sign, changes):
    # Blocks of four, so that a few prices are enough to split and to empty them.
    whole, room.BLOCK = room.BLOCK, 4
    try:
        ladder = Ladder(sign)
        for opens, price in changes:
            if opens and price not in ladder.levels:
                ladder.open(price, ORDER)
            elif not opens and price in ladder.levels:
                ladder.close(price)
            elif not opens and ladder.levels:
                ladder.close_best()
            check_ladder(ladder)
    finally:
        room.BLOCK = whole


def test_ten_thousand_prices_stay_in_short_blocks():
    ladder = Ladder(1)
    for price in range(1, 10_001):
        ladder.open(price * 7919 % 10_007, ORDER)
    check_ladder(ladder)
    assert len(ladder._blocks) >= 10_000 // room.BLOCK
    while ladder.levels:
        ladder.close_best()
    check_ladder(ladder)
    assert len(ladder._blocks) == 1
