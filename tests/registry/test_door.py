import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from members import Network

from p2pcli.registry.bencode import decode, encode
from p2pcli.registry.items import Item
from p2pcli.registry.krpc import Query, parse, reply
from p2pcli.registry.member import Member
from p2pcli.registry.operations import Announce, Put

STRANGER = ("10.0.0.7", 25000)
STRANGER_ID = b"\xaa" * 20


def question(method: bytes, **arguments: object) -> bytes:
    plain = {name.encode(): value for name, value in arguments.items()}
    return encode({b"a": {b"id": STRANGER_ID, **plain}, b"q": method, b"t": b"aa", b"y": b"q"})


def crowded_member() -> tuple[Network, Member]:
    """A member that knows 60 contacts, 60 peers of one service and an item of 990 bytes."""
    ring = Network()
    member = ring.join(20001, [])
    chance = random.Random(1)
    for number in range(60):
        packet = encode(
            {b"a": {b"id": bytes([number * 4]) + chance.randbytes(19)}, b"q": b"ping", b"y": b"q"}
        )
        member.receive(packet, (f"10.1.0.{number}", 5), ring.now)

    for port in range(1, 61):
        ring.ask(member, Announce(b"svc", port))
    ring.ask(member, Put(Item(b"v" * 990)))
    member.outbox.clear()
    return ring, member


def told(member: Member, packet: bytes, source, now: float) -> int:
    """Return the bytes sent to ``source`` because of ``packet``."""
    member.receive(packet, source, now)
    sent = sum(len(data) for data, address in member.outbox if address == source)
    member.outbox.clear()
    return sent


SHARED = crowded_member()  # for tests that only ask a few questions


@pytest.mark.parametrize("source", [STRANGER, ("127.0.0.1", 25000)])
@pytest.mark.parametrize(
    "packet",
    [  # the shorter ones are the shortest there are
        question(b"ping"),
        question(b"find_node", target=b"\0" * 20),
        question(b"find_node", target=b""),
        question(b"find_node"),
        question(b"get_peers", info_hash=b"svc"),
        question(b"get_peers", info_hash=b"s"),
        question(b"get_peers", info_hash=b"unknown" * 20),
        question(b"get_peers"),
        question(b"get", target=Item(b"v" * 990).target()),
        question(b"get", target=b"\0" * 20),
        b"d1:ade1:q4:ping1:y1:qe",
        b"d1:ad6:target0:e1:q9:find_node1:y1:qe",
        b"d1:ade1:q9:find_node1:y1:qe",
        b"d1:ad9:info_hash3:svce1:q9:get_peers1:y1:qe",
        b"d1:ade1:q9:get_peers1:y1:qe",
        b"garbage",
        b"",
    ],
)
def test_a_stranger_is_told_at_most_three_times_what_it_asked(packet, source):
    ring, member = SHARED
    assert told(member, packet, source, ring.now) <= 3 * len(packet)


@given(st.binary(max_size=30), st.sampled_from([b"find_node", b"get_peers", b"get", b"ping"]), st.booleans())
def test_no_question_of_a_stranger_is_worth_more_than_three_times_its_bytes(key, method, with_id):
    ring, member = SHARED
    named = {b"find_node": b"target", b"get": b"target"}.get(method, b"info_hash")
    arguments = {named: key, **({b"id": STRANGER_ID} if with_id else {})}
    packet = encode({b"a": arguments, b"q": method, b"y": b"q"})
    assert told(member, packet, ("10.9.9.9", 9), ring.now) <= 3 * len(packet)


def prove(member: Member, source, now: float) -> bytes | None:
    """Answer the ping that ``member`` sends because it holds an item back; return the item's packet."""
    pings = [data for data, address in member.outbox if address == source]
    member.outbox.clear()
    assert len(pings) == 1
    ping = parse(pings[0])
    assert isinstance(ping, Query)
    assert ping.method == b"ping"
    member.receive(reply(ping.transaction, encode({b"id": STRANGER_ID})), source, now)
    return member.outbox.popleft()[0] if member.outbox else None


def test_an_item_is_held_back_until_the_address_is_proven():
    ring, member = crowded_member()
    packet = question(b"get", target=Item(b"v" * 990).target())
    member.receive(packet, STRANGER, ring.now)
    held = prove(member, STRANGER, ring.now)
    assert held is not None
    assert decode(held)[b"r"][b"v"] == b"v" * 990
    assert told(member, packet, STRANGER, ring.now) > 990  # from now on at once


def test_a_proven_source_is_told_of_the_twenty_closest():
    ring, member = crowded_member()
    member.receive(question(b"get", target=Item(b"v" * 990).target()), STRANGER, ring.now)
    prove(member, STRANGER, ring.now)
    member.receive(question(b"find_node", target=b"\0" * 20), STRANGER, ring.now)
    assert len(decode(member.outbox.popleft()[0])[b"r"][b"nodes"]) == 20 * 26


def test_a_stranger_is_told_of_the_closest_that_fit():
    ring, member = crowded_member()
    member.receive(question(b"find_node", target=b"\0" * 20), STRANGER, ring.now)
    nodes = decode(member.outbox.popleft()[0])[b"r"][b"nodes"]
    assert nodes == b"".join(
        one.id + bytes(map(int, one.address[0].split("."))) + one.address[1].to_bytes(2, "big")
        for one in member.table.closest(b"\0" * 20, len(nodes) // 26)
    )
    assert len(nodes) >= 5 * 26


def test_a_flood_from_one_source_is_answered_in_part_and_others_are_still_served():
    ring, member = crowded_member()
    answered = sum(told(member, question(b"ping"), STRANGER, ring.now) > 0 for _ in range(10_000))
    assert 1_000 <= answered <= 3_000
    assert told(member, question(b"ping"), ("10.0.0.8", 1), ring.now)
    assert told(member, question(b"ping"), STRANGER, ring.now + 1)


def test_a_flood_from_forged_sources_is_answered_in_part():
    ring, member = crowded_member()
    answered = 0
    for number in range(20_000):
        source = (f"10.{number % 200}.{number // 200 % 256}.1", 7)
        answered += told(member, question(b"ping"), source, ring.now) > 0
    assert answered <= 6_000


def test_garbage_does_not_use_up_a_sources_allowance():
    ring, member = crowded_member()
    for _ in range(10_000):
        assert told(member, b"garbage", STRANGER, ring.now) == 0
    assert told(member, question(b"ping"), STRANGER, ring.now)
