import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from p2pcli.errors import BadInput, NotRunning
from p2pcli.registry.client import RegistryClient, RegistryRefused, RegistryUnreachable
from p2pcli.registry.compact import BadAddress


class Scripted:
    """A server that gives each connection to ``behave``, one after the other, and counts them."""

    def __init__(self, behave: Callable[[socket.socket], None]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._behave = behave
        self.connections = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(30)

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                self._behave(connection)


@pytest.fixture
def scripted():
    servers = []

    def make(behave: Callable[[socket.socket], None]) -> Scripted:
        servers.append(Scripted(behave))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


def says(*replies: bytes) -> Callable[[socket.socket], None]:
    """Answer one request after the other with ``replies``, then hang up."""

    def behave(connection: socket.socket) -> None:
        for reply in replies:
            if not connection.recv(65_536):
                return
            connection.sendall(reply)

    return behave


def ok(body: str, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers, "", body]
    return "\r\n".join(lines).encode()


def nowhere() -> str:
    """An address at which nobody listens."""
    with socket.socket() as gone:
        gone.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{gone.getsockname()[1]}"


def test_all_four_requests_work_against_a_member(start):
    with RegistryClient([start().http]) as client:
        assert client.lookup("svc") == []
        assert client.announce("svc", 1338) == client.announce("svc", 1337) == 1
        assert client.lookup("svc") == [("127.0.0.1", 1337), ("127.0.0.1", 1338)]
        key = client.put("hello world")
        assert key == "6d33adc2b6b2c14c3036feefb7fedbca1a880527"
        item = client.get(key)
        assert item is not None
        assert item["v"] == "hello world"
        assert client.get({"hash": "00" * 20}) is None
        assert client.put({"v": [1, 2]}) == "cbf5eef94efd4be79ce230c54dacff429e8faae5"


def test_an_error_of_the_registry_is_raised_with_its_text(start):
    with RegistryClient([start().http]) as client:
        with pytest.raises(RegistryRefused, match="ERR_GRAPE_LOOKUP") as refused:
            client.lookup("")
        assert refused.value.error == "ERR_GRAPE_LOOKUP"
        with pytest.raises(RegistryRefused, match="All queries failed"):
            client.announce("svc", 70_000)
        with pytest.raises(RegistryRefused, match="v must be less than 1000 bytes"):
            client.put("x" * 2_000)
        with pytest.raises(RegistryRefused, match="ERR_GRAPE_PAYLOAD_SIZE"):
            client.put("x" * 20_000)


def test_when_one_address_is_dead_the_next_is_asked_and_then_first(scripted):
    server = scripted(says(ok("[]"), ok("[]")))
    with RegistryClient([nowhere(), server.address]) as client:
        assert client.lookup("svc") == []
        assert client.lookup("svc") == []
    assert server.connections == 1


def test_when_no_address_answers_each_is_named_with_the_reason(scripted):
    gone = nowhere()
    silent = scripted(lambda connection: connection.recv(65_536) and connection.recv(1))
    with (
        RegistryClient([gone, silent.address], timeout=0.2) as client,
        pytest.raises(RegistryUnreachable) as unreachable,
    ):
        client.lookup("svc")
    assert isinstance(unreachable.value, NotRunning)
    assert f"{gone} (Connection refused)" in unreachable.value.message
    assert f"{silent.address} (no answer within 0.2 s)" in unreachable.value.message


def test_without_addresses_nobody_answers():
    with RegistryClient([]) as client, pytest.raises(RegistryUnreachable, match="no address"):
        client.lookup("svc")


@pytest.mark.parametrize(
    "reply",
    [
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
        b"x" * 20_000,
        b"",
        ok("<html>"),
        ok("{}"),
        ok('"text'),
        ok('["not an address"]'),
        ok('["127.0.0.1:99999"]'),
        ok("5"),
    ],
)
def test_what_is_no_registry_is_unreachable(scripted, reply):
    with (
        RegistryClient([scripted(says(reply)).address], timeout=1) as client,
        pytest.raises(RegistryUnreachable),
    ):
        client.lookup("svc")


def test_a_reply_in_drips_has_to_end_in_time(scripted):
    def drip(connection: socket.socket) -> None:
        connection.recv(65_536)
        try:
            for byte in ok("[]") * 100:
                connection.sendall(bytes([byte]))
                connection.settimeout(0.05)
                try:
                    connection.recv(1)
                    return
                except TimeoutError:
                    pass
        except OSError:
            pass

    with (
        RegistryClient([scripted(drip).address], timeout=0.3) as client,
        pytest.raises(RegistryUnreachable, match=r"no answer within 0\.3 s"),
    ):
        client.lookup("svc")


def test_one_connection_serves_many_requests(scripted):
    server = scripted(says(*[ok("[]")] * 20))
    with RegistryClient([server.address]) as client:
        for _ in range(20):
            client.lookup("svc")
    assert server.connections == 1


def test_a_connection_that_was_closed_meanwhile_is_replaced(scripted):
    server = scripted(says(ok("[]")))  # hangs up after each reply without having said so
    with RegistryClient([server.address]) as client:
        for _ in range(5):
            client.lookup("svc")
    assert server.connections == 5


def test_a_connection_that_is_said_to_close_is_not_used_again(scripted):
    server = scripted(says(ok("[]", "Connection: close"), ok("[]")))
    with RegistryClient([server.address]) as client:
        client.lookup("svc")
        client.lookup("svc")
    assert server.connections == 2


def test_a_member_cut_off_from_its_ring_is_passed_over(scripted):
    lonely = scripted(says(ok('"No nodes to query"')))
    failing = scripted(says(ok('"All queries failed"')))
    fine = scripted(says(ok("2")))
    with RegistryClient([lonely.address, failing.address, fine.address]) as client:
        assert client.announce("svc", 1) == 2
    with (
        RegistryClient([scripted(says(ok('"No nodes to query"'))).address]) as client,
        pytest.raises(RegistryRefused, match="No nodes to query"),
    ):
        client.announce("svc", 1)


def test_many_threads_may_ask_at_once(start):
    member = start()
    with RegistryClient([member.http]) as client, ThreadPoolExecutor(8) as threads:
        counts = list(threads.map(lambda number: client.announce(f"svc{number}", 1 + number), range(200)))
        found = list(threads.map(lambda number: client.lookup(f"svc{number}"), range(200)))
    assert counts == [1] * 200
    assert found == [[("127.0.0.1", 1 + number)] for number in range(200)]


@pytest.mark.parametrize(
    "address",
    ["", "127.0.0.1", ":1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:+1", "a:1_0"],
)
def test_text_that_is_no_address_is_refused(address):
    with pytest.raises(BadAddress) as bad:
        RegistryClient([address])
    assert isinstance(bad.value, BadInput)


def test_an_address_may_be_a_url_as_grenache_clients_write_it(start):
    with RegistryClient([f"http://{start().http}/"]) as client:
        assert client.lookup("svc") == []
