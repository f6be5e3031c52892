"""Limits, breakers and traces of whole nodes, as their clients and their logs see them."""

import logging
import socket

import pytest

from p2pcli.clock import monotonic
from p2pcli.market.commands import Place, Side
from p2pcli.market.events import Placed, Status
from p2pcli.node.answers import Answer
from p2pcli.node.requests import Busy, Fault, NoSuchPeer
from p2pcli.rpc import handshake
from p2pcli.rpc.auth import TurnedAway

MARKET = "BTC/USD"
PLACE = Place(Side.SELL, 5, 100)


def wait_until(is_so, seconds: float = 20) -> None:
    deadline = monotonic() + seconds
    while not is_so():
        assert monotonic() < deadline, "it did not come about in time"


def test_over_its_requests_a_minute_a_client_is_told_busy_at_once_and_nothing_happens(start_node):
    node = start_node(requests_per_minute=2)
    with node.client("ann") as client, node.client("bob") as other:
        client.submit(MARKET, [PLACE])
        client.book(MARKET)
        with pytest.raises(Busy, match="ann has sent more than 2 requests a minute") as caught:
            client.submit(MARKET, [PLACE])
        assert caught.value.hint is not None
        assert "send again in" in caught.value.hint
        with pytest.raises(Busy):
            client.orders(MARKET)
        assert other.submit(MARKET, [PLACE]).outcomes == [Placed(2, Status.OPEN, 0, 5)]


def test_the_limit_counts_all_connections_of_an_owner(start_node):
    node = start_node(requests_per_minute=1)
    with node.client("ann") as first, node.client("ann") as second:
        first.book(MARKET)
        with pytest.raises(Busy):
            second.book(MARKET)


def test_whether_anybody_is_there_may_always_be_asked(start_node):
    with start_node(requests_per_minute=1).client() as client:
        assert [client.status().name for _ in range(5)] == ["client1"] * 5


def test_of_many_requests_in_flight_each_has_its_own_answer(start_node):
    with start_node(requests_per_minute=10).client() as client:
        for _ in range(30):
            client.send(MARKET, [PLACE])
        replies = [client.next_reply() for _ in range(30)]
        assert sum(isinstance(reply, Answer) for reply in replies) == 10
        assert {reply.code for reply in replies if isinstance(reply, Fault)} == {"busy"}
        assert client.status().markets[0].open_orders == 10


@pytest.fixture
def a_lost_peer(start_node, registry):
    """A node whose peer is gone, its breaker open; and the port that the peer had."""
    node = start_node("client1", registry=[registry], breaker_failures=1, breaker_reset_s=3600.0)
    peer = start_node("client2", registry=[registry])
    with node.client() as client:
        wait_until(lambda: client.status().peers.get("client2") == "connected")
        peer.stop()
        while client.status().breakers["client2"].state != "open":
            client.submit(MARKET, [PLACE])
    return node, peer.address[1]


def test_the_state_of_a_breaker_is_shown_and_can_be_reset(a_lost_peer):
    with a_lost_peer[0].client() as client:
        assert client.status().breakers["client2"].failures >= 1
        assert client.reset_breaker("client2").state in ("closed", "open")  # open: tried, and failed again


def test_a_reset_peer_is_tried_at_once(a_lost_peer, start_node):
    # Without the reset it would be left alone for an hour.
    node, port = a_lost_peer
    with node.client() as client:
        start_node("client2", port=port)
        client.reset_breaker("client2")
        wait_until(lambda: client.status().peers["client2"] == "connected")
        assert client.status().breakers["client2"].state == "closed"


def test_a_peer_nobody_knows_cannot_be_reset(start_node):
    said = "node client1 has no peer 'nobody'; its peers are none"
    with start_node().client() as client, pytest.raises(NoSuchPeer, match=said):
        client.reset_breaker("nobody")


def records(caplog, event: str) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.getMessage() == event]


def test_at_debug_level_an_order_is_followed_from_its_request_to_every_node(start_node, caplog):
    caplog.set_level(logging.DEBUG, "p2pcli.node")
    first, second = start_node("client1"), start_node("client2")
    with first.client("ann") as client, second.client() as other:
        answer = client.submit(MARKET, [PLACE, Place(Side.BUY, 2, 100)])
        other.book(MARKET, at_least=answer.sequence)
    committed = [one for one in records(caplog, "committed") if one.sequence == answer.sequence]
    assert [(one.request, one.owner, one.market, one.orders) for one in committed] == [
        (answer.request, "ann", MARKET, ["1", "2"])
    ]
    applied = [one for one in records(caplog, "applied") if one.sequence == answer.sequence]
    assert [(one.request, getattr(one, "from"), one.market, one.orders) for one in applied] == [
        (answer.request, "client1", MARKET, ["1", "2"])
    ]


def test_at_info_level_orders_leave_no_trace(start_node, caplog):
    caplog.set_level(logging.INFO, "p2pcli.node")
    with start_node(slow_s=0.0).client() as client:
        client.submit(MARKET, [PLACE])
    assert not records(caplog, "committed")
    assert not records(caplog, "slow commit")


def test_a_slow_commit_and_a_slow_read_are_logged_with_their_timings(start_node, caplog):
    caplog.set_level(logging.INFO, "p2pcli.node")
    with start_node(slow_s=1e-9).client("ann") as client:
        answer = client.submit(MARKET, [PLACE])
        client.book(MARKET)
        wait_until(lambda: records(caplog, "slow read"))
    commit = next(one for one in records(caplog, "slow commit") if one.sequence == answer.sequence)
    assert (commit.orders, commit.request, commit.levelname) == (["1"], answer.request, "WARNING")
    assert all(value >= 0 for value in (commit.append_ms, commit.apply_ms, commit.answer_ms))
    read = records(caplog, "slow read")[0]
    assert (read.what, read.owner, read.took_ms > 0) == ("ReadBook", "ann", True)


def test_callers_that_prove_nothing_do_not_fill_a_node(start_node, monkeypatch):
    monkeypatch.setattr(handshake, "HANDSHAKE_S", 60.0)  # so that it is not that which ends them
    node = start_node(connections=4)
    idle = [socket.create_connection(node.address, timeout=10) for _ in range(4)]
    deadline = monotonic() + 20
    while True:  # the first of them loses its place after a second
        try:
            with node.client() as client:
                assert client.status().name == "client1"
            break
        except TurnedAway:
            assert monotonic() < deadline, "callers without a proof keep everybody out"
    for sock in idle:
        sock.close()


def test_callers_that_did_prove_who_they_are_keep_their_places(start_node):
    node = start_node(connections=2)
    with node.client() as one, node.client() as two:
        began = monotonic()
        while monotonic() - began < 1.5:
            with pytest.raises(TurnedAway):
                node.client()
        assert one.status().name == two.status().name == "client1"
