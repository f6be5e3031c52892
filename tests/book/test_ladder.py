"""Prices in order, best at hand: compared with a dict that is sorted whenever somebody looks."""

import pytest
from checks import check_ladder
from hypothesis import HealthCheck, given, settings
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


@pytest.fixture
def four_near(monkeypatch):
    """Let four prices be near, so that a few are enough to make piles, to cut and to halve them."""
    monkeypatch.setattr(room, "NEAR", 4)
    monkeypatch.setattr(room, "PILE", 6)
    monkeypatch.setattr(room, "MOST", 16)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([1, -1]), st.lists(st.tuples(st.booleans(), st.integers(1, 60)), max_size=300))
def test_any_changes_leave_the_prices_in_order(four_near, sign, changes):
    ladder, looked_at = Ladder(sign), Ladder(sign)
    for opens, price in changes:
        for each in (ladder, looked_at):
            if opens and price not in each.levels:
                each.open(price, ORDER)
            elif not opens and price in each.levels:
                each.close(price)
            elif not opens and each.levels:
                each.close_best()
        check_ladder(looked_at)  # who looks cuts piles, so nobody looks at the other one
        assert ladder.best == looked_at.best
    check_ladder(ladder)


@pytest.mark.parametrize("sign", [1, -1])
def test_ten_thousand_prices_lie_in_few_piles_until_they_are_the_best(sign):
    ladder = Ladder(sign)
    prices = [price * 7919 % 10_007 + 1 for price in range(10_000)]
    for price in prices:
        ladder.open(price, ORDER)
    assert len(ladder._near) <= room.NEAR
    assert len(ladder._far) <= 3
    for price in sorted(prices, reverse=sign > 0):
        assert ladder.best == price
        ladder.close_best()
    check_ladder(ladder)
    assert not ladder._far


@pytest.mark.parametrize("sign", [1, -1])
def test_no_pile_gets_too_large_to_be_sorted(sign, monkeypatch):
    monkeypatch.setattr(room, "MOST", 5_000)
    ladder = Ladder(sign)
    for number in range(50_000):
        ladder.open(number * 100_003 % 1_000_003 + 1, ORDER)
    check_ladder(ladder)
    assert 10 <= len(ladder._far) <= 60


@pytest.mark.parametrize("sign", [1, -1])
def test_prices_that_rise_and_fall_are_in_order_where_they_are_the_best(sign):
    ladder = Ladder(sign)
    for wave in range(6):
        for price in range(1_000 * (wave + 1)):
            ladder.open(price * 6 + 1 + wave, ORDER)
        for _ in range(500 * (wave + 1)):
            ladder.close_best()
            assert ladder.best == (max if sign > 0 else min)(ladder.levels)
    check_ladder(ladder)


def test_prices_that_are_gone_do_not_stay_in_piles():
    ladder = Ladder(1)
    for price in range(1, 10_001):
        ladder.open(price * 7919 % 10_007, ORDER)
    best = ladder.best
    for _ in range(5):
        for price in [each for each in ladder.levels if each != best]:
            ladder.close(price)
            ladder.open(price, ORDER)
        for pile in ladder._far:
            assert pile.left * 2 <= len(pile.prices) + room.NEAR
    for price in [each for each in ladder.levels if each != best]:
        ladder.close(price)
    assert all(len(pile.prices) <= room.NEAR for pile in ladder._far)
    check_ladder(ladder)
