"""Grenache's arrays: what real clients send is read, and every answer is an array."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pcli.grenache.envelope import (
    MAX_BODY,
    BadCall,
    call_bytes,
    parse_call,
    parse_reply,
    reply_bytes,
)


def test_a_call_is_read_as_it_was_sent():
    call = parse_call(b'["59933b7b","rpc_http",{"side":"buy"}]', {b"grc-compress": b"none"})
    assert (call.rid, call.key, call.payload, call.is_compressed) == (
        "59933b7b",
        "rpc_http",
        {"side": "buy"},
        False,
    )


def test_a_fourth_element_is_ignored_and_missing_ones_are_null():
    assert parse_call(b"[1,2,3,4]", {}).payload == 3
    assert parse_call(b'["r"]', {}).payload is None


def test_any_other_json_is_handled_with_a_null_rid():
    assert parse_call(b'{"a":1}', {}).rid is None


@pytest.mark.parametrize(
    "body", [b"", b"null", b"false", b"0", b"garbage", b"\xff\xfe", b"[" * 100_000, b"[1,2"]
)
def test_what_cannot_be_read_is_answered_with_an_error(body):
    with pytest.raises(BadCall, match="ERR_REQUEST_GENERIC"):
        parse_call(body, {})


def test_a_header_overrides_rid_and_key():
    call = parse_call(b'["a","b","c"]', {b"_gr": b'["rid","key"]'})
    assert (call.rid, call.key, call.payload) == ("rid", "key", "c")
    with pytest.raises(BadCall, match="ERR_HEADER_PARSE_GR"):
        parse_call(b'["a","b","c"]', {b"_gr": b"{"})


def test_gzip_goes_both_ways_and_a_body_that_is_none_is_left_as_it_is():
    zipped = parse_call(gzip.compress(b'["r","k",1]'), {b"grc-compress": b"gzip"})
    assert (zipped.payload, zipped.is_compressed) == (1, True)
    assert json.loads(gzip.decompress(reply_bytes("r", None, 2, is_compressed=True))) == ["r", None, 2]
    assert parse_call(b'["r","k",1]', {b"grc-compress": b"gzip"}).payload == 1


def test_a_gzip_bomb_is_refused_before_it_unfolds():
    bomb = gzip.compress(bytes(50 * MAX_BODY))
    with pytest.raises(BadCall, match=f"more than {MAX_BODY} bytes"):
        parse_call(bomb, {b"grc-compress": b"gzip"})


@given(
    st.recursive(
        st.none() | st.integers(-(2**53), 2**53) | st.text(), lambda inner: st.lists(inner, max_size=3)
    )
)
def test_a_reply_gives_the_result_back(result):
    assert parse_reply(reply_bytes("r", None, result, is_compressed=False), "r") == result


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'["r","ERR_SOMETHING",null]', "ERR_SOMETHING"),
        (b'["r",{"a":1},null]', '{"a":1}'),
        (b'["other",null,1]', "ERR_TIMEOUT"),
        (b"", "ERR_REPLY_EMPTY"),
        (b"null", "ERR_REPLY_EMPTY"),
        (b"{}", "ERR_REPLY_EMPTY"),
        (b"oops", "ERR_REPLY_EMPTY"),
    ],
)
def test_a_bad_reply_is_grenaches_own_error(body, error):
    with pytest.raises(BadCall) as caught:
        parse_reply(body, "r")
    assert caught.value.error == error


def test_a_rid_alone_is_a_success_without_a_result():
    assert parse_reply(b'["r"]', "r") is None


def test_a_call_is_three_elements():
    assert json.loads(call_bytes("r", "k", {"a": "1"})) == ["r", "k", {"a": "1"}]


@given(st.binary(max_size=80), st.sampled_from([{}, {b"grc-compress": b"gzip"}, {b"_gr": b"[]"}]))
def test_garbage_is_a_call_or_a_bad_call(body, headers):
    try:
        parse_call(body, headers)
    except BadCall:
        pass
