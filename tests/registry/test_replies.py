"""The questions that a foreign KRPC node put to real Grapes, put to members of ours in the same state."""

import pytest
from members import Network

from p2pcli.registry.bencode import decode, encode
from p2pcli.registry.items import Item
from p2pcli.registry.krpc import Query, Reply, parse
from p2pcli.registry.member import Member
from p2pcli.registry.operations import Announce, Put

FOREIGN = ("127.0.0.1", 25000)
FOREIGN_ID = b"\xaa" * 20
UNASKED_ID = b"\xbb" * 20  # sent an unsolicited reply: a Grape takes it into its table, we do not


@pytest.fixture
def grapes(vectors) -> tuple[dict[int, Member], float]:
    """Members with the ids and in the state of the captured Grapes A, B, C; and the time on their clock."""
    ids = {}
    for flow in vectors["krpc_flows"]:
        for packet in flow["packets"]:
            message = parse(bytes.fromhex(packet["hex"]))
            if isinstance(message, Query):
                ids.setdefault(packet["from"], message.arguments[b"id"])
    ring = Network(seed=1)
    members = {
        port: ring.join(port, [20001, 20002, 20003], own_id=ids[port], keep_own=False)
        for port in (20001, 20002, 20003)
    }
    ring.run(for_s=5)
    ring.ask(members[20001], Announce(b"rest:util:net", 1337))
    ring.ask(members[20001], Announce(b"rest:util:net", 1400))
    ring.ask(members[20002], Put(Item(b"hello world")))
    return members, ring.now


class Asker:
    """A foreign node at 127.0.0.1:25000 that asks members directly."""

    def __init__(self, members: dict[int, Member], tokens: set[bytes], now: float) -> None:
        self._members = members
        self._tokens = tokens  # captured ones, in whose place ours are sent
        self._now = now

    def ask(self, port: int, packet: bytes) -> bytes | None:
        member = self._members[port]
        member.receive(self._with_our_token(port, packet), FOREIGN, self._now)
        replies = [sent for sent, address in member.outbox if address == FOREIGN]
        member.outbox.clear()
        assert len(replies) <= 1
        return replies[0] if replies else None

    def _with_our_token(self, port: int, packet: bytes) -> bytes:
        for captured in self._tokens:
            if captured in packet:
                return packet.replace(captured, self.token(port))
        return packet

    def token(self, port: int) -> bytes:
        asked = {b"a": {b"id": FOREIGN_ID, b"info_hash": b"zzz"}, b"q": b"get_peers", b"t": b"tt", b"y": b"q"}
        member = self._members[port]
        member.receive(encode(asked), FOREIGN, self._now)
        reply = parse(member.outbox.popleft()[0])
        assert isinstance(reply, Reply)
        return bytes(reply.values[b"token"])


def test_every_captured_question_gets_the_captured_reply(vectors, grapes):
    tokens = {
        bytes.fromhex(case["reply"]["decoded"]["r"]["token"]["$hex"])
        for case in vectors["krpc_request_reply"]
        if case["reply"] and isinstance(case["reply"]["decoded"].get("r", {}).get("token"), dict)
    }
    asker = Asker(*grapes[:1], tokens, grapes[1])
    for case in vectors["krpc_request_reply"]:
        port = case["query"]["to"]
        got = asker.ask(port, bytes.fromhex(case["query"]["hex"]))
        if case["reply"] is None or "verif" in str(case["reply"]["decoded"].get("e")):
            # The Grape had no function to verify signatures; ours has, and this signature is wrong.
            assert got is None, case["name"]
            continue
        assert got is not None, case["name"]
        expected = decode(bytes.fromhex(case["reply"]["hex"]))
        if b"token" in expected.get(b"r", {}):
            expected[b"r"][b"token"] = asker.token(port)
        assert comparable(decode(got)) == comparable(expected), case["name"]


def comparable(message):
    """A reply without the order in which it names peers and, for keys equally far from all, contacts."""
    values = message.get(b"r", {})
    if b"values" in values:
        values[b"values"] = sorted(values[b"values"])
    if b"nodes" in values:
        nodes = values[b"nodes"]
        contacts = [nodes[at : at + 26] for at in range(0, len(nodes), 26)]
        values[b"nodes"] = sorted(one for one in contacts if not one.startswith(UNASKED_ID))
    return message


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        # What kills a real Grape.
        (b"announce_peer", {b"info_hash": b"svc", b"port": 1, b"token": 5}),
        (b"announce_peer", {b"info_hash": b"svc", b"port": 1, b"token": [b"t"]}),
        (b"put", {b"v": b"x", b"token": 5}),
        (b"get_peers", {b"info_hash": 5}),
        (b"get_peers", {b"info_hash": [b"svc"]}),
        (b"find_node", {b"target": 5}),
        (b"find_node", {b"target": [b"x"]}),
        (b"get", {b"target": 5}),
        # And what else a type can be wrong in.
        (b"announce_peer", {b"info_hash": {}, b"port": 1, b"token": b"t"}),
        (b"announce_peer", {b"info_hash": b"svc", b"port": b"1", b"token": b"t"}),
        (b"announce_peer", {b"info_hash": b"svc", b"port": -1, b"token": b"t"}),
        (b"put", {b"v": b"x", b"token": b""}),
        (b"PING", {}),
        (b"", {}),
    ],
)
def test_a_question_of_wrong_types_gets_silence_and_harms_nobody(grapes, method, arguments):
    asker = Asker(grapes[0], set(), grapes[1])
    packet = encode({b"a": {b"id": FOREIGN_ID, **arguments}, b"q": method, b"t": b"aa", b"y": b"q"})
    assert asker.ask(20001, packet) is None
    ping = encode({b"a": {b"id": FOREIGN_ID}, b"q": b"ping", b"t": b"aa", b"y": b"q"})
    assert asker.ask(20001, ping) is not None


@pytest.mark.parametrize(
    "wrong",
    [
        {b"k": b"short", b"sig": b"s" * 64, b"seq": 1},
        {b"k": b"k" * 32, b"seq": 1},
        {b"sig": b"s" * 64, b"seq": 1},
        {b"k": b"k" * 32, b"sig": 5, b"seq": 1},
        {b"k": b"k" * 32, b"sig": b"s" * 64, b"seq": b"1"},
        {b"k": b"k" * 32, b"sig": b"s" * 64, b"seq": -1},
        {b"k": b"k" * 32, b"sig": b"s" * 64, b"seq": 1, b"salt": b"x" * 65},
        {b"k": b"k" * 32, b"sig": b"s" * 64, b"seq": 1},  # not the signature
    ],
)
def test_a_mutable_item_that_is_none_gets_silence(grapes, wrong):
    asker = Asker(grapes[0], set(), grapes[1])
    arguments = {b"id": FOREIGN_ID, b"token": asker.token(20001), b"v": b"x", **wrong}
    assert asker.ask(20001, encode({b"a": arguments, b"q": b"put", b"t": b"aa", b"y": b"q"})) is None


def test_loopback_peers_are_not_told_to_other_machines():
    ring = Network()
    member = ring.join(20001, [])
    ring.ask(member, Announce(b"svc", 1337))
    question = encode(
        {b"a": {b"id": FOREIGN_ID, b"info_hash": b"svc"}, b"q": b"get_peers", b"t": b"aa", b"y": b"q"}
    )
    for host, found in (("127.0.0.1", True), ("10.0.0.7", False)):
        member.receive(question, (host, 25000), ring.now)
        assert (b"values" in decode(member.outbox.popleft()[0])[b"r"]) is found
