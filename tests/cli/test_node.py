"""``p2px node``: what one node says of itself."""

from time import monotonic

import pytest

pytestmark = pytest.mark.slow


def test_a_node_describes_its_process_markets_and_peers(p2px):
    until = monotonic() + 30
    while True:  # peers introduce themselves within seconds of the start
        said = p2px("node", "info", "client2", "-o", "json").json
        if said["peers"] == dict.fromkeys(("client1", "client3"), "connected") or monotonic() > until:
            break
    assert (said["name"], said["cluster"]) == ("client2", "default")
    assert {market["symbol"] for market in said["markets"]} == {"BTC/USD", "ETH/USD"}
    assert said["peers"].keys() == {"client1", "client3"}
    text = p2px("node", "info", "client2").out
    assert text.startswith(f"node client2 of cluster default  pid {said['pid']}  up ")
    assert "peer client1  connected" in text


def test_an_unknown_node_is_exit_code_four(p2px):
    assert p2px("node", "info", "nobody").code == 4


def test_breakers_are_shown_and_can_be_reset(p2px):
    said = p2px("node", "info", "client2", "-o", "json").json
    assert said["breakers"]["client1"] == {"state": "closed", "failures": 0}
    assert said["metrics"] is None
    assert p2px("node", "reset-breaker", "client2", "client1").out == (
        "breaker of client2 before client1 is closed\n"
    )
    assert p2px("node", "reset-breaker", "client2", "client1", "-o", "json").json == {
        "node": "client2",
        "peer": "client1",
        "state": "closed",
        "failures": 0,
    }


def test_a_peer_that_a_node_does_not_know_is_exit_code_four(p2px):
    said = p2px("node", "reset-breaker", "client2", "client9")
    assert said.code == 4
    assert "client1" in said.err
