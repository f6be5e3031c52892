import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pcli.registry import grape
from p2pcli.registry.grape import Refused
from p2pcli.registry.items import Item
from p2pcli.registry.operations import (
    Announce,
    Announced,
    Failed,
    Find,
    Found,
    Get,
    Kept,
    Peers,
    Put,
    Unknown,
)


def read(target: str, data: object) -> object:
    return grape.read(target.encode(), json.dumps({"rid": "1", "data": data}).encode(), 20001)


def refusal(target: str, body: bytes) -> tuple[int, bytes]:
    with pytest.raises(Refused) as refused:
        grape.read(target.encode(), body, 20001)
    return refused.value.status, refused.value.body


def test_a_name_is_its_own_utf8():
    assert read("/lookup", "rest:util:net") == Find(b"rest:util:net")
    assert read("/lookup", "é中") == Find(bytes.fromhex("c3a9e4b8ad"))
    assert read("/lookup", "n" * 1500) == Find(b"n" * 1500)


@pytest.mark.parametrize("path", ["/lookup", "/_lookup", "/-lookup", "/Lookup", "/lookup_"])
def test_paths_that_a_grape_takes_for_lookup(path):
    assert read(path, "svc") == Find(b"svc")


@pytest.mark.parametrize(
    "path",
    ["/", "/nope", "/LOOKUP", "/lookup/", "/lookup?x=1", "//lookup", "/look-up", "/loökup", "lookup", "*"],
)
def test_paths_that_a_grape_does_not_know(path):
    assert refusal(path, b'{"data":"svc"}') == (200, b'"ERR_REQ_NOTFOUND"')


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"garbage",
        b"{",
        b"NaN",
        b"[Infinity]",
        b"\xef\xbb\xbf{}",
        b"'x'",
        b"[" * 8000,
        b"1" * 5000,
        b"{} {}",
    ],
)
def test_what_is_not_json_is_refused_with_500(body):
    assert refusal("/lookup", body) == (500, b"ERR_GRAPE_PAYLOAD_INVALID")


def test_bytes_that_are_not_utf8_are_replaced_as_in_javascript():
    assert grape.read(b"/lookup", b'{"data":"\xff"}', 1) == Find(b"\xef\xbf\xbd")
    assert grape.read(b"/lookup", b'{"data":"\\ud800x"}', 1) == Find(b"\xef\xbf\xbdx")


def test_the_port_of_a_service_may_be_a_whole_float_and_zero_means_our_own():
    assert read("/announce", ["svc", 13.0]) == Announce(b"svc", 13)
    assert read("/announce", ["svc", 0]) == Announce(b"svc", 20001)
    assert read("/announce", ["svc", 1e20]) == Announce(b"svc", 10**20)
    assert read("/announce", ["svc", 1337, {"more": "ignored"}]) == Announce(b"svc", 1337)


@pytest.mark.parametrize("port", ["1337", 13.5, None, True, [], {}])
def test_a_port_that_is_no_integer_is_refused(port):
    body = json.dumps({"data": ["svc", port]}).encode()
    assert refusal("/announce", body) == (200, b'"ERR_GRAPE_SERVICE_PORT"')


def test_numbers_beyond_every_float_are_no_ports():
    assert refusal("/announce", b'{"data":["svc",1e999]}') == (200, b'"ERR_GRAPE_SERVICE_PORT"')


def test_names_of_other_types_are_what_buffer_from_makes_of_them():
    assert read("/announce", [[1, 258, -1, 1.9, "a", None], 1]) == Announce(b"\x01\x02\xff\x01\0\0", 1)
    assert read("/announce", [{"type": "Buffer", "data": [115, 118, 99]}, 1]) == Announce(b"svc", 1)
    status, body = refusal("/announce", b'{"data":[{"a":1},1]}')
    assert status == 500
    assert body.endswith(b"Received an instance of Object")


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1e308", "123456789012345678901234567890"])
def test_no_number_crashes_any_request(number):
    for data in (
        "%s",
        "[%s,%s]",
        '[["x",%s],1]',
        '{"v":%s}',
        '{"v":[%s]}',
        '{"v":"x","k":"%s","seq":%s,"cas":%s}',
    ):
        body = ('{"data":' + data.replace("%s", number) + "}").encode()
        for path in (b"/lookup", b"/announce", b"/put", b"/get"):
            try:
                grape.read(path, body, 1)
            except Refused:
                pass


def test_values_are_bencoded_as_a_grape_does():
    assert read("/put", "hello") == Put(Item(b"hello"))
    assert read("/put", {"v": {"b": 1, "a": ["x", None], "c": None}}) == Put(Item({b"a": [b"x"], b"b": 1}))
    assert read("/put", {"v": True}) == Put(Item(True))
    assert read("/put", {"v": 5.7}) == Put(Item(5))


@pytest.mark.parametrize(
    "v",
    [
        "x" * 1000,
        "中" * 999,
        [1] * 1000,
        [1] * 400,
        {"a": "x" * 1000},
        2**63,
        [[2**70]],
        json.loads("[" * 90 + "]" * 90),
    ],
)
def test_values_that_no_member_would_keep_are_refused_here(v):
    status, body = refusal("/put", json.dumps({"data": {"v": v}}).encode())
    assert status == 200
    assert json.loads(body)


KEY, SIG = "11" * 32, "22" * 64
MUTABLE = {"v": "x", "k": KEY, "sig": SIG, "seq": 1}


def test_a_mutable_item_is_read_with_all_its_fields():
    item = Item(b"x", bytes.fromhex(KEY), bytes.fromhex(SIG), 1, b"foobar")
    assert read("/put", {**MUTABLE, "salt": "foobar", "cas": 0}) == Put(item, 0)
    as_bytes = {"k": json.dumps([0x11] * 32), "sig": {"type": "Buffer", "data": [0x22] * 64}, "salt": [102]}
    assert read("/put", {**MUTABLE, **as_bytes}) == Put(Item(b"x", item.k, item.sig, 1, b"f"))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"v": None}, "Cannot read properties of null (reading 'length')"),
        ({"cas": "a", "k": "1111"}, "opts.cas must be an integer if provided"),
        ({"cas": None}, "opts.cas must be an integer if provided"),
        ({"k": "1111", "sig": ""}, "opts.k ed25519 public key must be 32 bytes"),
        (
            {"sig": "", "salt": "s" * 65},
            "opts.sign function or options.sig signature is required for mutable put",
        ),
        ({"salt": "s" * 65, "seq": "1"}, "opts.salt is > 64 bytes long"),
        ({"seq": "1"}, "opts.seq not an integer"),
        ({"seq": None}, "opts.seq not an integer"),
        ({"seq": 1.5}, "opts.seq not an integer"),
        ({"seq": -1}, "opts.seq not an integer"),
        ({"seq": True}, "opts.seq not an integer"),
    ],
)
def test_the_first_wrong_argument_of_a_put_is_named(change, text):
    status, body = refusal("/put", json.dumps({"data": {**MUTABLE, **change}}).encode())
    assert (status, json.loads(body)) == (200, text)


def test_a_hash_may_be_hex_digits_or_a_byte_array():
    target = bytes.fromhex("6d33adc2b6b2c14c3036feefb7fedbca1a880527")
    assert read("/get", target.hex()) == Get(target)
    assert read("/get", target.hex().upper()) == Get(target)
    assert read("/get", json.dumps(list(target))) == Get(target)
    assert read("/get", {"hash": target.hex(), "salt": "foobar", "cache": False}) == Get(
        target, b"foobar", False
    )
    assert read("/get", "abc") == Get(b"\xab")
    assert read("/get", "zzzz") == Get(b"")  # kills a real Grape


@pytest.mark.parametrize("data", [5, True, [], {}, {"hash": 5}, {"hash": ["6d"]}])
def test_a_get_of_something_else_is_a_generic_error(data):
    assert refusal("/get", json.dumps({"data": data}).encode()) == (200, b'"ERR_GRAPE_GENERIC"')


ITEM = Item(b"x", b"k" * 32, b"s" * 64, 3, b"salt", sender=b"\x05" * 20)


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (Peers([]), 200, []),
        (Peers([("127.0.0.1", 1), ("10.0.0.1", 65535)]), 200, ["127.0.0.1:1", "10.0.0.1:65535"]),
        (Announced(3), 200, 3),
        (Kept(b"\xab" * 20), 200, "ab" * 20),
        (Failed("No nodes to query"), 200, "No nodes to query"),
        (
            Failed("301 CAS mismatch, re-read and try again", 301),
            301,
            "301 CAS mismatch, re-read and try again",
        ),
        (
            Found(Item([1, [b"a", True], {}]), b"\1" * 20, None),
            200,
            {"id": "01" * 20, "token": None, "v": "1,a,true,[object Object]"},
        ),
        (Found(Item(b"\xff"), b"\1" * 20, b"\2"), 200, {"id": "01" * 20, "token": "02", "v": "\ufffd"}),
        (
            Found(ITEM, b"\1" * 20, b"\2"),
            200,
            {
                "id": "01" * 20,
                "k": "6b" * 32,
                "seq": 3,
                "sig": "73" * 64,
                "token": "02",
                "v": "x",
                "salt": "salt",
            },
        ),
        (
            Found(ITEM, b"\1" * 20, None),
            200,
            {"id": "01" * 20, "token": None, "v": "x", "k": "6b" * 32, "seq": 3, "sig": "73" * 64},
        ),
    ],
)
def test_answers_are_said_as_a_grape_says_them(answer, status, body):
    got_status, got_body = grape.say(answer)
    assert got_status == status
    assert json.loads(got_body) == body


def test_an_unknown_item_is_an_empty_body():
    assert grape.say(Unknown()) == (200, b"")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=10,
)
FIELD_NAMES = st.sampled_from(
    ["v", "k", "sig", "seq", "salt", "cas", "hash", "cache", "type", "data", "length"]
)


@given(st.sampled_from(["/lookup", "/announce", "/put", "/get"]), JSON | st.dictionaries(FIELD_NAMES, JSON))
def test_any_json_is_a_request_or_is_refused(path, data):
    try:
        read(path, data)
    except Refused:
        pass


@given(st.binary(max_size=40), st.binary(max_size=60))
def test_any_bytes_are_a_request_or_are_refused(target, body):
    try:
        grape.read(target, body, 1)
    except Refused:
        pass
