"""``p2px book``: the ladder, its JSON, watching and comparing."""

import json
import signal

import pytest

from p2pcli.market.commands import Side

pytestmark = pytest.mark.slow


@pytest.fixture
def book(p2px):
    """Two levels on each side, of two nodes."""
    for text, side, node in (
        ("1@101", Side.SELL, "client1"),
        ("3@102.5", Side.SELL, "client2"),
        ("2@99", Side.BUY, "client1"),
        ("0.5@99", Side.BUY, "client2"),
        ("1@98", Side.BUY, "client2"),
    ):
        p2px.place(text, side, node)
    return p2px


def test_every_node_shows_the_same_book(book):
    first = book("book", "show", "--node", "client1", "-o", "json").json
    assert first.keys() == {"market", "node", "sequence", "bids", "asks", "spread"}
    assert first["bids"] == [
        {"price": "99.00", "quantity": "2.5", "orders": 2},
        {"price": "98.00", "quantity": "1", "orders": 1},
    ]
    assert first["asks"] == [
        {"price": "101.00", "quantity": "1", "orders": 1},
        {"price": "102.50", "quantity": "3", "orders": 1},
    ]
    assert first["spread"] == "2.00"
    for node in ("client2", "client3"):
        other = book("book", "show", "--node", node, "--at-least", str(first["sequence"]), "-o", "json").json
        assert {**other, "node": "client1"} == first


def test_asks_stand_above_bids_with_the_spread_between(book):
    lines = book("book", "show").out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["102.50", "101.00", "2.00", "99.00", "98.00"]


def test_own_orders_are_marked_for_the_node_that_asks(book):
    lines = book("book", "show", "--node", "client1").out.splitlines()
    assert [line[:8].split()[-1] for line in lines[2:] if line.startswith("*")] == ["101.00", "99.00"]


def test_by_node_names_who_rests_at_each_level(book):
    out = book("book", "show", "--by-node").out
    assert "client1 2  client2 0.5" in out


def test_depth_bounds_each_side(book):
    said = book("book", "show", "--depth", "1", "-o", "json").json
    assert (len(said["bids"]), len(said["asks"])) == (1, 1)


def test_an_empty_book_is_said(p2px):
    assert p2px("book", "show").out.splitlines()[-1] == "the book is empty"
    empty = p2px("book", "show", "-o", "json").json
    assert (empty["bids"], empty["asks"], empty["spread"]) == ([], [], None)


def test_watching_through_a_pipe_prints_one_document_a_change(book):
    with book.start("book", "show", "-w", "-o", "jsonl") as watch:
        first = json.loads(watch.stdout.readline())
        book.place("1@99.50", Side.BUY, "client3")
        second = json.loads(watch.stdout.readline())
        watch.send_signal(signal.SIGINT)
        assert watch.wait() == 130
        assert watch.stderr.read() == ""
    assert second["sequence"] > first["sequence"]
    assert second["bids"][0]["price"] == "99.50"


def test_watching_on_a_terminal_redraws_in_place_and_gives_the_screen_back(book):
    with book.terminal("book", "show", "-w") as terminal:
        terminal.until("99.00")
        book.place("1@99.75", Side.BUY, "client3")
        terminal.until("99.75")
        terminal.send_signal(signal.SIGINT)
        said = terminal.finish()
    assert said.code == 130
    assert said.out.count("\x1b[?1049h") == said.out.count("\x1b[?1049l") == 1
    assert "\x1b[2J" not in said.out  # clearing first is what flickers


def test_equal_books_are_said_to_be_equal(book):
    said = book("book", "diff", "client1", "client3")
    assert said.code == 0
    assert said.out.startswith("client1 and client3 hold the same BTC/USD book at sequence ")
    assert book("book", "diff", "client1", "client3", "-o", "json").json["equal"] is True


def test_an_unknown_node_lists_those_there_are(book):
    said = book("book", "show", "--node", "clent2")
    assert said.code == 4
    assert said.err.splitlines() == [
        "error: cluster default has no node 'clent2'; its nodes are client1, client2 and client3",
        "hint: did you mean client2?",
    ]


def test_an_unknown_market_lists_those_there_are(book):
    said = book("book", "show", "--market", "ETC/USD", "-o", "json")
    assert said.code == 4
    assert said.json["error"]["message"] == (
        "no market 'ETC/USD' in this cluster, which has BTC/USD and ETH/USD"
    )


@pytest.mark.parametrize("columns", [80, 140])
def test_the_depth_is_drawn_as_wide_as_the_terminal(book, columns):
    with book.terminal("book", "show", "--chart", "--node", "client1", columns=columns, rows=30) as terminal:
        said = terminal.finish()
    lines = said.plain.splitlines()
    assert said.code == 0
    assert columns - 3 <= max(map(len, lines)) <= columns
    assert "bids 3.5 in 2 levels" in lines[-1]
    assert "\x1b[32m" in said.out
    assert "\x1b" not in book("book", "show", "--chart").out


def test_a_watched_chart_is_drawn_anew_at_each_change(book):
    with book.start("book", "show", "--chart", "-w") as watch:
        while "levels" not in (line := watch.stdout.readline()):
            assert line
        book.place("7@97")
        while "bids 10.5" not in (line := watch.stdout.readline()):
            assert line
        watch.send_signal(signal.SIGINT)
        watch.stdout.read()
        assert watch.wait() == 130


def test_a_chart_of_who_rests_is_refused(p2px):
    said = p2px("book", "show", "--chart", "--by-node")
    assert (said.code, said.err.splitlines()[1]) == (2, "hint: leave one of them out")
