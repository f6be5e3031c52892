"""``p2px market``: listed, halted, resumed."""

import pytest

from p2pcli.market.commands import Side

pytestmark = pytest.mark.slow


def test_markets_are_listed_with_their_rules_and_last_day(p2px):
    p2px.place("1@100", Side.SELL, "client2")
    p2px.place("1@100")
    first, second = p2px("market", "ls", "-o", "json").json
    assert (first["market"], second["market"]) == ("BTC/USD", "ETH/USD")
    assert (first["tick"], first["lot"], first["state"]) == ("0.01", "0.00000001", "trading")
    assert first["last"] == "100.00"
    assert (second["last"], second["volume_24h"]) == (None, "0")
    title, row, _ = p2px("market", "ls").out.splitlines()
    assert title.split()[:3] == ["MARKET", "STATE", "LAST"]
    assert row.split()[:3] == ["BTC/USD", "trading", "100.00"]


def test_a_halted_market_takes_cancels_only_until_it_is_resumed(p2px):
    order = p2px.place("1@5", market="ETH/USD")
    said = p2px("market", "halt", "ETH/USD")
    assert said.out.startswith("ETH/USD is halted since sequence ")
    assert p2px("market", "halt", "ETH/USD").out == "ETH/USD was halted already\n"
    refused = p2px("order", "buy", "1@5", "--market", "ETH/USD")
    assert (refused.code, refused.err) == (
        1,
        "error: market ETH/USD is halted: only cancels are taken\nhint: p2px market resume ETH/USD\n",
    )
    assert p2px("book", "show", "--market", "ETH/USD").out.splitlines()[0].endswith("halted")
    assert p2px("order", "cancel", order).code == 0
    assert p2px("market", "resume", "eth/usd", "-o", "json").json["state"] == "trading"
    assert p2px("order", "buy", "1@5", "--market", "ETH/USD").code == 0
