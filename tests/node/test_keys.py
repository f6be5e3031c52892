"""Owners' keys: the table in the log, and what their holders may do at real nodes."""

import threading
from pathlib import Path

import msgspec
import pytest
from driven import Driven, next_entry

from p2pcli.clock import monotonic
from p2pcli.errors import P2pxError
from p2pcli.log.entry import Batch
from p2pcli.market.commands import Cancel, CancelAll, GrantKey, Halt, Place, RevokeKey, Side
from p2pcli.market.events import CancelledAll, Done, Placed, Reason, Refused
from p2pcli.node import keys as room
from p2pcli.node.body import encode_body
from p2pcli.node.client import ExchangeClient
from p2pcli.node.key_file import KeyFileExists, NoKeyFile, OwnerKey, read_key, write_key
from p2pcli.node.machine import Machine
from p2pcli.node.requests import Forbidden, Forward, Push, Submit, Unknown, decode_reply, encode
from p2pcli.node.roaming import RoamingClient
from p2pcli.node.tls_folder import BadKeyFile
from p2pcli.rpc.auth import ROLE_PEER, KeyRefused, WrongOwner, WrongSecret
from p2pcli.rpc.credentials import Credentials, owner_key, secret_id
from p2pcli.rpc.frame import framed
from p2pcli.rpc.handshake import dial

from .conftest import CREDENTIALS, SECRET

MARKET = "BTC/USD"
KEY = "5f3a9c01d2e4"
BUY = Place(Side.BUY, 5, 100)


def holder(owner: str = "ann", key_id: str = KEY, secret: bytes = SECRET) -> Credentials:
    key = owner_key(secret, owner, key_id)
    return Credentials(key, owner=owner, key_id=key_id, made_with=secret_id(secret))


# -- the table -------------------------------------------------------------------------------------


def keyed(driven: Driven, owner: str, key: str, *commands):
    """Apply commands that were proven with a key, and return their outcomes."""
    raw = msgspec.Raw(msgspec.msgpack.encode(commands))
    number = driven.machine.sequence + 1
    body = encode_body(number, [(owner, raw, None, key)])
    return driven.machine.apply(next_entry(driven.machine, Batch("client1", 1, number, body))).outcomes[0]


def test_a_key_is_good_from_its_grant_to_its_revocation():
    driven = Driven()
    assert keyed(driven, "ann", KEY, BUY) == [Refused(Reason.KEY_REFUSED)]
    assert driven.do("operator", GrantKey(KEY, "ann")) == Done()
    assert isinstance(keyed(driven, "ann", KEY, BUY)[0], Placed)
    assert driven.do("operator", RevokeKey(KEY)) == Done()
    assert keyed(driven, "ann", KEY, BUY, Cancel(1)) == [Refused(Reason.KEY_REFUSED)] * 2
    assert driven.machine.open_orders == 1


def test_a_key_is_good_for_its_owner_alone():
    driven = Driven()
    driven.do("operator", GrantKey(KEY, "ann"))
    assert keyed(driven, "bob", KEY, BUY) == [Refused(Reason.KEY_REFUSED)]
    assert driven.machine.last_order == 0


def test_repeating_a_grant_or_a_revocation_changes_nothing():
    driven = Driven()
    for command in (GrantKey(KEY, "ann"), GrantKey(KEY, "ann"), RevokeKey(KEY), RevokeKey(KEY)):
        assert driven.do("operator", command) == Done()
    assert [(key.id, bool(key.revoked_ns)) for key in driven.machine.keys] == [(KEY, True)]
    assert driven.machine.keys.changes == 1


def test_a_revoked_key_is_never_granted_again_and_no_id_changes_its_owner():
    driven = Driven()
    driven.do("operator", GrantKey(KEY, "ann"))
    assert driven.do("operator", GrantKey(KEY, "bob")) == Refused(Reason.KEY_TAKEN)
    driven.do("operator", RevokeKey(KEY))
    assert driven.do("operator", GrantKey(KEY, "ann")) == Refused(Reason.KEY_TAKEN)
    assert driven.do("operator", RevokeKey("unknown")) == Refused(Reason.UNKNOWN_KEY)
    long = driven.do("operator", GrantKey("x" * 65, "ann"))
    assert long == Refused(Reason.ID_TOO_LONG, 0, [65, 64])


def test_the_table_has_a_limit_and_forgets_revoked_keys_first(monkeypatch):
    monkeypatch.setattr(room, "MAX_KEYS", 3)
    driven = Driven()
    for name in "abc":
        driven.do("operator", GrantKey(name, "ann"))
    assert driven.do("operator", GrantKey("d", "ann")) == Refused(Reason.TOO_MANY_KEYS, 0, [3])
    driven.do("operator", RevokeKey("b"))
    assert driven.do("operator", GrantKey("d", "ann")) == Done()
    assert [key.id for key in driven.machine.keys] == ["a", "c", "d"]
    assert keyed(driven, "ann", "b", BUY) == [Refused(Reason.KEY_REFUSED)]  # forgotten is as bad as revoked


def test_keys_are_part_of_the_state():
    driven, other = Driven(), Driven()
    driven.do("operator", GrantKey(KEY, "ann"))
    driven.do("operator", RevokeKey(KEY))
    restored = Machine.restore(driven.machine.snapshot())
    assert restored.snapshot() == driven.machine.snapshot()
    assert [key.id for key in restored.keys] == [KEY]
    for command in (GrantKey(KEY, "ann"), GrantKey("another", "ann")):
        other.do("operator", command)
    assert other.machine.state_digest() != driven.machine.state_digest()


# -- at real nodes ---------------------------------------------------------------------------------


@pytest.fixture
def node(start_node):
    node = start_node()
    with node.client() as operator:
        assert operator.submit(MARKET, [GrantKey(KEY, "ann")]).outcomes == [Done()]
    return node


def revoke(node) -> None:
    with node.client() as operator:
        assert operator.submit(MARKET, [RevokeKey(KEY)]).outcomes == [Done()]


def connected(node, credentials: Credentials, owner: str = "") -> ExchangeClient:
    return ExchangeClient(*node.address, credentials, owner=owner, timeout=20)


def test_its_holder_trades_as_the_owner_and_sees_the_market(node):
    with node.client("bob") as bob, connected(node, holder()) as ann:
        bob.submit(MARKET, [Place(Side.SELL, 2, 100)])
        (outcome,) = ann.submit(MARKET, [BUY]).outcomes
        assert (ann.owner, outcome.filled) == ("ann", 2)
        assert ann.order(MARKET, outcome.order).owner == "ann"
        assert [view.order for view in ann.orders(MARKET, "ann")] == [outcome.order]
        assert ann.book(MARKET).bids[0].quantity == 3
        assert [trade.taker_owner for trade in ann.trades(MARKET)] == ["ann"]
        assert ann.day(MARKET).volume == 2
        assert ann.status().name == "client1"


def test_an_owner_is_never_what_a_client_says(node):
    with pytest.raises(WrongOwner, match="is ann's, who cannot act for bob"):
        connected(node, holder(), owner="bob")
    with pytest.raises(WrongSecret, match=f"key {KEY} of bob is none of the cluster at"):
        connected(node, Credentials(owner_key(SECRET, "ann", KEY), owner="bob", key_id=KEY))
    with pytest.raises(WrongSecret):  # and the key of an owner is not the secret
        connected(node, Credentials(owner_key(SECRET, "ann", KEY)))


def test_a_key_that_nobody_granted_is_refused(node):
    with pytest.raises(KeyRefused, match="key 000000000000 of ann was never granted here") as refused:
        connected(node, holder(key_id="000000000000"))
    assert "p2px keys create" in refused.value.hint


def test_its_holder_can_not_touch_the_orders_of_another(node):
    with node.client("bob") as bob, connected(node, holder()) as ann:
        theirs = bob.submit(MARKET, [BUY]).outcomes[0].order
        assert ann.submit(MARKET, [Cancel(theirs)]).outcomes[0].reason is Reason.UNKNOWN_ORDER
        assert ann.submit(MARKET, [CancelAll()]).outcomes == [CancelledAll([])]
        for ask in (
            lambda: ann.order(MARKET, theirs),
            lambda: ann.orders(MARKET, "bob"),
            lambda: ann.orders(MARKET),
        ):
            with pytest.raises(Forbidden, match="shows that owner's orders only"):
                ask()
        assert [view.order for view in bob.orders(MARKET, "bob")] == [theirs]


def test_what_takes_the_secret_is_refused_and_changes_nothing(node):
    with node.client() as operator, connected(node, holder()) as ann:
        before = operator.state_digest(MARKET)
        for ask in (
            lambda: ann.submit(MARKET, [Halt()]),
            lambda: ann.submit(MARKET, [BUY, Halt()]),
            lambda: ann.submit(MARKET, [GrantKey("another", "ann")]),
            lambda: ann.submit(MARKET, [RevokeKey(KEY)]),
            lambda: ann.reset_breaker("client2"),
            lambda: ann.snapshot(MARKET),
            lambda: ann.full_book(MARKET),
            lambda: ann.state_digest(MARKET),
            lambda: ann.keys(MARKET),
            lambda: ann.enrol("bob", ["127.0.0.1"], ""),
        ):
            with pytest.raises(Forbidden, match="takes the cluster's secret; this is the key of ann"):
                ask()
        assert operator.state_digest(MARKET) == before


def test_its_holder_can_not_push(node):
    with connected(node, holder()) as ann:
        ann.connection.send_blocking(framed(encode(Push(1, []))))
        with pytest.raises(Forbidden, match="Push takes the cluster's secret"):
            ann.status()


def test_a_revoked_key_is_cut_off_everywhere_and_let_in_nowhere(start_node, registry):
    nodes = [start_node(name, registry=[registry]) for name in ("client1", "client2")]
    with nodes[0].client() as operator:
        operator.submit(MARKET, [GrantKey(KEY, "ann")])
    with nodes[1].client() as other:
        other.keys(MARKET)
        sequence = other.book(MARKET, at_least=2).sequence
    assert sequence >= 2
    waiting = [connected(node, holder()) for node in nodes]
    cut = [threading.Event() for _ in nodes]

    def wait(client: ExchangeClient, gone: threading.Event) -> None:
        try:
            while True:
                client.trades(MARKET, after=0, wait=30)
        except P2pxError:
            gone.set()

    threads = [
        threading.Thread(target=wait, args=pair, daemon=True) for pair in zip(waiting, cut, strict=True)
    ]
    for thread in threads:
        thread.start()
    revoke(nodes[0])
    assert all(gone.wait(10) for gone in cut), "an open connection of a revoked key goes on"
    for node in nodes:
        with pytest.raises(KeyRefused, match=f"key {KEY} of ann was revoked"):
            connected(node, holder())
    for client, thread in zip(waiting, threads, strict=True):
        thread.join(10)
        client.close()


def test_the_retry_of_a_revoked_key_does_not_trade(node):
    def until_the_connection_is_closed() -> None:
        while monotonic() - began < 15:  # until then the log refuses
            assert ann.submit(MARKET, [BUY]).outcomes == [Refused(Reason.KEY_REFUSED)]

    with RoamingClient(lambda: [node.address], holder(), "ann", deadline_s=20) as ann:
        ann.submit(MARKET, [BUY])
        revoke(node)
        began = monotonic()
        with pytest.raises((KeyRefused, Unknown), match="was revoked"):
            until_the_connection_is_closed()
        assert monotonic() - began < 15, "it went on trying though every node says the same"
    with node.client() as operator:
        assert len(operator.orders(MARKET, "ann")) == 1


def test_what_a_peer_forwards_for_a_revoked_key_is_carried_out_nowhere(node, start_node):
    """The node that was asked may not know yet; the log does, and every node reads the same there."""
    other = start_node("client2")
    revoke(node)
    peer = dial(*node.address, CREDENTIALS, role=ROLE_PEER, caller="client2", timeout=20)[0]
    forward = Forward("ann", 1, True, KEY, msgspec.Raw(encode(Submit(7, 1, [BUY]))))
    peer.send_blocking(framed(encode(forward)))
    answers = decode_reply(peer.receive_some(monotonic() + 20)[0])
    assert answers.notes == [Refused(Reason.KEY_REFUSED)]
    peer.release()
    with node.client() as one, other.client() as two:
        sequence = one.state_digest(MARKET)[0]
        assert one.state_digest(MARKET) == two.state_digest(MARKET, at_least=sequence)
        assert two.orders(MARKET) == []


def test_keys_are_good_again_after_a_restart(start_node, tmp_path):
    node = start_node()
    with node.client() as operator:
        operator.submit(MARKET, [GrantKey(KEY, "ann"), GrantKey("other", "bob"), RevokeKey("other")])
    node.stop()
    again = start_node()
    with connected(again, holder()) as ann:
        assert isinstance(ann.submit(MARKET, [BUY]).outcomes[0], Placed)
    with pytest.raises(KeyRefused):
        connected(again, holder("bob", "other"))


# -- the file --------------------------------------------------------------------------------------


def key_file(path: Path) -> OwnerKey:
    key = OwnerKey(2, "default", "ann", KEY, owner_key(SECRET, "ann", KEY).hex(), secret_id(SECRET))
    write_key(path, key)
    return key


def test_a_key_file_reads_back_and_is_private(tmp_path):
    key = key_file(tmp_path / "ann.key")
    assert read_key(tmp_path / "ann.key", "default") == key
    assert (tmp_path / "ann.key").stat().st_mode & 0o777 == 0o600
    assert key.credentials("") == holder()
    assert key.key not in repr(key)


def test_a_key_file_that_does_not_say_what_it_was_made_with_is_refused(tmp_path):
    """Version 1, before a cluster's secret could be replaced."""
    path = tmp_path / "ann.key"
    path.write_text(f'{{"p2px_key":1,"cluster":"default","owner":"ann","id":"{KEY}","key":"{"ab" * 32}"}}')
    path.chmod(0o600)
    with pytest.raises(NoKeyFile, match="is no owner's key of this version") as refused:
        read_key(path, "default")
    assert refused.value.hint == "p2px keys create OWNER makes one"


def test_a_key_file_that_others_can_read_is_refused(tmp_path):
    key_file(tmp_path / "ann.key")
    (tmp_path / "ann.key").chmod(0o640)
    with pytest.raises(BadKeyFile, match="can be read by others") as refused:
        read_key(tmp_path / "ann.key", "default")
    assert refused.value.hint == f"chmod 600 {tmp_path / 'ann.key'}"


def test_no_key_file_is_overwritten(tmp_path):
    key_file(tmp_path / "ann.key")
    with pytest.raises(KeyFileExists):
        key_file(tmp_path / "ann.key")


def test_a_key_of_another_cluster_is_named(tmp_path):
    key_file(tmp_path / "ann.key")
    with pytest.raises(NoKeyFile, match="is a key of cluster default, not of other"):
        read_key(tmp_path / "ann.key", "other")


@pytest.mark.parametrize("text", ["", "{}", "nothing", '{"p2px_key": 2}', '{"p2px_key":1,"key":"zz"}'])
def test_what_is_no_key_is_named(tmp_path, text):
    (tmp_path / "ann.key").write_text(text)
    (tmp_path / "ann.key").chmod(0o600)
    with pytest.raises(NoKeyFile, match="no owner's key"):
        read_key(tmp_path / "ann.key", "default")
