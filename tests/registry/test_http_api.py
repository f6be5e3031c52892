"""The HTTP API over real sockets: the captured requests to real Grapes, and clients that behave badly."""

import json
import os
import resource
import select
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from members import SpawnedMember

from p2pcli.registry import http_api

TIMEOUT_S = 20.0


class Raw:
    """A client that sends bytes as they are and reads replies."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection((host, port), TIMEOUT_S)
        self._data = b""

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def reply(self, head_only: bool = False) -> tuple[int, list[str], bytes]:
        """Return status, header lines and body of the next reply."""
        while b"\r\n\r\n" not in self._data:
            self._more()
        head, _, self._data = self._data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        length = next((int(line[16:]) for line in lines if line.startswith("Content-Length: ")), 0)
        while len(self._data) < length and not head_only:
            self._more()
        body, self._data = self._data[:length], self._data[length:]
        return int(first.split(" ")[1]), lines, body

    def ended(self) -> bool:
        """Wait until the other side closes; True when it said nothing more."""
        while True:
            try:
                data = self.socket.recv(65_536)
            except ConnectionResetError:
                return not self._data
            if not data:
                return not self._data
            self._data += data

    def _more(self) -> None:
        data = self.socket.recv(65_536)
        assert data, f"the connection ended after {self._data!r}"
        self._data += data


def request(
    path: str, data: object = None, *headers: str, method: str = "POST", body: bytes | None = None
) -> bytes:
    body = json.dumps({"rid": "1", "data": data}).encode() if body is None else body
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: 127.0.0.1:30001",
        f"Content-Length: {len(body)}",
        *headers,
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + body


def ask(port: int, path: str, data: object, *headers: str) -> tuple[int, bytes]:
    with Raw(port) as raw:
        raw.send(request(path, data, *headers))
        status, _, body = raw.reply()
        return status, body


# -- what real Grapes were seen to answer ---------------------------------------------------------------

DEFAULT = "default_cli_1.0.0 (no limits: body size and peer age unlimited)"
LIMITED = "with --check_maxPayloadSize 8192 --dpa 120000 (only the differing cases)"
# The Grape had been restarted by then, after /get of "zzzz" had killed it: its own copy was lost.
LOST_ITS_COPY = {"get 40-hex JSON array"}


@pytest.fixture
def ring(start):
    one = start(keep_own=False)
    other = start(keep_own=False, bootstrap=(one.dht,))
    return {"A": one, "B": other}


def whole_body(case) -> bytes:
    """Return the body of a captured request; long ones are written down in short."""
    label, body = case["label"], case["body"]
    if not body.endswith("bytes)"):
        return body.encode("latin-1") if all(ord(character) < 256 for character in body) else body.encode()
    rid = "11111111-2222-4333-8444-555555555555"
    match label.split():
        case ["payload", "size", size]:
            empty = json.dumps({"rid": rid, "data": ""})
            return json.dumps({"rid": rid, "data": "y" * (int(size) - len(empty))}).encode()
        case ["put", size]:
            data: object = {"v": "v" * int(size)}
        case ["announce", *_]:
            data = ["n" * 1500, 4002]
        case _:
            data = "n" * 1500
    text = json.dumps({"rid": rid, "data": data}, separators=(",", ":"))
    assert f"...({len(text)} bytes)" in body
    return text.encode()


def test_every_captured_request_gets_the_captured_answer(vectors, ring):
    limited = {case["label"]: case for case in vectors["http_api"][LIMITED]}
    cases = [limited.get(case["label"], case) for case in vectors["http_api"][DEFAULT]]
    asked = 0
    for case in cases:
        label = case["label"]
        if "response_raw" in case:
            continue  # the next test
        member = ring[case["api"]]
        with Raw(member.http_port) as raw:
            raw.send(
                request(case["path"], None, "Connection: close", method=case["method"], body=whole_body(case))
            )
            status, headers, body = raw.reply(head_only=case["method"] == "HEAD")
            assert raw.ended()
        asked += 1
        if "SHED" in case["status"]:
            assert (status, body) == (200, b"")  # this killed the Grape
            continue
        assert status == int(case["status"].split(" ")[1]), label
        assert [line.split(":")[0] for line in headers] == [line.split(":")[0] for line in case["headers"]], (
            label
        )
        assert_same(case, body, ring)
    assert asked > 130


def assert_same(case, body: bytes, ring) -> None:
    label, expected, got = case["label"], case["response"], body.decode()
    try:
        expected, got = json.loads(expected), json.loads(got)
    except ValueError:
        pass
    if isinstance(expected, list):
        ours = f"127.0.0.1:{ring['A'].dht_port}"
        expected = sorted(ours if address == "127.0.0.1:20001" else address for address in expected)
        got = sorted(got)
    if isinstance(expected, dict):
        assert (got["token"] is None) == (expected["token"] is None) or label in LOST_ITS_COPY
        assert (got["id"] == ring[case["api"]].where["id"]) == (got["token"] is None)
        assert got.keys() == expected.keys()
        expected, got = expected["v"], got["v"]
    assert got == expected, label


HELLO = b'{"rid":"1","data":"svc"}'


def test_captured_ways_of_http_are_understood(vectors, ring):
    port = ring["A"].http_port
    ask(port, "/announce", ["svc", 1337])
    answer = b'["127.0.0.1:1337"]'
    labels = {case["label"] for case in vectors["http_api"][DEFAULT] if "response_raw" in case}
    assert labels == {
        "chunked request body",
        "HTTP/1.0 request",
        "HTTP/1.1 without Host",
        "keep-alive request",
        "body shorter than content-length then FIN",
        "20000-byte body",
        "chunked too large",
        "Expect: 100-continue",
        "two pipelined requests",
    }
    with Raw(port) as raw:  # chunked request body
        raw.send(b"POST /lookup HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        raw.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(HELLO), HELLO))
        assert raw.reply()[::2] == (200, answer)
    with Raw(port) as raw:  # HTTP/1.0 request
        raw.send(b"POST /lookup HTTP/1.0\r\nContent-Length: %d\r\n\r\n%b" % (len(HELLO), HELLO))
        status, headers, body = raw.reply()
        assert (status, body) == (200, answer)
        assert "Connection: close" in headers
        assert raw.ended()
    with Raw(port) as raw:  # HTTP/1.1 without Host
        raw.send(b"POST /lookup HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(HELLO), HELLO))
        status, headers, _ = raw.reply()
        assert status == 400
        assert "Connection: close" in headers
        assert raw.ended()
    with Raw(port) as raw:  # keep-alive request
        for _ in range(3):
            raw.send(request("/lookup", "svc"))
            status, headers, body = raw.reply()
            assert (status, body) == (200, answer)
            assert "Connection: keep-alive" in headers
            assert "Keep-Alive: timeout=5" in headers
    with Raw(port) as raw:  # body shorter than content-length then FIN
        raw.send(b"POST /lookup HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n{")
        raw.socket.shutdown(socket.SHUT_WR)
        assert raw.reply()[0] == 400
    with Raw(port) as raw:  # Expect: 100-continue
        raw.send(b"POST /lookup HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 24\r\n\r\n")
        assert raw.reply()[0] == 100
        raw.send(HELLO)
        assert raw.reply()[::2] == (200, answer)
    with Raw(port) as raw:  # two pipelined requests
        raw.send(request("/lookup", "svc") * 2)
        assert raw.reply()[::2] == raw.reply()[::2] == (200, answer)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_too_large_is_refused_and_the_connection_goes_on(ring, chunked):
    with Raw(ring["A"].http_port) as raw:
        if chunked:
            raw.send(b"POST /lookup HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            raw.send(b"7d0\r\n" + b"x" * 2000 + b"\r\n")
            raw.send((b"7d0\r\n" + b"x" * 2000 + b"\r\n") * 9 + b"0\r\n\r\n")
        else:
            raw.send(request("/lookup", body=b"x" * 20_000))
        status, headers, body = raw.reply()
        assert (status, body) == (413, b"ERR_GRAPE_PAYLOAD_SIZE")
        assert "Connection: keep-alive" in headers
        raw.send(request("/lookup", "nobody"))
        assert raw.reply()[::2] == (200, b"[]")


# -- clients that behave badly --------------------------------------------------------------------------


@pytest.fixture
def member(start):
    return start()


def test_many_pipelined_requests_are_answered_in_order(member):
    count = 1_500
    with Raw(member.http_port) as raw:
        sent = b"".join(request("/nope" if at % 3 else "/lookup", f"svc{at}") for at in range(count))
        raw.socket.setblocking(False)
        answers = []
        while len(answers) < count:
            if sent:
                _, writable, _ = select.select([], [raw.socket], [], 0.01)
                if writable:
                    sent = sent[raw.socket.send(sent[:65_536]) :]
                    continue
            raw.socket.setblocking(True)
            raw.socket.settimeout(TIMEOUT_S)
            answers.append(raw.reply()[2])
            raw.socket.setblocking(False)
    assert answers == [b'"ERR_REQ_NOTFOUND"' if at % 3 else b"[]" for at in range(count)]


def test_requests_that_were_garbage_end_their_connection_only(member):
    for data in (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"x" * 20_000, b"GET / HTTP/9.9\r\n\r\n"):
        with Raw(member.http_port) as raw:
            raw.send(data)
            assert raw.reply()[0] in (400, 431)
            assert raw.ended()
    assert ask(member.http_port, "/lookup", "svc") == (200, b"[]")


@pytest.mark.parametrize(
    ("header", "body"),
    [
        ("Host: evil.example", b"ERR_GRAPE_FORBIDDEN_HOST"),
        ("Origin: http://evil.example", b"ERR_GRAPE_FORBIDDEN_ORIGIN"),
        ("Origin: null", b"ERR_GRAPE_FORBIDDEN_ORIGIN"),
    ],
)
def test_pages_of_others_are_refused_and_nothing_is_done(member, header, body):
    asked = request("/announce", ["svc", 1337])
    if header.startswith("Host"):
        asked = asked.replace(b"Host: 127.0.0.1:30001", header.encode())
    else:
        asked = asked.replace(b"\r\n\r\n", b"\r\n" + header.encode() + b"\r\n\r\n", 1)
    with Raw(member.http_port) as raw:
        raw.send(asked)
        assert raw.reply()[::2] == (403, body)
    assert ask(member.http_port, "/lookup", "svc") == (200, b"[]")


def test_names_the_owner_lists_are_let_in(start):
    port = start(allowed_hosts=("Grape.example.org",)).http_port
    with Raw(port) as raw:
        raw.send(request("/lookup", "svc").replace(b"127.0.0.1:30001", b"grape.example.org:30001"))
        assert raw.reply()[0] == 200


def test_a_client_that_drips_its_request_is_cut_off(start, monkeypatch):
    monkeypatch.setattr(http_api, "_REQUEST_S", 0.2)
    monkeypatch.setattr(http_api, "_SWEEP_S", 0.05)
    with Raw(start().http_port) as raw:
        for byte in request("/lookup", "svc")[:-1]:
            try:
                raw.send(bytes([byte]))
            except OSError:
                break  # cut off already
            if select.select([raw.socket], [], [], 0.05)[0]:
                break
        assert raw.reply()[0] == 408
        assert raw.ended()


def test_idle_connections_are_closed_in_the_end(start, monkeypatch):
    monkeypatch.setattr(http_api, "_IDLE_S", 0.1)
    monkeypatch.setattr(http_api, "_REQUEST_S", 0.1)
    monkeypatch.setattr(http_api, "_SWEEP_S", 0.05)
    port = start().http_port
    with Raw(port) as never_used, Raw(port) as used:
        used.send(request("/lookup", "svc"))
        used.reply()
        assert used.ended()
        assert never_used.ended()


def test_a_full_house_makes_room_by_closing_the_idlest(start):
    port = start(max_connections=5).http_port
    raws = [Raw(port) for _ in range(5)]
    for raw in raws:
        raw.send(request("/lookup", "svc"))
        raw.reply()
    with Raw(port) as newcomer:
        newcomer.send(request("/lookup", "svc"))
        assert newcomer.reply()[0] == 200
    assert raws[0].ended()
    for raw in raws[1:]:
        raw.send(request("/lookup", "svc"))
        assert raw.reply()[0] == 200
    for raw in raws:
        raw.socket.close()


def test_a_client_that_does_not_read_stalls_nobody_else(member):
    for port in range(1, 101):
        ask(member.http_port, "/announce", ["svc", port])
    with Raw(member.http_port) as greedy:
        greedy.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        greedy.socket.setblocking(False)
        asked, total = request("/lookup", "svc") * 50, 0
        deadline = time.monotonic() + TIMEOUT_S
        while select.select([], [greedy.socket], [], 0.3)[1]:  # until the member takes no more
            total += greedy.socket.send(asked)
            assert time.monotonic() < deadline
        assert ask(member.http_port, "/lookup", "other") == (200, b"[]")
        assert total < 50_000_000


def test_a_client_that_goes_away_while_it_is_answered_harms_nobody(start):
    one = start()
    other = start(bootstrap=(one.dht,))
    for number in range(50):
        with Raw(other.http_port) as raw:
            raw.send(request("/lookup", f"svc{number}"))
    assert ask(other.http_port, "/lookup", "svc") == (200, b"[]")


def test_a_client_that_has_said_all_still_gets_its_answer(member):
    with Raw(member.http_port) as raw:
        raw.send(request("/lookup", "svc"))
        raw.socket.shutdown(socket.SHUT_WR)
        assert raw.reply()[::2] == (200, b"[]")
        assert raw.ended()


@pytest.mark.slow
def test_at_the_limit_of_descriptors_clients_are_served_one_after_the_other(tmp_path):
    with ExitStack() as stack:
        member = SpawnedMember(folder=str(tmp_path), max_connections=5_000)
        stack.callback(member.kill)
        pid = member.process.pid
        known = stack.enter_context(Raw(member.http_port))
        known.send(request("/lookup", "svc"))
        known.reply()
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        highest = max(int(name) for name in os.listdir(f"/proc/{pid}/fd"))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 1, hard))
        waiting = [stack.enter_context(Raw(member.http_port)) for _ in range(6)]
        spent = cpu_ticks(pid)
        for raw in waiting:
            raw.send(request("/lookup", "svc"))
        # One place is free at a time: the idlest connection is closed for the next one.
        assert [raw.reply()[0] for raw in waiting] == [200] * 6
        assert cpu_ticks(pid) - spent < 50  # hundredths of a second, in more than one: it does not spin
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
        assert ask(member.http_port, "/lookup", "svc") == (200, b"[]")


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_localhost_is_served_on_ipv6_as_well(member):
    try:
        raw = Raw(member.http_port, "::1")
    except OSError as error:
        pytest.skip(f"no IPv6 loopback here: {error}")
    with raw:
        raw.send(request("/lookup", "svc").replace(b"127.0.0.1", b"[::1]"))
        assert raw.reply()[::2] == (200, b"[]")
