import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from p2pcli.registry.bencode import encode
from p2pcli.registry.items import Item, ItemRefused, ItemStore


def of(case) -> Item:
    """The item of a captured vector."""
    return Item(
        case["v"].encode(),
        bytes.fromhex(case["k"]),
        bytes.fromhex(case["sig"]),
        case["seq"],
        case.get("salt", "").encode(),
    )


def plain(v):
    """A vector's JSON value as it is bencoded."""
    if isinstance(v, str):
        return v.encode()
    if isinstance(v, list):
        return [plain(item) for item in v]
    if isinstance(v, dict):
        return {key.encode(): plain(item) for key, item in v.items()}
    return v


def test_immutable_targets_are_those_of_real_grapes(vectors):
    for case in vectors["immutable_targets"]:
        assert encode(plain(case["v"])) == case["bencoded"].encode()
        assert Item(plain(case["v"])).target().hex() == case["target"]
    assert Item(b"Hello World!").target().hex() == vectors["bep44"]["signature_vectors"]["bep"]["immutable"]


def test_mutable_targets_signed_bytes_and_signatures_are_those_of_real_grapes(vectors):
    cases = vectors["bep44"]["signature_vectors"]["items"]
    for case in cases:
        item = of(case)
        assert item.signed_bytes() == case["signed_bytes"].encode()
        assert item.target().hex() == case["target"]
        assert item.is_signed()
    assert any("salt" in case for case in cases)


def test_the_examples_of_bep_44_hold(vectors):
    # Test 1 and 2 of BEP 44: the same key and value, without and with the salt "foobar".
    bep = vectors["bep44"]["signature_vectors"]["bep"]
    flows = {flow["name"]: flow for flow in vectors["bep44"]["flows_between_grapes_with_verify"]}
    first = of(flows["bep44 test1"]["data"])
    assert first.is_signed()
    assert first.target().hex() == bep["target1"]
    assert Item(first.v, first.k, first.sig, 1, b"foobar").target().hex() == bep["target2"]


@pytest.mark.parametrize(
    "change",
    [{"v": b"other"}, {"seq": 2}, {"salt": b"x"}, {"sig": b"\0" * 64}, {"sig": b""}, {"k": b"\0" * 32}],
)
def test_a_signature_covers_value_sequence_and_salt(vectors, change):
    case = vectors["bep44"]["signature_vectors"]["items"][0]
    fields = {
        "v": b"Hello World!",
        "k": bytes.fromhex(case["k"]),
        "sig": bytes.fromhex(case["sig"]),
        "seq": 1,
    }
    assert Item(**fields).is_signed()
    assert not Item(**{**fields, **change}).is_signed()


@given(st.binary(max_size=50), st.integers(0, 2**62), st.binary(max_size=64))
def test_what_is_signed_with_the_secret_key_is_accepted(v, seq, salt):
    secret = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
    item = Item(v, secret.public_key().public_bytes_raw(), b"", seq, salt)
    signed = Item(v, item.k, secret.sign(item.signed_bytes()), seq, salt)
    assert signed.is_signed()


def mutable(seq: int, v: bytes = b"v") -> Item:
    return Item(v, b"k" * 32, b"s" * 64, seq)


def test_a_mutable_item_is_replaced_by_a_newer_one_only():
    store = ItemStore(10)
    target = store.put(mutable(5))
    for seq in (4, 5):
        with pytest.raises(ItemRefused) as refused:
            store.put(mutable(seq, b"other"))
        assert refused.value.number == 302
    store.put(mutable(6, b"other"))
    assert store.get(target) == mutable(6, b"other")


def test_compare_and_swap_wants_the_stored_sequence():
    store = ItemStore(10)
    target = store.put(mutable(5), cas=99)  # nothing is stored yet, as in a real Grape
    with pytest.raises(ItemRefused) as refused:
        store.put(mutable(7), cas=4)
    assert refused.value.number == 301
    store.put(mutable(7), cas=5)
    assert store.get(target) == mutable(7)


def test_an_immutable_item_may_be_put_again():
    store = ItemStore(10)
    assert store.put(Item(b"x")) == store.put(Item(b"x"))
    assert len(store) == 1


def test_a_full_store_drops_the_least_recently_used():
    store = ItemStore(2)
    one, two = store.put(Item(b"1")), store.put(Item(b"2"))
    store.get(one)
    three = store.put(Item(b"3"))
    assert store.get(two) is None
    assert store.get(one) is not None
    assert store.get(three) is not None


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 900)), max_size=100))
def test_a_store_is_bounded_in_bytes(puts):
    store = ItemStore(1000, max_bytes=10_000)
    for number, size in puts:
        store.put(Item(b"%03d" % number + b"x" * size))
    assert sum(len(item.v) for item in store._items.values() if isinstance(item.v, bytes)) <= 10_000


def test_size_counts_a_text_itself_and_anything_else_encoded():
    assert Item(b"x" * 1000).fits()
    assert not Item(b"x" * 1001).fits()
    assert Item([b"x" * 900]).fits()
    assert not Item([1] * 400).fits()
