"""The figures of the last 24 hours, compared with those of a plain list of trades."""

import random

from p2pcli.market.commands import MAX_WHOLE
from p2pcli.market.views import DayView
from p2pcli.node.tally import MINUTE_NS, MINUTES, Tally

DAY_NS = MINUTES * MINUTE_NS


def test_nothing_traded_is_all_zero():
    assert Tally().day(5) == DayView()


def test_open_high_low_last_and_volume_are_those_of_the_trades():
    tally = Tally()
    tally.add(1, [100, 102], 5, 3)  # one order that took 100, 101, 102
    tally.add(2, [99, 97], 4, 2)
    tally.add(MINUTE_NS, [98], 1, 1)
    assert tally.day(MINUTE_NS) == DayView(open=100, high=102, low=97, last=98, volume=10, trades=6)


def test_trades_leave_the_day_after_24_hours():
    tally = Tally()
    tally.add(0, [100], 5, 1)
    assert tally.day(DAY_NS - 1).volume == 5
    assert tally.day(DAY_NS) == DayView()


def test_volume_stays_within_64_bits():
    tally = Tally()
    for minute in range(3):
        tally.add(minute * MINUTE_NS, [1], MAX_WHOLE, 1)
        tally.add(minute * MINUTE_NS, [1], MAX_WHOLE, 1)
    assert tally.day(2 * MINUTE_NS).volume == MAX_WHOLE


def test_two_days_of_random_trades_come_out_as_a_list_says():
    chance = random.Random(1)
    tally, trades, now = Tally(), [], 0
    for _ in range(6_000):
        now += chance.randrange(2 * MINUTE_NS)
        price, lots = chance.randrange(90, 110), chance.randrange(1, 9)
        tally.add(now, [price], lots, 1)
        trades.append((now // MINUTE_NS, price, lots))
        if chance.random() < 0.05:
            tally = Tally(tally.minutes())  # as a snapshot would
        if chance.random() < 0.05:
            recent = [each for each in trades if each[0] > now // MINUTE_NS - MINUTES]
            prices = [price for _, price, _ in recent]
            assert tally.day(now) == DayView(
                prices[0], max(prices), min(prices), prices[-1], sum(lots for *_, lots in recent), len(recent)
            )
    assert len(tally.minutes()) <= MINUTES
