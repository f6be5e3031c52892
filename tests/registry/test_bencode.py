import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pcli.registry.bencode import MAX_DEPTH, NotBencode, decode, encode

VALUES = st.recursive(
    st.integers(-(2**63) + 1, 2**63 - 1) | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.binary(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_what_was_encoded_decodes_to_the_same(value):
    assert decode(encode(value)) == value


@given(st.binary(max_size=60))
def test_any_bytes_decode_to_one_value_or_are_refused(data):
    try:
        value = decode(data)
    except NotBencode:
        return
    assert decode(encode(value)) == value


@given(st.lists(st.sampled_from([b"d", b"l", b"e", b"i", b"1", b"0", b":", b"-", b"a"]), max_size=30))
def test_bytes_that_look_like_bencode_decode_or_are_refused(parts):
    try:
        value = decode(b"".join(parts))
    except NotBencode:
        return
    assert decode(encode(value)) == value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"i1_0e",
        b"i+1e",
        b"i 1e",
        b"i1 e",
        b"i01e",
        b"i-0e",
        b"i-e",
        b"ie",
        b"i1",
        b"i1.5e",
        b"i" + b"9" * 19 + b"e",
        b"i" + b"9" * 5000 + b"e",
        "i\u0661e".encode(),  # a digit of another alphabet
        b"1_0:aaaaaaaaaa",
        b"+1:a",
        b" 1:a",
        b"01:a",
        b"-1:a",
        b"5:abcd",
        b"5",
        b"99999999999999999999:a",
        b"l",
        b"li1e",
        b"d1:ai1e",
        b"d1:ae",
        b"di1ei2ee",
        b"d1:ai1e1:ai2ee",
        b"i1ei2e",
        b"0:x",
        b"e",
    ],
)
def test_what_is_not_exactly_one_value_is_refused(data):
    with pytest.raises(NotBencode):
        decode(data)


@pytest.mark.parametrize("opening", [b"l", b"d1:a"])
def test_nesting_ten_thousand_deep_is_refused_at_once(opening):
    with pytest.raises(NotBencode, match="nested"):
        decode(opening * 10_000)


def test_nesting_up_to_the_limit_is_read_and_written():
    data = b"l" * MAX_DEPTH + b"e" * MAX_DEPTH
    assert encode(decode(data)) == data
    with pytest.raises(NotBencode):
        decode(b"l" + data + b"e")


@pytest.mark.parametrize(
    "data",
    [b"l" * 65_000, b"l" + b"i1e" * 21_000, b"1:" * 32_000, b"d" + b"1:a" * 21_000, b"9" * 65_000],
    ids=["lists", "integers", "lengths", "equal keys", "digits"],
)
def test_the_worst_that_fits_a_datagram_is_refused(data):
    with pytest.raises(NotBencode):
        decode(data)


def test_unsorted_keys_are_read_and_written_sorted():
    assert encode(decode(b"d1:bi1e1:ai2ee")) == b"d1:ai2e1:bi1ee"


def test_a_bool_is_written_as_zero_or_one():
    assert encode([True, False]) == b"li1ei0ee"


@pytest.mark.parametrize("value", [1.5, None, "text", 2**63, [2**64], {b"a": object()}])
def test_what_has_no_bencoded_form_is_refused(value):
    with pytest.raises(NotBencode):
        encode(value)


def test_every_captured_packet_is_read_and_written_back_byte_for_byte(vectors):
    packets = list(_packets(vectors))
    assert len(packets) > 200
    for packet in packets:
        data = bytes.fromhex(packet["hex"])
        assert _plain(decode(data)) == packet["decoded"]
        if packet.get("canonical"):
            assert encode(decode(data)) == data


def test_every_captured_packet_that_is_no_bencode_is_refused(vectors):
    for case in vectors["krpc_request_reply"]:
        if "undecodable" in case["query"]:
            with pytest.raises(NotBencode):
                decode(bytes.fromhex(case["query"]["hex"]))


def _packets(node):
    if isinstance(node, dict):
        if "hex" in node and "decoded" in node:
            yield node
        for inner in node.values():
            yield from _packets(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _packets(inner)


def _plain(value):
    """Return a decoded value as the vectors write it down."""
    if isinstance(value, bytes):
        printable = value.isascii() and value and all(32 <= byte < 127 for byte in value)
        return value.decode() if printable else {"$hex": value.hex()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key.decode("latin-1"): _plain(item) for key, item in value.items()}
    return value
