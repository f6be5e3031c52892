import pytest

from p2pcli.registry.compact import Contact, pack_contacts
from p2pcli.registry.items import Item
from p2pcli.registry.krpc import Reply
from p2pcli.registry.lookup import Lookup
from p2pcli.registry.operations import Found, Get, Unknown
from p2pcli.registry.search import Search

OWN_ID, OWN = b"\x01" * 20, ("10.0.0.1", 1)
PEER_ID, PEER = b"\x02" * 20, ("10.0.0.2", 2)
V = b"hello world"
TARGET = Item(V).target()


def search(method: bytes = b"get", key: bytes = TARGET, salt: bytes = b"") -> Search:
    lookup = Lookup(key, [Contact(PEER_ID, PEER)], (), lambda *_: 0, 0.0)
    assert lookup.ask(0.0) == [PEER]
    return Search(method, lookup, b"de", salt)


def collect(one: Search, source=PEER, node_id: object = PEER_ID, **values: object) -> None:
    plain = {name.encode(): value for name, value in values.items()}
    one.collect(Reply(b"tt", {b"id": node_id, **plain}), source, OWN_ID, OWN, 0.0)


def test_an_immutable_item_ends_the_search():
    one = search()
    collect(one, v=V, token=b"t")
    assert one.settled
    assert one.answer(Get(TARGET), None, OWN_ID) == Found(Item(V, sender=PEER_ID), PEER_ID, b"t")


def test_a_value_with_another_hash_is_ignored():
    one = search()
    collect(one, v=b"something else", token=b"t")
    assert not one.settled
    assert one.answer(Get(TARGET), None, OWN_ID) == Unknown()


def mutable(vectors, at: int) -> dict[str, object]:
    case = vectors["bep44"]["signature_vectors"]["items"][at]
    return {
        "v": case["v"].encode(),
        "k": bytes.fromhex(case["k"]),
        "sig": bytes.fromhex(case["sig"]),
        "seq": case["seq"],
    }


def test_the_highest_signed_sequence_wins_in_any_order(vectors):
    fields = [mutable(vectors, at) for at in range(3)]  # sequence 1, 2, 3 of one key
    target = Item(b"", bytes(fields[0]["k"])).target()
    forged = {**fields[0], "seq": 99}
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        one = search(key=target)
        for at in order:
            collect(one, **fields[at])
            collect(one, **forged)
        assert not one.settled
        assert one.found is not None
        assert one.found.item.seq == 3


def test_a_salted_item_is_found_with_its_salt_only(vectors):
    fields = mutable(vectors, 3)
    target = bytes.fromhex(vectors["bep44"]["signature_vectors"]["items"][3]["target"])
    for salt, found in ((b"foobar", True), (b"", False), (b"other", False)):
        one = search(key=target, salt=salt)
        collect(one, **fields)
        assert (one.found is not None) is found


def test_our_own_item_is_preferred_to_an_equal_one_and_lost_to_a_newer(vectors):
    fields = [mutable(vectors, at) for at in range(2)]
    own = [Item(f["v"], f["k"], f["sig"], f["seq"]) for f in fields]
    one = search(key=own[0].target())
    collect(one, **fields[0], token=b"t")
    assert one.answer(Get(one.lookup.key), own[0], OWN_ID) == Found(own[0], OWN_ID, None)
    collect(one, **fields[1], token=b"t")
    answer = one.answer(Get(one.lookup.key), own[0], OWN_ID)
    assert isinstance(answer, Found)
    assert answer.item.seq == 2


def test_holders_are_the_closest_that_gave_a_token():
    one = search(b"get_peers", b"\0" * 20)
    for number in (4, 2, 3):
        collect(one, ("10.0.0.9", number), bytes([number]) * 20, token=b"t%d" % number)
    collect(one, ("10.0.0.9", 9), b"\x09" * 20)
    assert one.holders() == [(("10.0.0.9", number), b"t%d" % number) for number in (2, 3, 4)]


def test_contacts_that_are_ourselves_are_not_asked():
    one = search()
    packed = pack_contacts([Contact(OWN_ID, ("10.0.0.8", 8)), Contact(b"\x03" * 20, OWN)])
    collect(one, nodes=packed)
    assert one.lookup.ask(0.0) == []


@pytest.mark.parametrize("node_id", [b"short", 5, b"", OWN_ID, None])
def test_a_reply_without_a_good_id_teaches_nothing(node_id):
    one = search(b"get_peers", b"svc")
    collect(one, node_id=node_id, token=b"t", nodes=pack_contacts([Contact(b"\x03" * 20, ("10.0.0.8", 8))]))
    assert one.holders() == []
    assert one.lookup.ask(0.0) == []


@pytest.mark.parametrize(
    "values",
    [
        {"nodes": 5},
        {"nodes": b"torn"},
        {"token": 5},
        {"token": b""},
        {"values": b"text"},
        {"v": [[]], "k": b"short", "sig": b"s"},
        {"v": b"x", "k": 5, "sig": 5, "seq": b""},
    ],
)
def test_replies_of_wrong_types_are_survived(values):
    one = search()
    collect(one, **values)
    assert one.answer(Get(TARGET), None, OWN_ID) == Unknown()
    assert one.holders() == []


def test_only_six_byte_peers_are_read_and_not_endlessly_many():
    one = search(b"get_peers", b"svc")
    peers = [b"\x7f\0\0\1\0\1", b"short", 5, [], b"seven..", b"\x7f\0\0\1\0\2"]
    assert list(one.peers_in(Reply(b"tt", {b"values": peers}))) == [peers[0], peers[5]]
    assert len(list(one.peers_in(Reply(b"tt", {b"values": [b"\x7f\0\0\1\0\1"] * 9_000})))) == 2_000
    assert list(one.peers_in(Reply(b"tt", {b"values": b"no list"}))) == []
