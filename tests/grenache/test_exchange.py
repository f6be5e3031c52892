"""Payloads become commands in ticks and lots, or an error that names the field."""

import pytest

from p2pcli.errors import BadInput, NotFound
from p2pcli.grenache.exchange import (
    BookAsk,
    OrderAsk,
    PlaceAsk,
    command_of,
    instrument_of,
    order_of,
    parse_ask,
)
from p2pcli.market.commands import Amend, Cancel, Place, SelfTrade, Side, TimeInForce
from p2pcli.market.instrument import UNITS, Instrument

BTC = Instrument("BTC/USD", 1, UNITS // 100, UNITS // 1000, 10**9, 10**9)
ETH = Instrument("ETH/USD", 2, UNITS // 100, UNITS // 1000, 10**9, 10**9)


@pytest.mark.parametrize(
    ("payload", "command"),
    [
        (
            {"action": "place", "side": "buy", "quantity": "0.5", "price": "30000"},
            Place(Side.BUY, 500, 3_000_000),
        ),
        ({"action": "place", "side": "sell", "quantity": "1"}, Place(Side.SELL, 1000, 0, TimeInForce.IOC)),
        (
            {
                "action": "place",
                "side": "sell",
                "quantity": "1",
                "price": "2",
                "tif": "fok",
                "stp": "cancel-both",
                "client_order_id": "x",
            },
            Place(Side.SELL, 1000, 200, TimeInForce.FOK, False, SelfTrade.CANCEL_BOTH, "x"),
        ),
        ({"action": "cancel", "order_id": "7"}, Cancel(7)),
        ({"action": "cancel", "client_order_id": "x"}, Cancel(0, "x")),
        ({"action": "amend", "order_id": "7", "quantity": "2"}, Amend(7, 2000, 0)),
        ({"action": "amend", "order_id": "7", "quantity": "2", "price": "1"}, Amend(7, 2000, 100)),
    ],
)
def test_a_payload_becomes_a_command(payload, command):
    assert command_of(parse_ask(payload), BTC) == command


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (None, "Expected `object`, got `null`"),
        ([], "Expected `object`"),
        ({}, "missing required field `action`"),
        ({"action": "steal"}, "Invalid value 'steal'"),
        ({"action": "place", "quantity": "1"}, "missing required field `side`"),
        ({"action": "place", "side": "up", "quantity": "1"}, "Invalid enum value 'up'"),
        (
            {"action": "place", "side": "buy", "quantity": 0.5},
            r"Expected `str`, got `float` - at `\$.quantity`",
        ),
        ({"action": "place", "side": "buy", "quantity": "1", "prize": "2"}, "unknown field `prize`"),
        (
            {"action": "place", "side": "buy", "quantity": "abc"},
            "quantity 'abc' is not a plain decimal number",
        ),
        ({"action": "place", "side": "buy", "quantity": "1", "price": "0.001"}, "not a multiple of the tick"),
        ({"action": "cancel"}, "order id '' is not a number"),
        ({"action": "cancel", "order_id": "2-7"}, "order 2-7 is not of market BTC/USD"),
    ],
)
def test_a_payload_that_makes_no_sense_names_what_is_wrong(payload, says):
    with pytest.raises(BadInput, match=says):
        command_of(parse_ask(payload), BTC)


def test_the_first_market_is_meant_when_none_is_named():
    markets = {"BTC/USD": BTC, "ETH/USD": ETH}
    assert instrument_of(BookAsk(), markets) is BTC
    assert instrument_of(BookAsk("ETH/USD"), markets) is ETH
    with pytest.raises(NotFound, match="no market 'X'; there are BTC/USD, ETH/USD"):
        instrument_of(PlaceAsk(market="X", side="buy", quantity="1"), markets)


def test_orders_of_further_markets_carry_its_number():
    assert order_of(OrderAsk(order_id="2-7"), ETH) == 7
