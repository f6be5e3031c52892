import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pcli.registry import krpc
from p2pcli.registry.bencode import decode, encode
from p2pcli.registry.krpc import NotKrpc, Query, Refusal, Reply, parse


def test_every_captured_packet_of_a_real_grape_is_understood(vectors):
    kinds = {"q": Query, "r": Reply, "e": Refusal}
    seen = set()
    for flow in vectors["krpc_flows"]:
        for packet in flow["packets"]:
            message = parse(bytes.fromhex(packet["hex"]))
            assert isinstance(message, kinds[packet["decoded"]["y"]])
            seen.add(type(message))
    assert seen == {Query, Reply, Refusal}


def test_packets_are_written_as_real_grapes_write_them(vectors):
    written = 0
    for flow in vectors["krpc_flows"]:
        for packet in flow["packets"]:
            data = bytes.fromhex(packet["hex"])
            match parse(data):
                case Query(transaction, method, arguments):
                    assert krpc.query(transaction, method, encode(arguments)) == data
                case Reply(transaction, values):
                    assert krpc.reply(transaction, encode(values)) == data
            written += 1
    assert written > 50


def test_refusals_are_written_as_real_grapes_write_them(vectors):
    written = 0
    for case in vectors["krpc_request_reply"]:
        if case["reply"] and case["reply"]["decoded"]["y"] == "e":
            code, text = case["reply"]["decoded"]["e"]
            data = bytes.fromhex(case["reply"]["hex"])
            assert krpc.refusal(decode(data)[b"t"], code, text) == data
            assert parse(data) == Refusal(decode(data)[b"t"], code, text)
            written += 1
    assert written >= 5


@given(st.binary(min_size=20, max_size=20), st.binary(max_size=300), st.integers(0, 65535), st.binary())
def test_announce_arguments_are_what_the_general_encoder_writes(node_id, key, port, token):
    general = {b"id": node_id, b"implied_port": 0, b"info_hash": key, b"port": port, b"token": token}
    assert krpc.announce_arguments(node_id, key, port, token) == encode(general)


def test_a_reply_to_a_query_without_transaction_has_none():
    assert krpc.reply(None, b"de") == b"d1:rde1:y1:re"
    assert krpc.refusal(None, 203, "no") == b"d1:eli203e2:noe1:y1:ee"


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"garbage",
        b"i5e",
        b"le",
        b"de",
        b"d1:t2:aa1:y1:ze",
        b"d1:ade1:t2:aa1:y1:qe",  # no method: kills a real Grape
        b"d1:ade1:qi5e1:t2:aa1:y1:qe",
        b"d1:q4:ping1:t2:aa1:y1:qe",
        b"d1:ale1:q4:ping1:t2:aa1:y1:qe",
        b"d1:ade1:q4:ping1:ti1e1:y1:qe",
        b"d1:ade1:q4:ping1:t33:" + b"t" * 33 + b"1:y1:qe",
        b"d1:rde1:y1:re",
        b"d1:rle1:t2:aa1:y1:re",
        b"d1:t2:aa1:yi1ee",
        b"x" * (krpc.MAX_PACKET + 1),
    ],
)
def test_what_is_no_message_is_not_krpc(packet):
    with pytest.raises(NotKrpc):
        parse(packet)


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (b"li301e2:noe", 301, "no"),
        (b"li301ee", 301, ""),
        (b"le", 0, ""),
        (b"4:oops", 0, ""),
        (b"l2:noe", 0, ""),
    ],
)
def test_a_refusal_may_lack_code_or_text(error, code, text):
    assert parse(b"d1:e" + error + b"1:t2:aa1:y1:ee") == Refusal(b"aa", code, text)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_message_or_not_krpc(packet):
    try:
        parse(packet)
    except NotKrpc:
        pass


@given(st.data())
def test_a_captured_packet_with_bytes_changed_is_a_message_or_not_krpc(vectors, data):
    flow = data.draw(st.sampled_from([flow for flow in vectors["krpc_flows"] if flow["packets"]]))
    packet = bytearray.fromhex(data.draw(st.sampled_from(flow["packets"]))["hex"])
    for _ in range(data.draw(st.integers(1, 4))):
        packet[data.draw(st.integers(0, len(packet) - 1))] = data.draw(st.integers(0, 255))
    try:
        parse(bytes(packet))
    except NotKrpc:
        pass
