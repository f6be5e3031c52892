"""``p2px trades``: the tape, followed and exported."""

import csv
import io
import json
import re
import signal

import pytest

from p2pcli.cli.render.quantities import moment
from p2pcli.market.commands import Side

pytestmark = pytest.mark.slow

FIELDS = [
    *("trade_id", "sequence", "market", "price", "quantity", "taker_side"),
    *("maker_order_id", "taker_order_id", "maker", "taker", "time_ns"),
]


@pytest.fixture
def trade(p2px):
    """Make a trade: client2 rests, client1 takes. Returns the ids of both orders."""

    def trade(price, side=Side.BUY):
        maker = p2px.place(f"1@{price}", Side.SELL if side is Side.BUY else Side.BUY, "client2")
        return maker, p2px.place(f"1@{price}", side, "client1")

    return trade


def test_the_last_trades_are_listed_oldest_first(p2px, trade):
    trade(100)
    maker, taker = trade(101, Side.SELL)
    rows = p2px("trades", "tail", "-n", "2", "-o", "jsonl").lines
    assert [list(row) for row in rows] == [FIELDS, FIELDS]
    assert int(rows[1]["trade_id"]) == int(rows[0]["trade_id"]) + 1
    assert [row["price"] for row in rows] == ["100.00", "101.00"]
    last = {name: rows[1][name] for name in FIELDS[2:10]}
    assert last == {
        "market": "BTC/USD",
        "price": "101.00",
        "quantity": "1",
        "taker_side": "sell",
        "maker_order_id": maker,
        "taker_order_id": taker,
        "maker": "client2",
        "taker": "client1",
    }
    assert p2px("trades", "tail", "-n", "2", "-o", "json").json == rows


def test_none_is_shown_when_none_is_asked_for(p2px, trade):
    trade(100)
    assert p2px("trades", "tail", "-n", "0").err == "-n 0 shows none, without -f\n"


def test_text_stands_in_columns_under_titles(p2px, trade):
    trade(100)
    title, line = p2px("trades", "tail", "-n", "1").out.splitlines()
    assert title.split() == ["TIME", "TRADE", "SIDE", "PRICE", "QUANTITY", "TAKER", "MAKER"]
    assert line.split()[2:] == ["buy", "100.00", "1", "client1", "client2"]
    assert title.index("TAKER") == line.index("client1")


def test_no_trades_is_said_on_stderr(p2px):
    said = p2px("trades", "tail", "--market", "ETH/USD")
    assert (said.code, said.out, said.err) == (0, "", "no trades in ETH/USD yet\n")
    assert p2px("trades", "tail", "--market", "ETH/USD", "-o", "json").json == []


def test_following_shows_each_new_trade_once_and_ends_with_ctrl_c(p2px, trade):
    trade(100)
    with p2px.start("trades", "tail", "-n", "1", "-f", "-o", "jsonl") as follow:
        first = json.loads(follow.stdout.readline())
        trade(105)
        trade(106)
        new = [json.loads(follow.stdout.readline()) for _ in range(2)]
        follow.send_signal(signal.SIGINT)
        assert follow.wait() == 130
        assert (follow.stdout.read(), follow.stderr.read()) == ("", "")
    assert [row["price"] for row in new] == ["105.00", "106.00"]
    assert [int(row["trade_id"]) - int(first["trade_id"]) for row in new] == [1, 2]


def test_following_on_a_terminal_colours_the_takers_side(p2px, trade):
    with p2px.terminal("trades", "tail", "-n", "0", "-f") as terminal:
        terminal.until("MAKER")
        trade(107)
        trade(108, Side.SELL)
        shown = terminal.until("108.00")
    assert re.search(r"\x1b\[32m +107\.00\x1b\[0m", shown)
    assert re.search(r"\x1b\[31m +108\.00\x1b\[0m", shown)


def test_export_writes_every_trade_from_the_first(p2px, trade):
    trade(100)
    rows = list(csv.DictReader(io.StringIO(p2px("trades", "export").out)))
    assert list(rows[0]) == [*FIELDS, "time"]
    for row in rows:
        assert row.pop("time") == moment(int(row["time_ns"]))
    assert [int(row["trade_id"]) for row in rows] == list(range(1, len(rows) + 1))
    as_json = p2px("trades", "export", "--format", "jsonl").lines
    assert [
        {**row, "sequence": str(row["sequence"]), "time_ns": str(row["time_ns"])} for row in as_json
    ] == rows


def test_a_reader_that_goes_away_is_no_error(p2px, trade):
    trade(100)
    with p2px.start("trades", "tail", "-n", "0", "-f") as follow:
        follow.stdout.readline()
        follow.stdout.close()
        trade(109)
        assert follow.wait() == 0
        assert follow.stderr.read() == ""


def test_export_speaks_the_output_that_was_asked_for(p2px, trade):
    trade(101)
    rows = p2px("trades", "export", "-o", "jsonl").lines
    assert rows == p2px("trades", "export", "-o", "json").json
    assert rows == p2px("trades", "export", "--format", "jsonl").lines
    assert p2px("trades", "export", "-o", "json", "--format", "csv").out.startswith("trade_id,")
