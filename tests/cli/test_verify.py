"""``p2px verify``: all nodes, the same state."""

import pytest

from p2pcli.market.commands import Side

pytestmark = pytest.mark.slow


def test_nodes_that_applied_the_same_log_agree(p2px):
    p2px.place("1@100", Side.SELL, "client2")
    p2px.place("0.4@100", node="client3")
    said = p2px("verify", "-o", "json")
    assert said.code == 0
    assert (said.json["ok"], said.json["problems"]) == (True, [])
    market = said.json["markets"]["BTC/USD"]
    assert market.keys() == {"sequence", "digest", "nodes"}
    same = {"sequence": market["sequence"], "digest": market["digest"]}
    assert market["nodes"] == {"client1": same, "client2": same, "client3": same}


def test_text_is_a_line_a_market(p2px):
    lines = p2px("verify").out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["BTC/USD", "ETH/USD"]
    assert all("client1, client2, client3 agree at sequence" in line for line in lines)
