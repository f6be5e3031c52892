from hypothesis import given
from hypothesis import strategies as st

from p2pcli.registry.node_id import derive, distance, shared_bits

IDS = st.binary(min_size=20, max_size=20)


def test_an_id_depends_on_address_and_salt_and_on_nothing_else():
    here = derive(("127.0.0.1", 20001), b"salt")
    assert here == derive(("127.0.0.1", 20001), b"salt")
    assert len({here, derive(("127.0.0.1", 20002), b"salt"), derive(("127.0.0.1", 20001), b"pepper")}) == 3
    assert len(here) == 20


@given(IDS, IDS)
def test_distance_is_xor(one, other):
    assert distance(one, other) == int.from_bytes(one, "big") ^ int.from_bytes(other, "big")
    assert distance(one, one) == 0


def test_only_the_bytes_of_a_short_key_count():
    assert distance(b"rest" + b"\xff" * 16, b"rest") == 0
    assert distance(b"\xff" * 20, b"") == 0


def test_bytes_of_a_key_beyond_the_twentieth_do_not_count():
    assert distance(b"a" * 20, b"a" * 20 + b"more") == 0


def test_shared_bits_counts_from_the_first():
    assert shared_bits(b"\0" * 20, b"\0" * 20) == 160
    assert shared_bits(b"\0" * 20, b"\x80" + b"\0" * 19) == 0
    assert shared_bits(b"\0" * 20, b"\0\x01" + b"\0" * 18) == 15


def test_a_service_name_is_its_own_info_hash(vectors):
    # Grapes do not hash names: what the API takes as text goes over the wire as its UTF-8.
    for case in vectors["infohash"]:
        assert case["service_name"].encode().hex() == case["info_hash_hex"]
