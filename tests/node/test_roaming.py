"""A client that goes on through any node, and never calls refused what may have happened."""

import threading
from time import monotonic

import pytest

from p2pcli.log.entry import LogFull, LogRefuses
from p2pcli.market.commands import Place, Side
from p2pcli.market.events import Placed
from p2pcli.node.requests import (
    BadRequest,
    Busy,
    Greeting,
    NoSuchMarket,
    NotServing,
    Unknown,
    encode,
    fault,
)
from p2pcli.node.roaming import NobodyServes, RoamingClient
from p2pcli.rpc.frame import framed
from p2pcli.rpc.handshake import welcome
from p2pcli.rpc.tcp import Connection, Listener

from .conftest import BTC, CREDENTIALS

MARKET = "BTC/USD"
SELL = Place(Side.SELL, 3, 100)


class FakeNode:
    """Greets as a node does. Each caller in turn meets the next of ``ways`` to treat a request."""

    def __init__(self, *ways):
        self.listener = Listener("127.0.0.1", 0)
        self.address = ("127.0.0.1", self.listener.port)
        self._ways = list(ways)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.listener.close()
        self._thread.join(10)

    def _serve(self):
        while (sock := self.listener.accept()) is not None:
            connection = Connection(sock)
            way = self._ways.pop(0) if len(self._ways) > 1 else self._ways[0]
            if way != "gone":
                welcome(
                    connection, CREDENTIALS, "client9", "test", encode(Greeting("client9", "test", [BTC]))
                )
                next(connection.receive(), None)
                if isinstance(way, Exception):
                    connection.send(framed(encode(fault(1, way))))
                    next(connection.receive(), None)
            connection.release()


def roaming(*addresses, deadline_s=20.0):
    return RoamingClient(lambda: addresses, CREDENTIALS, "ann", deadline_s=deadline_s)


def test_a_full_node_is_passed_over(start_node):
    full, free = start_node("client1", connections=1), start_node("client2")
    with full.client(), roaming(full.address, free.address) as client:
        assert isinstance(client.submit(MARKET, [SELL]).outcomes[0], Placed)
        assert client.address == free.address


def test_a_stranger_at_a_nodes_address_is_passed_over(start_node, tmp_path):
    (tmp_path / "other").write_text("cd" * 32)
    (tmp_path / "other").chmod(0o600)
    stranger = start_node(
        "client1", secret_path=str(tmp_path / "other"), log=f"sqlite://{tmp_path}/elsewhere"
    )
    node = start_node("client2")
    with roaming(stranger.address, node.address) as client:
        assert isinstance(client.submit(MARKET, [SELL]).outcomes[0], Placed)


def test_what_was_sent_once_is_unknown_whatever_is_said_afterwards():
    for said in ("gone", Busy("full"), BadRequest("what?"), NoSuchMarket("where?"), LogFull("full")):
        with (
            FakeNode("hangs up", said) as node,
            roaming(node.address, deadline_s=1.0) as client,
            pytest.raises(Unknown),
        ):
            client.submit(MARKET, [SELL])


@pytest.mark.parametrize(("way", "failure"), [("gone", NobodyServes), (Busy("full"), Busy)])
def test_what_was_never_taken_is_refused(way, failure):
    with (
        FakeNode(way) as node,
        roaming(node.address, deadline_s=0.2) as client,
        pytest.raises(failure),
    ):
        client.submit(MARKET, [SELL])


def test_a_full_log_is_said_at_once_and_nobody_else_is_asked():
    with FakeNode(LogFull("full", hint="df -h")) as node, FakeNode(Busy("other")) as other:
        with roaming(node.address, other.address, deadline_s=3600) as client:
            with pytest.raises(LogFull) as caught:
                client.submit(MARKET, [SELL])
            assert (caught.value.message, caught.value.hint, client.address) == (
                "full",
                "df -h",
                node.address,
            )
        with roaming(node.address, deadline_s=3600) as client, pytest.raises(Unknown):
            client.submit(MARKET, [SELL], is_unknown=True)


def test_a_way_to_the_log_that_is_barred_is_said_once_every_node_has(start_node):
    barred = LogRefuses("permission denied")
    with FakeNode(barred) as one, FakeNode(NotServing("stopping"), barred) as other:
        with roaming(one.address, other.address, deadline_s=3600) as client:
            with pytest.raises(LogRefuses):
                client.submit(MARKET, [SELL])
            node = start_node("client3")
        with roaming(one.address, other.address, node.address) as client:
            assert isinstance(client.submit(MARKET, [SELL]).outcomes[0], Placed)


def test_every_node_is_asked_before_one_is_asked_again():
    with FakeNode(Busy("one")) as one, FakeNode(Busy("two")) as two, FakeNode(BadRequest("three")) as three:
        addresses = one.address, two.address, three.address
        with roaming(*addresses, deadline_s=3600) as client, pytest.raises(BadRequest):
            client.submit(MARKET, [SELL])


def test_hanging_up_leads_back_to_the_first_node(start_node):
    one, two = start_node("client1"), start_node("client2")
    with roaming(one.address, two.address) as client:
        client.submit(MARKET, [SELL])
        client.close()
        client.submit(MARKET, [SELL])
        assert client.address == one.address


def test_somebody_who_has_waited_before_gives_it_less_time():
    began = monotonic()
    with RoamingClient(list, CREDENTIALS, "ann", deadline_s=3600) as client, pytest.raises(NobodyServes):
        client.submit(MARKET, [SELL], within=0.1)
    assert monotonic() - began < 600
