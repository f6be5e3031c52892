"""Whole nodes: real sockets, real log, real history; several over one log; stopped and started again."""

import shutil
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from p2pcli.clock import monotonic
from p2pcli.errors import P2pxError
from p2pcli.log.chain import link
from p2pcli.log.entry import Batch, Corrupt, Entry
from p2pcli.log.sqlite import SqliteLog
from p2pcli.market.commands import Amend, Cancel, Checkpoint, Define, Place, Side
from p2pcli.market.events import Amended, Cancelled, Placed, Reason, Refused, Repeated, Status
from p2pcli.market.instrument import as_define
from p2pcli.node.attest import StateDiffers
from p2pcli.node.body import encode_body
from p2pcli.node.client import ExchangeClient
from p2pcli.node.hosted import NoPeerHasIt, OtherInstrument
from p2pcli.node.keyring import BadSecretFile
from p2pcli.node.process import run
from p2pcli.node.replica import Replaced
from p2pcli.node.requests import BadRequest, NoSuchMarket, NoSuchOrder, Push, encode
from p2pcli.node.roaming import RoamingClient
from p2pcli.node.snapshots import Snapshots
from p2pcli.rpc.auth import ROLE_PEER, TurnedAway, WrongSecret
from p2pcli.rpc.credentials import Credentials
from p2pcli.rpc.frame import framed
from p2pcli.rpc.handshake import dial

from .conftest import BTC, CREDENTIALS, RunningNode

MARKET = "BTC/USD"


def sell(quantity: int, price: int, name: str = "") -> Place:
    return Place(Side.SELL, quantity, price, client_order_id=name)


def buy(quantity: int, price: int, name: str = "") -> Place:
    return Place(Side.BUY, quantity, price, client_order_id=name)


def wait_until(is_so: Callable[[], bool], seconds: float = 20) -> None:
    deadline = monotonic() + seconds
    while not is_so():
        assert monotonic() < deadline, "it did not come about in time"


def state(node: RunningNode) -> tuple[int, bytes, list, list]:
    """Return everything that must be equal on every node, once nothing moves."""
    with node.client() as client:
        sequence, book = client.full_book(MARKET)
        return sequence, client.state_digest(MARKET)[1], book, client.trades(MARKET, 1000)


def test_an_order_is_durable_applied_and_read_back(start_node):
    with start_node().client() as client:
        answer = client.submit(MARKET, [sell(10, 100)])
        assert answer.outcomes == [Placed(1, Status.OPEN, 0, 10)]
        book = client.book(MARKET)
        assert (book.sequence, book.bids, [level.quantity for level in book.asks]) == (
            answer.sequence,
            [],
            [10],
        )


def test_a_trade_names_both_owners_and_both_orders(start_node):
    node = start_node()
    with node.client("ann") as ann, node.client("bob") as bob:
        ann.submit(MARKET, [sell(10, 100)])
        (outcome,) = bob.submit(MARKET, [buy(4, 120)]).outcomes
        assert isinstance(outcome, Placed)
        assert (outcome.filled, outcome.fills[0].price, outcome.fills[0].maker_owner) == (4, 100, "ann")
        (trade,) = bob.trades(MARKET)
        assert (trade.maker_owner, trade.taker_owner, trade.taker_side) == ("ann", "bob", Side.BUY)
        shown = ann.order(MARKET, 1)
        assert (shown.filled, shown.remaining, shown.status) == (4, 6, Status.PARTIALLY_FILLED)
        assert shown.fills[0].counterparty == "bob"


def test_an_owner_is_the_node_unless_the_client_says(start_node):
    node = start_node("client7")
    with node.client() as client:
        client.submit(MARKET, [sell(1, 100)])
        assert [view.owner for view in client.orders(MARKET)] == ["client7"]
        assert client.orders(MARKET, owner="somebody") == []


def test_many_orders_in_one_frame_are_answered_in_order(start_node):
    with start_node().client() as client:
        answer = client.submit(MARKET, [sell(1, 100 + n) for n in range(1000)])
        assert [outcome.order for outcome in answer.outcomes] == list(range(1, 1001))
        with pytest.raises(BadRequest, match="1001 commands in a request, the limit is 1000"):
            client.submit(MARKET, [sell(1, 100)] * 1001)


def test_pipelined_frames_are_answered_each_with_its_own_id(start_node):
    with start_node().client() as client:
        sent = [client.send(MARKET, [sell(1, 100)]) for _ in range(50)]
        replies = [client.next_reply() for _ in sent]
        assert [reply.id for reply in replies] == sent
        assert [reply.outcomes[0].order for reply in replies] == list(range(1, 51))


def test_two_nodes_over_one_log_have_equal_states(start_node):
    one, two = start_node("client1"), start_node("client2")
    with one.client() as first, two.client() as second:
        for n in range(20):
            first.submit(MARKET, [sell(3, 100 + n % 3)])
            last = second.submit(MARKET, [buy(2, 100 + n % 4)]).sequence
        first.book(MARKET, at_least=last)
    assert state(one) == state(two)


def test_a_restart_has_the_same_orders_trades_and_digest(start_node):
    node = start_node()
    with node.client() as client:
        for n in range(30):
            client.submit(MARKET, [sell(3, 100 + n % 3), buy(2, 100 + n % 4)])
    before = state(node)
    assert node.stop() is None
    assert state(start_node()) == before


def test_a_damaged_snapshot_is_passed_over_for_the_log(start_node):
    node = start_node()
    with node.client() as client:
        client.submit(MARKET, [sell(3, 100)])
    before = state(node)
    node.stop()
    (snapshot,) = Path(node.plan.folder).glob("*/*.snapshot")
    damaged = bytearray(snapshot.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    snapshot.write_bytes(damaged)
    assert state(start_node()) == before


def test_a_snapshot_is_taken_every_so_many_commands(start_node):
    node = start_node(snapshot_commands=100)
    with node.client() as client:
        for _ in range(5):
            client.submit(MARKET, [sell(3, 100)] * 100)
    before = state(node)
    node.stop()
    assert list(Path(node.plan.folder).glob("*/*.snapshot"))
    assert state(start_node()) == before


def test_a_log_that_lost_entries_is_refused_and_the_sequence_named(start_node, tmp_path):
    node = start_node()
    with node.client() as client:
        last = client.submit(MARKET, [sell(3, 100)]).sequence
    node.stop()
    shutil.rmtree(tmp_path / "log")
    failure = start_node().wait()
    assert isinstance(failure, Corrupt)
    assert f"ends at sequence 0, but node client1 has applied {last}" in failure.message


def test_another_log_of_the_same_length_is_refused(start_node, tmp_path):
    node = start_node()
    with node.client() as client:
        client.book(MARKET, at_least=1)  # its Define is an entry of its own
        client.submit(MARKET, [sell(3, 100)])
        client.submit(MARKET, [sell(3, 100)])
    node.stop()
    shutil.rmtree(tmp_path / "log")
    other = start_node("client2")
    with other.client() as client:
        client.book(MARKET, at_least=1)
        client.submit(MARKET, [sell(3, 101)])
        client.submit(MARKET, [sell(3, 101)])
    failure = start_node("client1").wait()
    assert isinstance(failure, Corrupt)
    assert "is not the one node client1 has applied" in failure.message


def test_a_retry_through_another_node_gives_the_first_answer(start_node):
    one, two = start_node("client1"), start_node("client2")
    with one.client("ann") as first, two.client("ann") as second:
        answer = first.submit(MARKET, [sell(3, 100, "mine")])
        again = second.submit(MARKET, [sell(3, 100, "mine")])
        assert again.outcomes == [Repeated(answer.sequence, answer.outcomes[0])]
        (other,) = second.submit(MARKET, [sell(4, 100, "mine")]).outcomes
        assert isinstance(other, Refused)
        assert other.reason is Reason.ID_REUSED


def test_a_roaming_client_goes_on_through_another_node(start_node):
    one, two = start_node("client1"), start_node("client2")
    addresses = [one.address, two.address]
    with RoamingClient(lambda: addresses, CREDENTIALS, "ann") as client:
        first = client.submit(MARKET, [sell(3, 100)]).outcomes[0]
        one.stop()
        second = client.submit(MARKET, [sell(3, 100)]).outcomes[0]
    assert (first.order, second.order) == (1, 2)
    with two.client() as client:
        assert [view.owner for view in client.orders(MARKET)] == ["ann", "ann"]


def test_an_amended_and_cancelled_order_is_shown_with_its_whole_life(start_node):
    with start_node().client() as client:
        client.submit(MARKET, [sell(10, 100)])
        (amended,) = client.submit(MARKET, [Amend(1, 8, 101)]).outcomes
        assert isinstance(amended, Amended)
        client.submit(MARKET, [buy(3, 101)])
        (cancelled,) = client.submit(MARKET, [Cancel(1)]).outcomes
        assert cancelled == Cancelled(1, 3, 5)
        shown = client.order(MARKET, 1)
        assert (shown.price, shown.quantity, shown.filled, shown.cancelled) == (101, 8, 3, 5)
        assert shown.status is Status.CANCELLED
        assert [view.order for view in client.orders(MARKET, closed=True)] == [1, 2]
        assert client.orders(MARKET) == []


def test_an_amend_that_trades_shows_the_side_of_its_order_in_the_tape(start_node):
    with start_node().client() as client:
        client.submit(MARKET, [buy(5, 90), sell(5, 100)])
        client.submit(MARKET, [Amend(2, 5, 90)])
        assert [(trade.taker_side, trade.taker) for trade in client.trades(MARKET)] == [(Side.SELL, 2)]


def test_followers_get_each_trade_once_in_order(start_node):
    with start_node().client() as client:
        client.submit(MARKET, [sell(1, 100)] * 30)
        seen: list[int] = []
        for _ in range(30):
            client.submit(MARKET, [buy(1, 100)])
            seen += [trade.trade for trade in client.trades(MARKET, 7, after=seen[-1] if seen else 0, wait=5)]
        assert seen == list(range(1, 31))
        assert client.trades(MARKET, 10, after=30, wait=0.01) == []


def test_what_does_not_exist_is_named(start_node):
    with start_node().client() as client:
        with pytest.raises(NoSuchOrder, match="no order 7 in BTC/USD"):
            client.order(MARKET, 7)
        with pytest.raises(NoSuchMarket, match="node client1 has no market ETH/USD"):
            client.book("ETH/USD")


def test_commands_of_nodes_are_not_taken_from_clients(start_node):
    with start_node().client() as client:
        for own in (as_define(BTC), Checkpoint(1, b"", 0)):
            with pytest.raises(BadRequest, match="not a list of commands"):
                client.submit(MARKET, [own])


def test_a_wrong_secret_is_refused_and_others_are_served(start_node):
    node = start_node()
    with pytest.raises(WrongSecret):
        ExchangeClient(*node.address, Credentials(b"x" * 32))
    with node.client() as client:
        assert client.status().name == "client1"


def test_garbage_after_the_handshake_ends_that_client_alone(start_node):
    node = start_node()
    with node.client() as good, node.client() as bad:
        bad.connection.send(b"\x00\x00\x00\x02\xff\xff")
        with pytest.raises(P2pxError, match="not a request"):
            bad.status()
        assert good.submit(MARKET, [sell(1, 100)]).outcomes[0].order == 1


def test_more_connections_than_allowed_are_turned_away(start_node):
    node = start_node(connections=2)
    with node.client(), node.client(), pytest.raises(TurnedAway, match="2 connections, its limit"):
        node.client()


def test_a_stranger_who_says_nothing_holds_nobody_up(start_node):
    node = start_node()
    with socket.create_connection(node.address), node.client() as client:
        assert client.submit(MARKET, [sell(1, 100)]).sequence


def test_other_limits_are_taken_over_and_another_tick_is_refused(start_node):
    start_node().stop()
    wider = msgspec.structs.replace(BTC, max_price=2 * BTC.max_price)
    node = start_node(markets=[wider])
    with node.client() as client:
        (outcome,) = client.submit(MARKET, [sell(1, wider.max_price)]).outcomes
        assert isinstance(outcome, Placed)
    node.stop()
    failure = start_node(markets=[msgspec.structs.replace(wider, tick=5)]).wait()
    assert isinstance(failure, OtherInstrument)


def test_the_older_of_two_processes_under_one_name_stops(start_node, tmp_path):
    older = start_node("client1")
    newer = start_node("client1", folder=str(tmp_path / "elsewhere"))
    with newer.client() as client:
        client.submit(MARKET, [sell(1, 100)])
    assert isinstance(older.wait(), Replaced)


def test_a_secret_that_others_can_read_is_refused(start_node, tmp_path):
    (tmp_path / "secret").chmod(0o644)
    assert isinstance(start_node().wait(), BadSecretFile)


def test_a_define_of_the_first_node_is_taken_over_by_the_second(start_node):
    start_node("client1")
    with start_node("client2").client() as client:
        assert isinstance(as_define(client.instruments[MARKET]), Define)
        assert client.submit(MARKET, [sell(1, 100)]).outcomes == [Placed(1, Status.OPEN, 0, 1)]


def test_peers_find_each_other_through_the_registry_and_push(start_node, registry):
    one = start_node("client1", registry=[registry])
    two = start_node("client2", registry=[registry])
    with one.client() as client:
        wait_until(lambda: client.status().peers == {"client2": "connected"})
        last = client.submit(MARKET, [sell(1, 100)]).sequence
    with two.client() as client:
        client.book(MARKET, at_least=last)
    assert state(one) == state(two)


def test_a_node_whose_log_begins_too_late_begins_from_a_peers_snapshot(start_node, registry, tmp_path):
    one = start_node("client1", registry=[registry])
    with one.client() as client:
        for n in range(40):
            client.submit(MARKET, [sell(3, 100 + n), buy(1, 100)])
    one.stop()
    with SqliteLog(tmp_path / "log" / "BTC-USD", durable=False) as log:
        log.trim(log.last())
        assert log.first() > 1
    one = start_node("client1", registry=[registry])
    two = start_node("client2", registry=[registry])
    with one.client() as client:
        last = client.submit(MARKET, [buy(1, 100)]).sequence
    with two.client() as client:
        client.book(MARKET, at_least=last)
    first, second = state(one), state(two)
    assert first[:3] == second[:3]


def test_a_node_whose_log_begins_too_late_does_not_serve_without_a_peer(start_node, tmp_path):
    one = start_node("client1")
    with one.client() as client:
        for _ in range(5):
            client.submit(MARKET, [sell(3, 100)])
    one.stop()
    with SqliteLog(tmp_path / "log" / "BTC-USD", durable=False) as log:
        log.trim(log.last())
    failure = start_node("client2").wait()
    assert isinstance(failure, NoPeerHasIt)


def test_an_entry_that_a_peer_pushes_can_stop_a_node(start_node, tmp_path):
    # A peer's thread brings it, whose failures otherwise end a connection and nothing more.
    node = start_node("client1")
    with node.client() as client:
        client.submit(MARKET, [sell(3, 100)])
    with SqliteLog(tmp_path / "log" / "BTC-USD", durable=False) as log:
        last = log.read(log.last() - 1, 1)[0]
    body = encode_body(1, [("ann", msgspec.Raw(encode([sell(1, 100)])))])
    batch = Batch("client1", last.batch.epoch + (1 << 32), 1, body)
    entry = Entry(last.sequence + 1, batch, link(last.chain, batch))
    peer, _, _ = dial(*node.address, CREDENTIALS, role=ROLE_PEER, caller="client2")
    peer.send_blocking(framed(encode(Push(BTC.number, [entry]))))
    failure = node.wait()
    peer.release()
    assert isinstance(failure, Replaced)


def test_a_pushed_entry_that_does_not_follow_is_left_to_the_log(start_node):
    node = start_node("client1")
    peer, _, _ = dial(*node.address, CREDENTIALS, role=ROLE_PEER, caller="client2")
    with node.client() as client:
        last = client.submit(MARKET, [sell(3, 100)]).sequence
        body = encode_body(1, [("ann", msgspec.Raw(encode([sell(1, 100)])))])
        peer.send_blocking(
            framed(encode(Push(BTC.number, [Entry(last + 1, Batch("client2", 1, 1, body), bytes(32))])))
        )
        assert list(peer.receive()) == []  # it hangs up
        assert client.submit(MARKET, [sell(3, 100)]).sequence == last + 1
    peer.release()


def test_a_node_whose_state_differs_stops_and_is_built_anew_from_the_log(start_node, registry):
    nodes = [start_node(f"client{n}", registry=[registry]) for n in (1, 2)]
    odd = start_node("client3", registry=[registry])
    with nodes[0].client() as client, odd.client() as other:
        other.book(MARKET, at_least=client.submit(MARKET, [sell(1, 100)]).sequence)
    odd.stop()
    kept = Snapshots(Path(odd.plan.folder) / "BTC-USD")
    machine = kept.newest(through=10**9)
    machine.digest = b"drifted!" * 4
    kept.save(machine.snapshot(), machine.sequence)
    odd = start_node("client3", registry=[registry])
    with nodes[0].client() as client:
        wait_until(lambda: odd.has_ended or not client.submit(MARKET, [sell(1, 100)]), seconds=60)
    assert isinstance(odd.wait(), StateDiffers)
    assert list(Path(odd.plan.folder).glob("BTC-USD.differs-at-*"))
    again = start_node("client3", registry=[registry])
    with nodes[1].client() as client:
        last = client.submit(MARKET, [sell(1, 100)]).sequence
    for node in (nodes[0], again):
        with node.client() as client:
            client.book(MARKET, at_least=last)
    assert state(again)[:3] == state(nodes[1])[:3]


def test_a_book_of_any_size_is_read_whole_at_one_sequence(start_node):
    with start_node().client("o" * 60) as client, start_node("client2").client() as other:
        for batch in range(12):
            orders = [sell(1, 1000 + n, f"{batch}-{n}".ljust(64, "x")) for n in range(500)]
            last = client.submit(MARKET, orders).sequence
        sequence, book = client.full_book(MARKET)
        assert (sequence, len(book)) == (last, 6000)
        assert [view.order for view in book[:3]] == [1, 501, 1001]
        assert book == other.full_book(MARKET, at_least=last)[1]


def test_a_node_that_is_told_to_stop_while_it_reads_the_log_does_not_serve(start_node, tmp_path):
    node = start_node()
    with node.client() as client:
        client.submit(MARKET, [sell(3, 100)])
    node.stop()
    told = threading.Event()
    told.set()
    served: list[dict[str, str]] = []
    run(
        msgspec.structs.replace(node.plan, name="client2", folder=str(tmp_path / "client2")),
        served.append,
        told,
    )
    assert served == []
