"""Markets that only some nodes host: any node takes orders and reads, one that hosts them answers."""

import threading

import msgspec
import pytest

from p2pcli.clock import monotonic
from p2pcli.market.commands import Cancel, Place, Side
from p2pcli.market.events import Cancelled, Placed, Status
from p2pcli.market.instrument import UNITS, Instrument
from p2pcli.node.requests import (
    Fault,
    Forward,
    NoSuchOrder,
    NotServing,
    ReadBook,
    ReadFullBook,
    ReadSnapshot,
    Submit,
    View,
    decode_reply,
    encode,
)
from p2pcli.node.roaming import RoamingClient
from p2pcli.rpc.auth import ROLE_PEER
from p2pcli.rpc.frame import framed
from p2pcli.rpc.handshake import dial
from p2pcli.rpc.tcp import Connection

from .conftest import BTC, CREDENTIALS, RunningNode

ETH = Instrument("ETH/USD", 2, UNITS // 100, 1, 10**9, 10**13)
BOTH = [BTC, ETH]


def buy(quantity: int, price: int, name: str = "") -> Place:
    return Place(Side.BUY, quantity, price, client_order_id=name)


def sell(quantity: int, price: int, name: str = "") -> Place:
    return Place(Side.SELL, quantity, price, client_order_id=name)


@pytest.fixture
def herd(start_node, registry):
    """Three nodes: client1 hosts BTC/USD alone, client2 and client3 host both."""

    def start(name: str, *hosts: str) -> RunningNode:
        return start_node(name, markets=BOTH, hosts=list(hosts), registry=[registry])

    return {
        "client1": start("client1", "BTC/USD"),
        "client2": start("client2"),
        "client3": start("client3"),
        "start": start,
    }


def as_peer(node: RunningNode) -> Connection:
    return dial(*node.address, CREDENTIALS, role=ROLE_PEER, caller="stranger", timeout=10)[0]


def reply_to(connection: Connection, request: object) -> object:
    connection.send_blocking(framed(encode(request)))
    return decode_reply(connection.receive_one(monotonic() + 10))


def test_an_order_for_a_market_hosted_elsewhere_is_its_owners_own(herd):
    with herd["client1"].client("ann") as ann, herd["client2"].client("bob") as bob:
        assert (ann.hosts, set(ann.instruments), bob.hosts) == (
            {"BTC/USD"},
            {"BTC/USD", "ETH/USD"},
            set(bob.instruments),
        )
        assert ann.submit("ETH/USD", [buy(10, 100, "mine")]).outcomes == [Placed(1, Status.OPEN, 0, 10)]
        (outcome,) = bob.submit("ETH/USD", [sell(4, 100)]).outcomes
        assert outcome.fills[0].maker_owner == "ann"
        again = ann.submit("ETH/USD", [buy(10, 100, "mine")])
        assert again.outcomes[0].outcome == Placed(1, Status.OPEN, 0, 10), "M7 holds through any node"
        assert isinstance(ann.submit("ETH/USD", [Cancel(1)]).outcomes[0], Cancelled)
        assert [market.symbol for market in ann.status().markets] == ["BTC/USD"]


def test_reads_of_a_market_hosted_elsewhere_show_what_was_answered_before(herd):
    with herd["client1"].client("ann") as ann:
        for price in range(1, 30):
            sequence = ann.submit("ETH/USD", [buy(1, price), sell(1, 1000 + price)]).sequence
            assert ann.book("ETH/USD").sequence >= sequence
        ann.submit("ETH/USD", [buy(1, 1001)])
        assert len(ann.full_book("ETH/USD")[1]) == 57
        assert len(ann.orders("ETH/USD")) == 57
        assert ann.orders("ETH/USD", "ann", closed=True, limit=100)[-1].status is Status.FILLED
        assert ann.order("ETH/USD", 59).fills[0].price == 1001
        assert [trade.price for trade in ann.trades("ETH/USD")] == [1001]
        assert ann.day("ETH/USD").last == ann.market_status("ETH/USD").last_price == 1001
        with herd["client2"].client() as host:
            assert ann.state_digest("ETH/USD") == host.state_digest("ETH/USD", 31)
        with pytest.raises(NoSuchOrder):
            ann.order("ETH/USD", 1000)


def test_a_follower_who_waits_for_news_elsewhere_holds_up_nobody(herd):
    with herd["client1"].client("ann") as ann, herd["client1"].client("bob") as bob:
        heard: list[int] = []
        follower = threading.Thread(
            target=lambda: heard.extend(trade.price for trade in ann.trades("ETH/USD", after=0, wait=20))
        )
        bob.book("ETH/USD")  # the way is open
        follower.start()
        assert bob.submit("ETH/USD", [buy(1, 7)]).outcomes[0].status is Status.OPEN
        assert bob.submit("ETH/USD", [sell(1, 7)]).outcomes[0].status is Status.FILLED
        follower.join(20)
        assert heard == [7]


def test_many_requests_in_flight_are_answered_each_under_its_own_id_in_order(herd):
    with herd["client1"].client("ann") as ann:
        ids = [ann.send("ETH/USD", [buy(1, 1 + number)]) for number in range(500)]
        replies = [ann.next_reply() for _ in ids]
        assert [reply.id for reply in replies] == ids
        assert [reply.outcomes[0].order for reply in replies] == list(range(1, 501))


def test_what_was_forwarded_is_not_forwarded_again(herd):
    peer = as_peer(herd["client1"])
    answer = reply_to(
        peer, Forward("ann", 1, False, "", msgspec.Raw(encode(Submit(5, ETH.number, [buy(1, 1)]))))
    )
    assert isinstance(answer, Fault)
    assert (answer.id, answer.code, answer.is_unknown) == (5, NotServing.code, False)
    answer = reply_to(peer, Forward("ann", 1, False, "", msgspec.Raw(encode(ReadBook(6, ETH.number)))))
    assert isinstance(answer, Fault)
    assert (answer.id, answer.code) == (6, NotServing.code)
    peer.release()


def test_only_a_peer_may_ask_for_somebody_else_and_only_for_what_is_forwarded(herd):
    forward = Forward("ann", 1, False, "", msgspec.Raw(encode(Submit(5, BTC.number, [buy(1, 1)]))))
    stranger = dial(*herd["client1"].address, CREDENTIALS, timeout=10)[0]
    answer = reply_to(stranger, forward)
    assert (answer.code, answer.message) == ("bad_request", "only a peer may ask for somebody else")
    stranger.release()
    for inner in (forward, ReadSnapshot(1, BTC.number)):
        peer = as_peer(herd["client1"])
        answer = reply_to(peer, Forward("ann", 1, False, "", msgspec.Raw(encode(inner))))
        assert isinstance(answer, Fault)
        assert "is not forwarded" in answer.message
        peer.release()


def test_each_client_behind_one_node_reads_a_full_book_of_its_own(herd):
    with herd["client2"].client() as host:
        for price in range(1, 4):
            host.submit("ETH/USD", [buy(1, price) for _ in range(1000)])
    peer = as_peer(herd["client2"])
    totals = []
    for session, offset in ((1, 0), (2, 0), (1, 2000), (2, 2000)):
        raw = msgspec.Raw(encode(ReadFullBook(1, ETH.number, offset=offset)))
        reply = reply_to(peer, Forward("ann", session, False, "", raw))
        assert isinstance(reply, View)
        totals.append(len(msgspec.msgpack.decode(reply.body)[1]))
    assert totals == [2000, 2000, 1000, 1000]
    peer.release()


def test_when_a_host_stops_the_next_one_answers(herd):
    with herd["client1"].client("ann") as ann:
        assert ann.submit("ETH/USD", [buy(1, 1)]).sequence
        herd["client2"].stop()
        for price in range(2, 40):
            assert ann.submit("ETH/USD", [buy(1, price)]).outcomes[0].status is Status.OPEN
        herd["client3"].stop()
        with pytest.raises(NotServing, match="reaches no node that hosts ETH/USD"):
            ann.submit("ETH/USD", [buy(1, 50)])
        assert ann.submit("BTC/USD", [buy(1, 50)]).sequence, "its own market goes on"
        herd["start"]("client4", "ETH/USD")
        with RoamingClient(lambda: [herd["client1"].address], CREDENTIALS, "ann", 20) as roaming:
            assert roaming.submit("ETH/USD", [buy(1, 60)]).sequence
        assert len(ann.orders("ETH/USD", "ann")) == 40


def test_traders_at_a_node_that_does_not_host_lose_nothing_while_hosts_come_and_go(herd):
    """S9 and S10 hold on the way through another node: every order once, each answered."""
    addresses = [herd["client1"].address]
    stop, failures, sent = threading.Event(), [], []

    def trade(name: str) -> None:
        with RoamingClient(lambda: addresses, CREDENTIALS, name, 20) as trader:
            number = 0
            while not stop.is_set():
                number += 1
                order = buy(1, 1 + number % 50) if number % 2 else sell(1, 1 + number % 50)
                try:
                    answer = trader.submit(
                        "ETH/USD", [msgspec.structs.replace(order, client_order_id=f"{name}-{number}")]
                    )
                except Exception as error:  # noqa: BLE001  the test looks at it
                    failures.append(error)
                    return
                sent.append((f"{name}-{number}", answer.sequence))

    traders = [threading.Thread(target=trade, args=(name,)) for name in ("ann", "bob")]
    for trader in traders:
        trader.start()
    for name in ("client2", "client3", "client2"):
        herd[name].stop()
        herd[name] = herd["start"](name)
    stop.set()
    for trader in traders:
        trader.join(30)
    assert failures == []
    with herd["client2"].client() as one, herd["client3"].client() as other:
        goal = max(sequence for _, sequence in sent)
        assert one.state_digest("ETH/USD", goal) == other.state_digest("ETH/USD", goal)
        placed = [
            view.client_order_id
            for owner in ("ann", "bob")
            for view in one.orders("ETH/USD", owner, True, 10_000)
        ]
    assert sorted(placed) == sorted(name for name, _ in sent), "each once, none twice, none lost"
