"""``p2px node``: what one node says of itself."""

import pytest

pytestmark = pytest.mark.slow


def test_a_node_describes_its_process_markets_and_peers(p2px):
    said = p2px("node", "info", "client2", "-o", "json").json
    assert (said["name"], said["cluster"]) == ("client2", "default")
    assert {market["symbol"] for market in said["markets"]} == {"BTC/USD", "ETH/USD"}
    assert said["peers"].keys() == {"client1", "client3"}
    text = p2px("node", "info", "client2").out
    assert text.startswith(f"node client2 of cluster default  pid {said['pid']}  up ")
    assert "peer client1  connected" in text


def test_an_unknown_node_is_exit_code_four(p2px):
    assert p2px("node", "info", "nobody").code == 4
