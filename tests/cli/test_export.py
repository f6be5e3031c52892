"""``p2px export``: the past as plain files, the same from a running cluster and from a dead one."""

import json

import pytest

from p2pcli.market.commands import Side

pytestmark = pytest.mark.slow


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_log_trades_and_books_are_written_in_ticks_and_lots(nowhere):
    assert nowhere("cluster", "up", "-n", "2").code == 0
    try:
        sell = int(nowhere.place("1.5@30000", Side.SELL, "client2"))
        buy = int(nowhere.place("0.5@30000", Side.BUY, "client1"))
        rest = int(nowhere.place("2@29990", Side.BUY, "client1"))
        nowhere("order", "cancel", str(rest))
        alive, dead = nowhere.cwd / "alive", nowhere.cwd / "dead"
        said = nowhere("export", str(alive), "-o", "json")
    finally:
        nowhere.hang_up()
        assert nowhere("cluster", "down").code == 0
    assert said.code == 0
    assert {row["file"].rpartition("/")[2] for row in said.json} == {
        "log.jsonl",
        "trades.client1.jsonl",
        "trades.client2.jsonl",
        "book.client1.json",
        "book.client2.json",
    }
    log = lines(alive / "log.jsonl")
    assert [row["seq"] for row in log] == [1, 2, 3, 4]
    assert [(row["op"], row["order"], row["owner"]) for row in log] == [
        ("place", sell, "client2"),
        ("place", buy, "client1"),
        ("place", rest, "client1"),
        ("cancel", rest, "client1"),
    ]
    first = {name: log[0][name] for name in ("market", "side", "type", "tif", "post_only", "price", "qty")}
    assert first == {
        "market": "BTC/USD",
        "side": "sell",
        "type": "limit",
        "tif": "GTC",
        "post_only": False,
        "price": 3_000_000,
        "qty": 150_000_000,
    }
    for node in ("client1", "client2"):
        assert lines(alive / f"trades.{node}.jsonl") == [
            {
                "seq": 2, "n": 1, "market": "BTC/USD", "maker": sell, "taker": buy, "price": 3_000_000,
                "qty": 50_000_000, "buyer": "client1", "seller": "client2",
            }
        ]  # fmt: skip
        assert json.loads((alive / f"book.{node}.json").read_text()) == {
            "applied_seq": 4,
            "orders": [
                {
                    "order": sell,
                    "owner": "client2",
                    "market": "BTC/USD",
                    "side": "sell",
                    "price": 3_000_000,
                    "remaining": 100_000_000,
                }
            ],
        }

    assert nowhere("export", str(dead)).code == 0
    assert {path.name: path.read_bytes() for path in dead.iterdir()} == {
        path.name: path.read_bytes() for path in alive.iterdir()
    }
    again = nowhere("export", str(dead))
    assert again.code == 6
    assert "is not empty" in again.err


def test_several_markets_have_a_folder_each(p2px, tmp_path):
    p2px.place("1@100")
    assert p2px("export", str(tmp_path / "all")).code == 0
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == ["BTC-USD", "ETH-USD"]
