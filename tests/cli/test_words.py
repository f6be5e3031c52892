"""Text of orders, markets and ids, right and wrong."""

import pytest

from p2pcli.cli.words import (
    BadOrder,
    NoSuchMarket,
    check_grammar,
    did_you_mean,
    listed,
    market_named,
    order_named,
    place,
    time_in_force,
)
from p2pcli.errors import BadInput
from p2pcli.market.commands import Place, SelfTrade, Side, TimeInForce
from p2pcli.market.instrument import BadNumber, BadOrderId, Instrument
from p2pcli.market.names import check_client_id

BTC = Instrument("BTC/USD", 1, tick=1_000_000, lot=1, max_price=10**11, max_quantity=10**14)
ETH = Instrument("ETH/USD", 2, tick=5_000_000, lot=10_000, max_price=10**11, max_quantity=10**14)
BOTH = {"BTC/USD": BTC, "ETH/USD": ETH}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("abc", "order 'abc' is not QTY@PRICE"),
        ("", "order '' is not QTY@PRICE"),
        ("0.5", "order '0.5' is not QTY@PRICE"),
        ("0.5@", "order '0.5@' is not QTY@PRICE"),
        ("@5", "order '@5' is not QTY@PRICE"),
        ("-1@5", "quantity '-1' is not a plain decimal number"),
        ("+1@5", "quantity '+1' is not a plain decimal number"),
        ("1e3@5", "quantity '1e3' is not a plain decimal number"),
        ("1_0@5", "quantity '1_0' is not a plain decimal number"),
        ("1,5@5", "quantity '1,5' is not a plain decimal number"),
        (" 1@5", "quantity ' 1' is not a plain decimal number"),
        (".5@5", "quantity '.5' is not a plain decimal number"),
        ("1.@5", "quantity '1.' is not a plain decimal number"),
        ("0x10@5", "quantity '0x10' is not a plain decimal number"),
        ("٣@5", "quantity '\\u0663' is not a plain decimal number"),
        ("NaN@1", "quantity 'NaN' is not a plain decimal number"),
        ("inf@1", "quantity 'inf' is not a plain decimal number"),
        ("1@NaN", "price 'NaN' is not a plain decimal number"),
        ("1@5@6", "price '5@6' is not a plain decimal number"),
        ("1@-5", "price '-5' is not a plain decimal number"),
        ("1@5 ", "price '5 ' is not a plain decimal number"),
        ("1\n@5", "quantity '1\\n' is not a plain decimal number"),
        ("1" * 40 + "@5", "quantity '" + "1" * 40 + "' is not a plain decimal number"),
        ("1" * 900 + "@5", "quantity '" + "1" * 57 + "...' is not a plain decimal number"),
        ("1.123456789@5", "quantity '1.123456789' is not a plain decimal number"),
    ],
)
def test_text_that_is_no_order_in_any_market_is_named(text, message):
    with pytest.raises(BadNumber) as caught:
        check_grammar(text)
    assert caught.value.message == message
    assert caught.value.hint
    assert caught.value.exit_code == 2


def test_good_text_passes():
    for text in ("0.5@30000", "1@market", "0@1", "000000000001@0.00000001"):
        check_grammar(text)


def test_an_order_in_ticks_and_lots_with_its_options():
    assert place(
        BTC, Side.BUY, "0.5@30000", post_only=True, self_trade="cancel-both", client_order_id="x"
    ) == Place(Side.BUY, 50_000_000, 3_000_000, TimeInForce.GTC, True, SelfTrade.CANCEL_BOTH, "x")


def test_zero_is_refused_with_the_smallest_valid_quantity():
    with pytest.raises(BadNumber, match="quantity must be above zero") as caught:
        place(BTC, Side.BUY, "0@1")
    assert caught.value.hint == "the smallest valid quantity of BTC/USD is 0.00000001"


def test_a_price_off_the_tick_names_its_neighbours():
    with pytest.raises(BadNumber) as caught:
        place(BTC, Side.BUY, "0.5@30000.005")
    assert caught.value.message == "price 30000.005 is not a multiple of the tick 0.01 of BTC/USD"
    assert caught.value.hint == "nearest valid prices are 30000.00 and 30000.01"


@pytest.mark.parametrize(
    ("tif", "ticks", "expected"),
    [
        (None, 1, TimeInForce.GTC),
        (None, 0, TimeInForce.IOC),
        ("fok", 0, TimeInForce.FOK),
        ("ioc", 1, TimeInForce.IOC),
        ("gtc", 1, TimeInForce.GTC),
    ],
)
def test_a_market_order_never_rests(tif, ticks, expected):
    assert time_in_force(tif, ticks, False) is expected


@pytest.mark.parametrize(
    ("tif", "ticks", "post_only"), [("gtc", 0, False), ("ioc", 1, True), ("fok", 1, True), (None, 0, True)]
)
def test_options_that_contradict_each_other_are_refused(tif, ticks, post_only):
    with pytest.raises(BadOrder):
        time_in_force(tif, ticks, post_only)


@pytest.mark.parametrize("bad", ["", " ", "a ", " a", "a\n", "a\x1b[2J", "x" * 65, "\u200b"])
def test_ids_that_cannot_be_read_back_are_refused(bad):
    with pytest.raises(BadInput):
        check_client_id(bad)


def test_ordinary_ids_pass():
    for good in ("a-1", "x" * 64, "order 7", "ä/ö"):
        assert check_client_id(good) == good


@pytest.mark.parametrize(
    ("wanted", "symbol"),
    [("", "BTC/USD"), ("ETH/USD", "ETH/USD"), ("eth/usd", "ETH/USD"), ("eth-usd", "ETH/USD")],
)
def test_a_market_is_found_as_people_write_it(wanted, symbol):
    assert market_named(BOTH, wanted).symbol == symbol


def test_an_unknown_market_lists_those_there_are():
    with pytest.raises(NoSuchMarket) as caught:
        market_named(BOTH, "BTX/USD")
    assert caught.value.message == "no market 'BTX/USD' in this cluster, which has BTC/USD and ETH/USD"
    assert caught.value.hint == "did you mean BTC/USD?"
    assert caught.value.exit_code == 4


def test_an_order_id_names_its_market():
    assert order_named(BOTH, "1042") == (BTC, 1042)
    assert order_named(BOTH, "2-7") == (ETH, 7)


@pytest.mark.parametrize("bad", ["", "0", "x", "-5", "2-", "2-0", "0-2", "1.5", "٣", "1" * 19, "1 "])
def test_text_that_is_no_order_id_is_named(bad):
    with pytest.raises(BadOrderId):
        order_named(BOTH, bad)


def test_an_id_of_a_market_that_is_not_there():
    with pytest.raises(
        NoSuchMarket, match=r"order 3-1 belongs to market number 3; this cluster has 1 \(BTC/USD\), 2"
    ):
        order_named(BOTH, "3-1")


def test_names_are_listed_as_people_do():
    assert [listed(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "none",
        "a",
        "a and b",
        "a, b and c",
    ]


def test_only_a_close_word_is_suggested():
    assert did_you_mean("clent1", ["client1", "client2"]) == "did you mean client1?"
    assert did_you_mean("zzz", ["client1"]) is None
