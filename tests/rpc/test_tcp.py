"""Real sockets: handshakes that succeed and fail, slow readers, strangers."""

import socket
import struct
import threading

import pytest

from p2pcli.clock import monotonic
from p2pcli.rpc.auth import WrongSecret
from p2pcli.rpc.credentials import Credentials
from p2pcli.rpc.frame import framed
from p2pcli.rpc.handshake import dial
from p2pcli.rpc.tcp import (
    Connection,
    ConnectionLost,
    Listener,
    NoAnswer,
    PeerUnreachable,
    PortTaken,
)

from .echo import CREDENTIALS, GREETING, EchoNode


@pytest.fixture
def node():
    node = EchoNode()
    yield node
    node.close()


def stranger(node: EchoNode) -> socket.socket:
    return socket.create_connection(("127.0.0.1", node.listener.port), timeout=10)


def test_a_caller_with_the_secret_is_greeted_and_heard(node):
    connection, introduction, greeting = dial("127.0.0.1", node.listener.port, CREDENTIALS)
    assert (introduction.node, introduction.cluster, greeting) == ("node1", "default", GREETING)
    connection.send(framed(b"one") + framed(b"two"))
    heard: list[bytes] = []
    while len(heard) < 2:
        heard += connection.receive_some(monotonic() + 10)
    assert heard == [b"one", b"two"]
    connection.release()


def test_a_wrong_secret_is_named_to_the_caller(node):
    with pytest.raises(WrongSecret, match="belongs to another cluster"):
        dial("127.0.0.1", node.listener.port, Credentials(b"x" * 32))
    assert node.ended.acquire(timeout=10)


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff" * 100,
        framed(b"\xc1garbage"),
        framed(b"\x93\x01\x02\x03"),
        b"\x00\x00\x40\x01",
    ],
    ids=["http", "oversize", "not-msgpack", "wrong-message", "over-16-KiB"],
)
def test_garbage_before_the_handshake_ends_that_connection_and_no_other(node, garbage):
    with stranger(node) as sock:
        sock.sendall(garbage)
        while sock.recv(4096):
            pass
    assert node.ended.acquire(timeout=10)
    assert len(node.errors) == 1
    dial("127.0.0.1", node.listener.port, CREDENTIALS)[0].release()


def test_an_oversize_frame_after_the_handshake_ends_the_connection(node):
    connection, _, _ = dial("127.0.0.1", node.listener.port, CREDENTIALS)
    connection.send(b"\xff\xff\xff\xff")
    with pytest.raises(ConnectionLost):
        connection.receive_some(monotonic() + 10)
    connection.release()


def test_a_reader_that_takes_nothing_does_not_hold_up_the_sender(node):
    slow, _, _ = dial("127.0.0.1", node.listener.port, CREDENTIALS)
    # More than the kernel's buffers hold, so the echo has to wait in the outbox ...
    sent = [bytes([number]) * 900_000 for number in range(8)]
    for payload in sent:
        slow.send_blocking(framed(payload))
    # ... while another caller is served,
    quick, _, _ = dial("127.0.0.1", node.listener.port, CREDENTIALS)
    quick.send(framed(b"ping"))
    assert quick.receive_some(monotonic() + 10) == [b"ping"]
    quick.release()
    # ... and nothing of it is lost once the slow one reads.
    heard: list[bytes] = []
    while len(heard) < len(sent):
        heard += slow.receive_some(monotonic() + 20)
    assert heard == sent
    slow.release()


def test_a_silent_node_is_given_up_at_the_deadline():
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(NoAnswer):
        dial("127.0.0.1", silent.getsockname()[1], CREDENTIALS, timeout=0.3)


def test_whoever_is_gone_before_a_word_was_said_is_lost():
    with socket.create_server(("127.0.0.1", 0)) as server:
        caller = socket.create_connection(server.getsockname(), timeout=10)
        taken, _ = server.accept()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    taken.close()  # with a reset, as of a process that was killed
    with caller:
        with pytest.raises(ConnectionResetError):
            caller.recv(1)
        with pytest.raises(ConnectionLost, match="the other side is gone"):
            Connection(caller)


def test_nobody_listening_is_said_so():
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(PeerUnreachable, match=f"nothing listens at 127.0.0.1:{port}"):
        dial("127.0.0.1", port, CREDENTIALS)


def test_a_taken_port_is_said_so(node):
    with pytest.raises(PortTaken, match=f"port {node.listener.port} on 127.0.0.1 is taken"):
        Listener("127.0.0.1", node.listener.port)


def test_a_closed_listener_wakes_its_acceptor():
    listener = Listener("127.0.0.1", 0)
    accepted: list[object] = []
    thread = threading.Thread(target=lambda: accepted.append(listener.accept()))
    thread.start()
    listener.close()
    thread.join(10)
    assert accepted == [None]
