import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pcli.registry.compact import (
    BadAddress,
    Contact,
    is_ipv4,
    pack_contacts,
    pack_peer,
    parse_address,
    unpack_contacts,
    unpack_peer,
)

ADDRESSES = st.tuples(
    st.tuples(*[st.integers(0, 255)] * 4).map(lambda parts: ".".join(map(str, parts))), st.integers(1, 65535)
)
CONTACTS = st.lists(st.builds(Contact, st.binary(min_size=20, max_size=20), ADDRESSES), max_size=5)


def test_a_peer_is_four_bytes_of_address_and_two_of_port():
    assert pack_peer(("127.0.0.1", 1337)) == bytes.fromhex("7f0000010539")


@given(ADDRESSES)
def test_a_packed_peer_unpacks_to_the_same(address):
    assert unpack_peer(pack_peer(address)) == address
    assert parse_address(f"{address[0]}:{address[1]}") == address


@given(CONTACTS)
def test_packed_contacts_unpack_to_the_same(contacts):
    assert unpack_contacts(pack_contacts(contacts), 100) == contacts


@pytest.mark.parametrize("packed", [b"", b"\x7f\0\0\1\5", b"\x7f\0\0\1\5\x39\0", b"\x7f\0\0\1\0\0"])
def test_a_peer_of_another_length_or_with_port_zero_is_none(packed):
    assert unpack_peer(packed) is None


def test_contacts_with_port_zero_or_torn_are_skipped_and_a_limit_kept():
    good = Contact(b"a" * 20, ("10.0.0.1", 1))
    unreachable = b"b" * 20 + b"\x0a\0\0\1\0\0"
    packed = unreachable + pack_contacts([good, good, good]) + b"torn"
    assert unpack_contacts(packed, 2) == [good, good]
    assert unpack_contacts(packed, 20) == [good, good, good]


NO_ADDRESSES = (
    *("", "127.0.0.1", "127.0.0.1:", ":1", "localhost:1", "::1:20001"),
    *("127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:+1", "127.0.0.1:1_0", "127.0.0.1:٣", "127.0.0.1: 1"),
    *("1.2.3:4", "1.2.3.256:4", "01.2.3.4:5", "1.2.3.4.5:6", "1.2.3.-4:5"),
)


@pytest.mark.parametrize("text", NO_ADDRESSES)
def test_text_that_is_no_address_is_refused(text):
    with pytest.raises(BadAddress):
        parse_address(text)


def test_digits_of_other_alphabets_make_no_address():
    assert not is_ipv4("١.2.3.4")
