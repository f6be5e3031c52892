"""Moments, ages and averages."""

import pytest

from p2pcli.cli.render.quantities import age, average_price, moment
from p2pcli.market.commands import SelfTrade, Side, TimeInForce
from p2pcli.market.events import Status
from p2pcli.market.instrument import Instrument
from p2pcli.market.views import FillView, OrderView

BTC = Instrument("BTC/USD", 1, tick=1_000_000, lot=1, max_price=10**11, max_quantity=10**14)


def filled(*fills):
    return OrderView(
        1, "", "o", Side.BUY, 1, 10, 5, 5, Status.OPEN, TimeInForce.GTC, False, SelfTrade.DEFAULT, 1, 0,
        [FillView(n, 1, 0, price, lots, 2, 1, "c") for n, (price, lots) in enumerate(fills, 1)],
    )  # fmt: skip


def test_a_moment_is_rfc_3339_in_utc():
    assert moment(1_795_378_501_123_456_789) == "2026-11-22T20:15:01.123Z"


def test_an_unknown_moment_is_a_dash():
    assert moment(0) == "-"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"),
        (59.9, "59s"),
        (60, "1m"),
        (192, "3m12s"),
        (3600, "1h"),
        (7500, "2h5m"),
        (190_800, "2d5h"),
        (-1, "0s"),
    ],
)
def test_an_age_has_at_most_two_units(seconds, shown):
    assert age(seconds) == shown


@pytest.mark.parametrize(
    ("fills", "average"),
    [
        ([(100, 1), (101, 1)], "1.005"),
        ([(100, 2), (101, 1)], "1.00333333"),
        ([(100, 1), (101, 2)], "1.00666667"),
        ([(100, 3)], "1.00"),
    ],
)
def test_the_average_is_weighted_and_rounded_half_up(fills, average):
    assert average_price(BTC, filled(*fills)) == average


def test_no_fills_no_average():
    assert average_price(BTC, filled()) is None
