"""The file of history, also one that an earlier p2px wrote."""

import sqlite3
from pathlib import Path

from p2pcli.market.commands import Place, Side
from p2pcli.node.archive import VERSION

MARKET = "BTC/USD"


def trade(client, price: int) -> None:
    client.submit(MARKET, [Place(Side.SELL, 1, price)])
    client.submit(MARKET, [Place(Side.BUY, 1, price)])


def test_a_history_from_before_producers_were_kept_is_read_and_goes_on(start_node):
    node = start_node()
    with node.client() as client:
        trade(client, 100)
        assert [one.producer for one in client.trades(MARKET)] == ["client1"]
    node.stop()
    with sqlite3.connect(Path(node.plan.folder) / "BTC-USD" / "history.db") as file:
        file.execute("ALTER TABLE entries DROP COLUMN producer")
        file.execute("PRAGMA user_version = 1")
    file.close()
    node = start_node()
    with node.client() as client:
        trade(client, 101)
        assert [(one.price, one.producer) for one in client.trades(MARKET)] == [(100, ""), (101, "client1")]
    node.stop()
    with sqlite3.connect(Path(node.plan.folder) / "BTC-USD" / "history.db") as file:
        assert file.execute("PRAGMA user_version").fetchone() == (VERSION,)
    file.close()
