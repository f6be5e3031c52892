import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pcli.registry import http1
from p2pcli.registry.http1 import MAX_HEAD, MAX_SKIPPED, BadMessage, ReplyReader, RequestReader

LIMIT = 100
SIMPLE = b"POST /lookup HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"POST /lookup HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;ext=1\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: x\r\n\r\n"
)


def read_all(data: bytes, limit: int = LIMIT, pieces: list[int] | None = None) -> list[http1.Request]:
    """Feed ``data`` in pieces that end at the given places; return every request."""
    reader = RequestReader(limit)
    requests = []
    places = [0, *sorted(at for at in pieces or [] if at < len(data)), len(data)]
    for start, end in itertools.pairwise(places):
        reader.feed(data[start:end])
        while (request := reader.next()) is not None:
            requests.append(request)
    return requests


def refused(data: bytes, limit: int = LIMIT) -> int:
    with pytest.raises(BadMessage) as bad:
        read_all(data, limit)
    return bad.value.status


def test_a_request_is_read_with_its_headers_and_body():
    (request,) = read_all(SIMPLE)
    assert (request.method, request.target, request.body) == (b"POST", b"/lookup", b"hello")
    assert request.head.headers[b"host"] == b"a"
    assert request.head.keep_alive


def test_a_chunked_body_is_put_together():
    (request,) = read_all(CHUNKED)
    assert request.body == b"hello"


@given(
    st.lists(st.sampled_from([SIMPLE, CHUNKED, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"]), max_size=4),
    st.lists(st.integers(0, 400)),
)
def test_requests_are_the_same_in_whatever_pieces_they_arrive(requests, pieces):
    data = b"".join(requests)
    whole, torn = read_all(data), read_all(data, pieces=pieces)
    assert [one.body for one in whole] == [one.body for one in torn]
    assert len(torn) == len(requests)


@pytest.mark.parametrize("data", [SIMPLE, CHUNKED])
def test_a_request_that_has_not_wholly_arrived_is_none(data):
    for length in range(len(data)):
        reader = RequestReader(LIMIT)
        reader.feed(data[:length])
        assert reader.next() is None
        assert reader.idle == (length == 0)


def head(*lines: str, start: str = "POST / HTTP/1.1") -> bytes:
    return "\r\n".join([start, *lines, "", ""]).encode("latin-1")


@pytest.mark.parametrize(
    "data",
    [
        head("Content-Length: 5", "Content-Length: 5"),
        head("Content-Length: 5", "Content-Length: 6"),
        head("Content-Length: 5", "Transfer-Encoding: chunked"),
        head("Transfer-Encoding: chunked", "Content-Length: 5"),
        head("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        head("Transfer-Encoding: gzip, chunked"),
        head("Transfer-Encoding: identity"),
        head("Transfer-Encoding:"),
        head("Content-Length: +5"),
        head("Content-Length: 1_0"),
        head("Content-Length: -1"),
        head("Content-Length: 0x5"),
        head("Content-Length: 5, 5"),
        head("Content-Length:"),
        head("Content-Length: \u00b2"),
        head("Content-Length: " + "9" * 30),
        head("Content-Length : 5"),
        head("Content-Length: 5", " folded"),
        head("Host: a", "Host: b"),
        head("No colon"),
        head(": no name"),
        head("Na me: x"),
        head("Name: \x00"),
        head("Name: x\ry"),
        head("Name: x\ny: z"),
        head(start="POST / HTTP/2.0"),
        head(start="POST / HTTP/1.1 "),
        head(start="POST  / HTTP/1.1"),
        head(start="POST /a b HTTP/1.1"),
        head(start="POST /\u00e9 HTTP/1.1"),
        head(start="GET /"),
        head(start="PO(ST / HTTP/1.1"),
        head(start=" POST / HTTP/1.1"),
        head(start="\x16\x03\x01\x02\x00\x01"),
        b"POST / HTTP/1.1\nHost: a\n\n" + b"x" * 20 + b"\r\n\r\n",
    ],
)
def test_what_two_programs_could_read_differently_is_refused(data):
    assert refused(data) == 400


@pytest.mark.parametrize(
    "body",
    [
        b"5\r\nhello\r\n0\r\nbad trailer\r\n\r\n",
        b"5\r\nhelloX\r\n0\r\n\r\n",
        b"-1\r\nx\r\n",
        b"+5\r\nhello\r\n",
        b"0x5\r\nhello\r\n",
        b"1_0\r\nhellohello\r\n",
        b" 5\r\nhello\r\n",
        b"\r\n\r\n",
        b"g\r\n",
        b"fffffffff\r\n",
        b"5" + b" " * 100 + b"\r\nhello",
        b"5;" + b"x" * 100,
        b"5\nhello\n0\n\n" + b"x" * 100,
        b"0\r\n" + b"T: x\r\n" * 3000,
    ],
)
def test_chunks_that_are_none_are_refused(body):
    assert refused(head("Transfer-Encoding: chunked") + body) in (400, 413)


def test_heads_are_bounded():
    assert refused(b"POST / HTTP/1.1\r\n" + b"x" * MAX_HEAD) == 431
    assert refused(head(*[f"X{number}: y" for number in range(http1.MAX_HEADERS)])) == 431
    assert read_all(head("X: " + "y" * (MAX_HEAD - 30)))


def test_expectations_other_than_continue_are_refused():
    assert refused(head("Expect: miracles")) == 417


def test_a_client_that_asks_is_told_to_go_on_once_while_its_body_is_missing():
    data = head("Expect: 100-Continue", "Content-Length: 5")
    reader = RequestReader(LIMIT)
    reader.feed(data)
    assert reader.next() is None
    assert reader.wants_continue()
    assert not reader.wants_continue()
    reader.feed(b"hello")
    request = reader.next()
    assert request is not None
    assert request.body == b"hello"


@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT, LIMIT + 1, 5_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_dropped_and_the_next_request_still_read(size, chunked):
    if chunked:
        first = head("Transfer-Encoding: chunked") + b"7\r\n1234567\r\n" * (size // 7)
        first += (b"%x\r\n" % (size % 7) + b"x" * (size % 7) + b"\r\n" if size % 7 else b"") + b"0\r\n\r\n"
    else:
        first = head(f"Content-Length: {size}") + b"x" * size
    for pieces in ([], list(range(0, len(first), 50))):
        one, two = read_all(first + SIMPLE, pieces=pieces)
        assert one.too_large == (size > LIMIT)
        assert (one.body == b"") == one.too_large
        assert two.body == b"hello"


def test_an_oversize_body_is_announced_before_it_has_arrived_and_never_held():
    reader = RequestReader(LIMIT)
    reader.feed(head("Content-Length: 100000"))
    request = reader.next()
    assert request is not None
    assert request.too_large
    for _ in range(100):
        reader.feed(b"x" * 1000)
        assert reader.next() is None
        assert len(reader) == 0


def test_bodies_too_long_even_to_skip_end_the_connection():
    assert refused(head(f"Content-Length: {LIMIT + MAX_SKIPPED + 1}")) == 413
    data = head("Transfer-Encoding: chunked") + (b"fff\r\n" + b"x" * 0xFFF + b"\r\n") * 300
    assert refused(data) == 413


@pytest.mark.parametrize(
    ("start", "connection", "kept"),
    [
        ("GET / HTTP/1.1", "", True),
        ("GET / HTTP/1.1", "Connection: keep-alive", True),
        ("GET / HTTP/1.1", "Connection: close", False),
        ("GET / HTTP/1.1", "Connection: TE, Close", False),
        ("GET / HTTP/1.1", "Connection: Upgrade", True),
        ("GET / HTTP/1.0", "", False),
        ("GET / HTTP/1.0", "Connection: Keep-Alive", True),
    ],
)
def test_who_keeps_the_connection(start, connection, kept):
    (request,) = read_all(head(*([connection] if connection else []), start=start))
    assert request.head.keep_alive is kept


def test_empty_lines_before_a_request_are_ignored():
    assert len(read_all(b"\r\n\r\n" + SIMPLE + b"\r\n" + SIMPLE)) == 2


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_any_bytes_are_requests_or_a_bad_message(data, pieces):
    try:
        read_all(data, pieces=pieces)
    except BadMessage:
        pass


LINES = (
    *(b"POST / HTTP/1.1", b"GET / HTTP/1.0", b"Host: a", b"Content-Length: 3", b"Content-Length: 300"),
    *(b"Transfer-Encoding: chunked", b"Expect: 100-continue", b"Connection: close", b"abc", b"0", b"3"),
    *(b"fff", b"", b""),
)


@given(st.lists(st.sampled_from(LINES), max_size=20))
def test_lines_of_http_in_any_order_are_requests_or_a_bad_message(lines):
    try:
        read_all(b"\r\n".join(lines) + b"\r\n")
    except BadMessage:
        pass


# -- replies --------------------------------------------------------------------------------------------


def test_our_replies_are_formed_like_those_of_a_grape(vectors):
    case = next(case for case in vectors["rpc_http_link_traffic"] if case["from"] == 30001)
    raw = case["raw"].encode()
    date = raw.split(b"Date: ")[1].split(b"\r\n")[0]
    assert http1.reply_bytes(200, date, 5, b"1") == raw


@given(st.binary(max_size=200), st.lists(st.integers(0, 400)), st.booleans())
def test_a_reply_of_ours_is_read_back(body, pieces, keep):
    data = http1.reply_bytes(200, b"today", 5 if keep else 0, body)
    reader = ReplyReader(1000)
    places = [0, *sorted(at for at in pieces if at < len(data)), len(data)]
    reply = None
    for start, end in itertools.pairwise(places):
        reply = reader.feed(data[start:end])
    assert reply is not None
    assert (reply.status, reply.body, reply.keep_alive) == (200, body, keep)


def test_a_chunked_reply_is_read():
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    reply = ReplyReader(1000).feed(data)
    assert reply is not None
    assert reply.body == b"hello"


@given(st.binary(max_size=100))
def test_any_bytes_are_a_reply_or_a_bad_message(data):
    try:
        ReplyReader(100).feed(b"HTTP/1.1 " + data)
    except BadMessage:
        pass


def test_replies_are_bounded():
    for data in (b"x" * (MAX_HEAD + 10), b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n" + b"x" * 101):
        with pytest.raises(BadMessage):
            ReplyReader(100).feed(data)


def test_a_request_of_ours_is_read_by_ours():
    (request,) = read_all(http1.request_bytes("127.0.0.1:30001", "/lookup", b"hello"))
    assert (request.target, request.body, request.head.headers[b"host"]) == (
        b"/lookup",
        b"hello",
        b"127.0.0.1:30001",
    )
