"""Real sockets through TLS: who is believed, who is not and what it is told, and what breaks nothing."""

import random
import socket
import ssl
import threading
import time
from pathlib import Path

import msgspec
import pytest

from p2pcli.clock import monotonic
from p2pcli.errors import Conflict
from p2pcli.rpc.auth import Away, OtherTls, TurnedAway, WrongSecret
from p2pcli.rpc.certificates import NODE_DAYS, Pair, new_authority, new_request, signed
from p2pcli.rpc.credentials import Credentials
from p2pcli.rpc.frame import framed
from p2pcli.rpc.handshake import HANDSHAKE_S, dial
from p2pcli.rpc.tcp import Connection, ConnectionLost
from p2pcli.rpc.tls import BadCertificateFile, CertificateRefused, NotTls, Tls, caller_context, node_context

from .echo import CREDENTIALS, GREETING, EchoNode

NOW = int(time.time())
DAY = 86_400


@pytest.fixture(scope="module")
def authority() -> Pair:
    return new_authority("default", NOW)


@pytest.fixture
def issue(authority: Pair, tmp_path: Path):
    """Return a function that gives the context of a node with such a certificate."""

    def issue(hosts=("127.0.0.1", "node1"), by: Pair = authority, now: int = NOW) -> ssl.SSLContext:
        request = new_request("node1")
        path = tmp_path / "node1.pem"
        path.write_text(signed(by, request.certificate, "node1", hosts, now) + request.key)
        return node_context(str(path))

    return issue


@pytest.fixture
def start():
    nodes = []

    def start(context: ssl.SSLContext | None) -> EchoNode:
        nodes.append(EchoNode(context))
        return nodes[-1]

    yield start
    for node in nodes:
        node.close()


@pytest.fixture
def trusting(authority: Pair) -> Credentials:
    return Credentials(CREDENTIALS.secret, authority.certificate)


def call(node: EchoNode, credentials: Credentials, host: str = "127.0.0.1") -> Connection:
    return dial(host, node.listener.port, credentials)[0]


def echoed(connection: Connection, payload: bytes) -> list[bytes]:
    connection.send_blocking(framed(payload))
    return connection.receive_some(monotonic() + 10)


def test_a_caller_that_trusts_the_ca_is_greeted_and_heard(start, issue, trusting):
    node = start(issue())
    connection, introduction, greeting = dial("127.0.0.1", node.listener.port, trusting)
    assert (introduction.node, greeting) == ("node1", GREETING)
    assert echoed(connection, b"one") == [b"one"]
    connection.release()


def test_nothing_of_it_can_be_read_on_the_way(start, issue, trusting, monkeypatch):
    seen = bytearray()
    node = start(issue())
    connection = call(node, trusting)
    sealed = connection._tls.seal
    monkeypatch.setattr(connection._tls, "seal", lambda frames: seen.__iadd__(sealed(frames)) and bytes(seen))
    assert echoed(connection, b"a secret order") == [b"a secret order"]
    assert len(seen) > 18
    assert b"secret" not in seen
    connection.release()


def test_it_is_tls_1_3_and_nothing_older(start, issue, authority):
    node = start(issue())
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(cadata=authority.certificate)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection(("127.0.0.1", node.listener.port), timeout=10) as sock,
        pytest.raises(ssl.SSLError, match=r"(?i)alert protocol version"),
    ):
        old.wrap_socket(sock, server_hostname="127.0.0.1")


def test_large_payloads_come_whole_also_to_a_slow_reader(start, issue, trusting):
    node = start(issue())
    slow = call(node, trusting)
    sent = [bytes([number]) * 900_000 for number in range(8)]
    for payload in sent:
        slow.send_blocking(framed(payload))
    quick = call(node, trusting)
    assert echoed(quick, b"ping") == [b"ping"]
    quick.release()
    heard: list[bytes] = []
    while len(heard) < len(sent):
        heard += slow.receive_some(monotonic() + 20)
    assert heard == sent
    slow.release()


def test_the_secret_is_still_asked_for_inside(start, issue, authority):
    node = start(issue())
    with pytest.raises(WrongSecret):
        call(node, Credentials(b"x" * 32, authority.certificate))


def test_a_node_of_another_ca_is_refused(start, issue, trusting):
    node = start(issue(by=new_authority("default", NOW)))
    with pytest.raises(CertificateRefused, match="was not signed by this cluster's CA"):
        call(node, trusting)
    assert node.ended.acquire(timeout=10)
    assert "refused this node's certificate" in node.errors[0].message


def test_an_expired_certificate_is_refused(start, issue, trusting):
    node = start(issue(now=NOW - (NODE_DAYS + 1) * DAY))
    with pytest.raises(CertificateRefused, match="has expired"):
        call(node, trusting)


def test_a_certificate_from_the_future_is_refused(start, issue, trusting):
    node = start(issue(now=NOW + DAY))
    with pytest.raises(CertificateRefused, match="is not valid yet"):
        call(node, trusting)


def test_a_certificate_for_another_address_is_refused(start, issue, trusting):
    node = start(issue(hosts=("10.0.0.7",)))
    with pytest.raises(CertificateRefused, match=r"not for that address: .*127\.0\.0\.1"):
        call(node, trusting)
    named = start(issue(hosts=("elsewhere",)))
    with pytest.raises(CertificateRefused, match=r"not for that address: .*localhost"):
        call(named, trusting, "localhost")


def test_a_plain_caller_at_a_tls_port_is_told_so_at_once(start, issue):
    node = start(issue())
    began = monotonic()
    with pytest.raises(OtherTls, match="this node speaks TLS and nothing else") as refused:
        call(node, CREDENTIALS)
    assert monotonic() - began < HANDSHAKE_S / 2
    assert "cluster file" in refused.value.hint
    assert node.ended.acquire(timeout=10)
    assert "speaks TLS and nothing else" in node.errors[0].message


def test_a_tls_caller_at_a_plain_port_is_told_so_at_once(start, trusting):
    node = start(None)
    began = monotonic()
    with pytest.raises(NotTls, match="does not speak TLS, and this cluster does"):
        call(node, trusting)
    assert monotonic() - began < HANDSHAKE_S / 2
    assert node.ended.acquire(timeout=10)
    assert "speaks plain TCP and no TLS" in node.errors[0].message


def test_a_full_node_says_so_before_tls_begins(trusting):
    with socket.create_server(("127.0.0.1", 0)) as full:
        sent = framed(msgspec.msgpack.encode(Away("busy", "node node1 has 1 connections, its limit")))

        def turn_away():
            sock, _ = full.accept()
            sock.recv(4096)
            sock.sendall(sent)
            sock.close()

        thread = threading.Thread(target=turn_away)
        thread.start()
        with pytest.raises(TurnedAway, match="1 connections, its limit"):
            dial("127.0.0.1", full.getsockname()[1], trusting)
        thread.join()


def test_callers_that_shake_hands_slowly_hold_up_nobody(start, issue, trusting):
    node = start(issue())
    idle = [socket.create_connection(("127.0.0.1", node.listener.port), timeout=10) for _ in range(20)]
    for number, sock in enumerate(idle):
        sock.sendall(b"\x16\x03\x01\x02\x00"[: number % 6])
    began = monotonic()
    connection = call(node, trusting)
    assert echoed(connection, b"ping") == [b"ping"]
    assert monotonic() - began < HANDSHAKE_S / 2
    connection.release()
    for sock in idle:
        sock.close()


def test_any_bytes_before_the_handshake_end_that_connection_alone(start, issue, authority, trusting):
    node = start(issue())
    hello, _ = Tls(caller_context(authority.certificate), "x", "127.0.0.1").shake(b"")
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    for _ in range(60):
        data = bytearray(hello)
        for _ in range(chance.randint(1, 20)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        data = (
            b"\x16" + bytes(data[1 : chance.randint(2, len(data))]) + chance.randbytes(chance.randint(0, 50))
        )
        with socket.create_connection(("127.0.0.1", node.listener.port), timeout=10) as sock:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            while True:
                try:
                    if not sock.recv(4096):
                        break
                except ConnectionResetError:
                    break
        assert node.ended.acquire(timeout=10), f"seed {seed}"
    connection = call(node, trusting)
    assert echoed(connection, b"ping") == [b"ping"], f"seed {seed}"
    connection.release()


def test_any_bytes_after_the_handshake_end_that_connection_alone(start, issue, trusting):
    node = start(issue())
    good = call(node, trusting)
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    for _ in range(40):
        bad = call(node, trusting)
        sealed = bytearray(bad._tls.seal(framed(b"payload")))
        sealed[chance.randrange(len(sealed))] ^= 1 << chance.randrange(8)
        bad._sock.sendall(bytes(sealed) + chance.randbytes(chance.randint(0, 30)))
        bad._sock.shutdown(socket.SHUT_WR)
        try:
            heard = bad.receive_some(monotonic() + 10)
        except (ConnectionLost, Conflict):
            heard = []
        assert heard == [], f"seed {seed}"  # what was changed on its way is nobody's request
        bad.release()
        assert node.ended.acquire(timeout=10), f"seed {seed}"
    assert echoed(good, b"ping") == [b"ping"], f"seed {seed}"
    good.release()


def test_a_damaged_answer_is_a_lost_connection_and_so_unknown(start, issue, trusting):
    node = start(issue())
    connection = call(node, trusting)
    connection._tls._arriving.write(b"\x17\x03\x03\x00\x05abcde")
    with pytest.raises(ConnectionLost, match="broke"):
        echoed(connection, b"ping")
    connection.release()


def test_files_that_are_no_certificates_are_named(tmp_path: Path):
    (tmp_path / "bad.pem").write_text("nothing")
    with pytest.raises(BadCertificateFile, match=r"bad\.pem"):
        node_context(str(tmp_path / "bad.pem"))
    with pytest.raises(BadCertificateFile, match="CA certificate cannot be read"):
        caller_context("nothing")
