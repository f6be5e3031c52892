# ruff: noqa: E501  (one case a line)
"""Order files: what each line means, and what is said of those that mean nothing."""

import pytest

from p2pcli.cli.order_lines import BadLine, FileCommand, FileMistake, Reader
from p2pcli.market.commands import Amend, Cancel, Place, SelfTrade, Side, TimeInForce
from p2pcli.market.instrument import Instrument

BTC = Instrument("BTC/USD", 1, tick=1_000_000, lot=1_000_000, max_price=10**11, max_quantity=10**6)
ETH = Instrument("ETH/USD", 2, tick=1_000_000, lot=1_000_000, max_price=10**11, max_quantity=10**6)
BOTH = {"BTC/USD": BTC, "ETH/USD": ETH}
HEADER = "side,quantity,price,market,tif,post_only,stp,client_order_id"


def read(*lines, run="run"):
    return list(Reader(BOTH, "BTC/USD", run).read(line + "\n" for line in lines))


def commands(*lines):
    items = read(*lines)
    assert all(isinstance(item, FileCommand) for item in items), items
    return [item.command for item in items]


def test_json_and_csv_give_the_same_commands():
    from_json = commands(
        '{"side":"buy","quantity":"0.5","price":"30000","client_order_id":"a"}',
        '{"side":"sell","quantity":"1","market":"ETH/USD","tif":"fok","stp":"cancel-both","client_order_id":"b"}',
        '{"side":"sell","quantity":"2","price":"5","post_only":true,"client_order_id":"c"}',
    )
    from_csv = commands(
        HEADER, "buy,0.5,30000,,,,,a", "sell,1,,ETH/USD,fok,,cancel-both,b", "sell,2,5,,,true,,c"
    )
    assert (
        from_json
        == from_csv
        == [
            Place(Side.BUY, 50, 3_000_000, client_order_id="a"),
            Place(Side.SELL, 100, 0, TimeInForce.FOK, False, SelfTrade.CANCEL_BOTH, "b"),
            Place(Side.SELL, 200, 500, TimeInForce.GTC, True, client_order_id="c"),
        ]
    )


def test_json_numbers_keep_every_digit_as_written():
    (command,) = commands('{"side": "buy", "quantity": 0.10, "price": 123456789.01, "client_order_id": 7}')
    assert command == Place(Side.BUY, 10, 12_345_678_901, client_order_id="7")


def test_cancel_and_amend_by_either_id():
    items = commands(
        '{"op":"cancel","order_id":"1042"}',
        '{"op":"cancel","client_order_id":"a"}',
        '{"op":"amend","order_id":1042,"quantity":"0.7","price":"29990"}',
        '{"op":"amend","client_order_id":"a","quantity":"0.7"}',
    )
    assert [(type(c), c.order, c.client_order_id) for c in items] == [
        (Cancel, 1042, ""), (Cancel, 0, "a"), (Amend, 1042, ""), (Amend, 0, "a"),
    ]  # fmt: skip
    assert (items[2].quantity, items[2].price) == (70, 2_999_000)
    assert items[3].price == 0


def test_an_order_id_names_its_market():
    (item,) = read('{"op":"cancel","order_id":"2-9"}')
    assert item.instrument is ETH


def test_lines_are_counted_as_an_editor_does():
    items = read("", HEADER, "", "buy,1,5,,,,,a", "nonsense", "", "buy,1,5,,,,,b")
    assert [(item.line, isinstance(item, FileCommand)) for item in items] == [
        (4, True),
        (5, False),
        (7, True),
    ]


def test_a_byte_order_mark_is_no_part_of_the_header():
    assert commands("\ufeffside,quantity,price", "buy,1,5")[0].price == 500


def test_the_same_file_again_repeats_the_same_ids():
    lines = ('{"side":"buy","quantity":"1","price":"5","client_order_id":"a"}', '{"op":"amend","client_order_id":"a","quantity":"2"}',
             '{"op":"amend","client_order_id":"a","quantity":"1"}')  # fmt: skip
    first, again = read(*lines, run="r1"), read(*lines, run="r2")
    assert [item.command for item in first] == [item.command for item in again]
    assert len({item.command.command_id for item in first[1:]}) == 2


def test_the_same_line_after_other_lines_is_another_command():
    amend = '{"op":"amend","client_order_id":"a","quantity":"2"}'
    (one,) = read(amend)
    two = read('{"op":"amend","client_order_id":"a","quantity":"3"}', amend)[1]
    assert one.command.command_id != two.command.command_id


def test_lines_without_an_id_are_new_each_time_but_repeatable_within_a_run():
    line = '{"side":"buy","quantity":"1","price":"5"}'
    a, b = read(line, line, run="r1")
    (c,) = read(line, run="r2")
    assert len({a.command.client_order_id, b.command.client_order_id, c.command.client_order_id}) == 3


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"side":"buy"}', "quantity is missing"),
        ('{"quantity":"1"}', "side is missing"),
        ('{"side":"up","quantity":"1"}', "side 'up' is not one of buy and sell"),
        ('{"side":"buy","quantity":"-1"}', "quantity '-1' is not a plain decimal number"),
        ('{"side":"buy","quantity":"1","price":"0.001"}', "price 0.001 is not a multiple of the tick 0.01 of BTC/USD"),
        ('{"side":"buy","quantity":1e3}', "quantity '1e3' is not a plain decimal number"),
        ('{"side":"buy","quantity":"1","pirce":"5"}', "no field 'pirce'"),
        ('{"side":"buy","quantity":"1","order_id":"5"}', "order_id does not belong to a line that would place"),
        ('{"op":"cancel"}', "either order_id or client_order_id must say which order is meant"),
        ('{"op":"cancel","order_id":"1","client_order_id":"a"}', "either order_id or client_order_id must say which order is meant"),
        ('{"op":"cancel","order_id":"1","price":"5"}', "price does not belong to a line that would cancel"),
        ('{"op":"cancel","order_id":"x"}', "order id 'x' is not a number like 1042 or 2-1042"),
        ('{"op":"cancel","order_id":"9-1"}', "order 9-1 belongs to market number 9; this cluster has 1 (BTC/USD), 2 (ETH/USD)"),
        ('{"op":"amend","order_id":"1"}', "quantity is missing"),
        ('{"op":"remove","order_id":"1"}', "op 'remove' is not one of place, cancel and amend"),
        ('{"side":"buy","quantity":"1","market":"XRP/USD"}', "no market 'XRP/USD' in this cluster, which has BTC/USD and ETH/USD"),
        ('{"side":"buy","quantity":"1","tif":"day"}', "tif 'day' is not one of gtc, ioc and fok"),
        ('{"side":"buy","quantity":"1","stp":"maybe"}', "stp 'maybe' is not one of allow, cancel-newest, cancel-oldest and cancel-both"),
        ('{"side":"buy","quantity":"1","tif":"gtc"}', "a market order never rests, so --tif gtc cannot apply"),
        ('{"side":"buy","quantity":"1","price":"5","post_only":"perhaps"}', "post_only 'perhaps' is not one of false, 0, no, true, 1 and yes"),
        ('{"side":"buy","quantity":"1","client_order_id":"\ufffd"}', "not text in UTF-8"),
        ('{"side":["buy"],"quantity":"1"}', "side must be text or a number"),
        ('{"side":{"a":1},"quantity":"1"}', "side must be text or a number"),
    ],
)  # fmt: skip
def test_a_line_that_makes_no_sense_is_told_why(line, message):
    (item,) = read(line)
    assert isinstance(item, FileMistake)
    assert item.error.message == message


@pytest.mark.parametrize(
    "line",
    [
        '{"side":"buy"', "[]", '{"a":', "null", '{"side":"buy",}', "[" * 100_000, '{"a":' * 60_000, '{"side":"b\\ud800"}',
        '{"side":"buy"} {"side":"buy"}', "{'side':'buy'}", "{}x", '{"side": buy}', '{"side":NaN,"quantity":"1"}',
    ],
)  # fmt: skip
def test_broken_json_is_one_bad_line_whatever_it_is(line):
    good = '{"side":"buy","quantity":"1","price":"5"}'
    items = read(good, line, good)
    assert [type(item) for item in items] == [FileCommand, FileMistake, FileCommand]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("buy,1", "2 values where the header has 3 fields"),
        ("buy,1,5,6", "4 values where the header has 3 fields"),
        ('"buy,1,5', "not a line of CSV: unexpected end of data"),
        ("buy,1," + "5" * 70_000, "longer than 65536 characters"),
        ("buy,1\ufffd,5", "not text in UTF-8"),
        ("=1+1,1,5", "side '=1+1' is not one of buy and sell"),
    ],
)  # fmt: skip
def test_broken_csv_is_one_bad_line(line, message):
    items = read("side,quantity,price", "buy,1,5", line, "buy,1,5")
    assert [type(item) for item in items] == [FileCommand, FileMistake, FileCommand]
    assert items[1].error.message == message


def test_words_may_be_written_in_capitals():
    small = read(
        '{"side":"buy","quantity":"1","price":"5","tif":"ioc","stp":"cancel-both","client_order_id":"a"}'
    )
    (large,) = read("SIDE,Quantity,price,TIF,stp,client_order_id", "BUY,1,5,IOC,Cancel-Both,a")
    assert large.command == small[0].command


def test_other_separators_than_commas_are_recognised():
    with pytest.raises(BadLine) as refused:
        read("side;quantity;price")
    assert refused.value.hint == "separate the fields by commas"


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("side,quantity,prize", "the header has no field 'prize'"),
        ("buy,0.5,30000", "the header has no field 'buy'"),
        ("side,side", "the header names side twice"),
        ("x" * 200_000, "line 1 is longer than 65536 characters"),
        ("s\ufffdide", "line 1 is not text in UTF-8"),
        ('[{"side":"buy"},', "line 1 begins a JSON array"),
        ("", None),
    ],
)
def test_a_file_without_a_good_header_is_refused_as_a_whole(header, message):
    if message is None:
        assert read(header) == []
        return
    with pytest.raises(BadLine, match=message):
        read(header)
