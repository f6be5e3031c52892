"""What is watched goes on when a node is lost."""

import json
import signal

import pytest

from p2pcli.market.commands import Side

pytestmark = pytest.mark.slow


def test_a_watched_book_goes_on_through_another_node(nowhere):
    assert nowhere("cluster", "up", "-n", "2", "--ephemeral").code == 0
    try:
        with nowhere.start("book", "show", "-w", "-o", "jsonl") as watch:
            assert json.loads(watch.stdout.readline())["node"] == "client1"
            assert nowhere("cluster", "stop", "client1").code == 0
            nowhere.place("1@5", node="client2")
            changed = json.loads(watch.stdout.readline())
            watch.send_signal(signal.SIGINT)
            watch.stdout.read()
            assert watch.wait() == 130
        assert (changed["node"], changed["bids"][0]["price"]) == ("client2", "5.00")
    finally:
        nowhere.hang_up()
        nowhere("cluster", "down")


def test_followed_trades_go_on_when_their_node_is_back_and_none_is_missed(nowhere):
    assert nowhere("cluster", "up", "-n", "2", "--ephemeral").code == 0
    try:
        with nowhere.start("trades", "tail", "-f", "--node", "client1", "-o", "jsonl") as follow:
            for price in ("5", "6"):
                nowhere.place(f"1@{price}", Side.SELL, "client2")
                nowhere.place(f"1@{price}", node="client2")
                if price == "5":
                    first = json.loads(follow.stdout.readline())
                    assert nowhere("cluster", "stop", "client1").code == 0
            assert nowhere("cluster", "start", "client1").code == 0
            second = json.loads(follow.stdout.readline())
            follow.send_signal(signal.SIGINT)
            follow.stdout.read()
            assert follow.wait() == 130
        assert [first["price"], second["price"]] == ["5.00", "6.00"]
    finally:
        nowhere.hang_up()
        nowhere("cluster", "down")
