import random

from hypothesis import given
from hypothesis import strategies as st

from p2pcli.registry import announced
from p2pcli.registry.announced import Announced

ONE, TWO = b"\x7f\0\0\1\0\1", b"\x7f\0\0\1\0\2"


def test_an_address_is_found_for_two_to_four_thirds_of_the_age():
    for offset in range(120):
        store = Announced(120, 100, now=0)
        store.add(b"svc", ONE, now=offset)
        life = next(s for s in range(400) if not store_at(store, offset + s))
        assert 80 <= life <= 160


def store_at(store, now):
    return store.get(b"svc", now)


def test_announcing_again_keeps_an_address_alive():
    store = Announced(120, 100, now=0)
    for now in range(0, 1_000, 79):
        store.add(b"svc", ONE, now)
        assert store.get(b"svc", now + 78) == [ONE]


def test_an_address_announced_twice_is_found_once():
    store = Announced(120, 100, now=0)
    store.add(b"svc", ONE, now=0)
    store.add(b"svc", ONE, now=81)
    store.add(b"svc", TWO, now=82)
    assert sorted(store.get(b"svc", 83)) == [ONE, TWO]


def test_a_long_silence_forgets_everything():
    store = Announced(120, 100, now=0)
    store.add(b"svc", ONE, now=0)
    assert store.get(b"svc", 100_000) == []
    assert len(store) == 0


def test_a_sample_is_of_the_size_asked_for_and_random():
    store = Announced(120, 1_000, now=0)
    peers = [number.to_bytes(6, "big") for number in range(300)]
    for peer in peers:
        store.add(b"svc", peer, now=0)
    one = store.sample(b"svc", 100, random.Random(1), 1)
    other = store.sample(b"svc", 100, random.Random(2), 1)
    assert len(set(one)) == len(set(other)) == 100
    assert set(one) <= set(peers)
    assert set(one) != set(other)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), max_size=200))
def test_memory_is_bounded_by_addresses_and_the_newest_stay(adds):
    store = Announced(120, 10, now=0)
    for name, peer in adds:
        store.add(b"%d" % name, b"%06d" % peer, now=0)
        assert b"%06d" % peer in store.get(b"%d" % name, 0)
    assert len(store) <= 22


def test_memory_is_bounded_by_bytes_when_names_are_long(monkeypatch):
    monkeypatch.setattr(announced, "MAX_BYTES", 100_000)
    store = Announced(120, 10**6, now=0)
    for number in range(1_000):
        store.add(b"%08d" % number * 1000, ONE, now=0)
    assert len(store) < 30
    assert store.get(b"%08d" % 999 * 1000, 0) == [ONE]
