"""The metrics of a real node over real sockets; what is no question is answered and costs nothing."""

import socket
import urllib.error
import urllib.request

import pytest

from p2pcli.errors import Conflict
from p2pcli.market.commands import Place, Side

MARKET = "BTC/USD"


@pytest.fixture
def measured(start_node):
    return start_node(metrics_port=0)


def address_of(node) -> tuple[str, int]:
    host, _, port = node._address["metrics"].rpartition(":")
    return host, int(port)


def get(node, path: str, **headers: str) -> tuple[int, str]:
    host, port = address_of(node)
    request = urllib.request.Request(f"http://{host}:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def say(node, data: bytes) -> bytes:
    with socket.create_connection(address_of(node), timeout=10) as sock:
        sock.sendall(data)
        return sock.makefile("rb").read()


def test_a_scrape_counts_what_was_placed_and_traded(measured):
    with measured.client() as client:
        client.submit(MARKET, [Place(Side.SELL, 5, 100), Place(Side.BUY, 3, 100)])
        assert client.status().metrics == measured._address["metrics"]
    status, text = get(measured, "/metrics")
    assert status == 200
    for line in (
        'p2px_orders_total{market="BTC/USD"} 2',
        'p2px_trades_total{market="BTC/USD"} 1',
        'p2px_open_orders{market="BTC/USD"} 1',
        'p2px_committed_commands_total{market="BTC/USD"} 3',  # with the definition of the market
        'p2px_append_seconds_count{market="BTC/USD"} 2',
        'p2px_apply_seconds_count{market="BTC/USD"} 2',
    ):
        assert line in text.splitlines(), text


def test_a_node_that_serves_is_healthy(measured):
    assert get(measured, "/health") == (200, "ok\n")


def test_there_is_nothing_else(measured):
    assert get(measured, "/")[0] == 404
    assert say(
        measured, b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
    ).startswith(b"HTTP/1.1 405 ")


def test_a_page_of_the_web_may_not_read_it(measured):
    assert get(measured, "/metrics", Host="evil.example.com")[0] == 403
    assert get(measured, "/metrics", Origin="https://evil.example.com")[0] == 403


@pytest.mark.parametrize("data", [b"\x00\xff\r\n\r\n", b"GET /metrics\r\n\r\n", b"x" * 20_000])
def test_what_is_no_request_is_refused_and_the_next_one_answered(measured, data):
    try:
        assert say(measured, data).startswith(b"HTTP/1.1 400 ")
    except ConnectionResetError:
        pass  # it was hung up on before it had said everything
    assert get(measured, "/health")[0] == 200


def test_a_caller_that_says_nothing_keeps_others_waiting_only_for_a_while(measured):
    with socket.create_connection(address_of(measured)):
        assert get(measured, "/health")[0] == 200


def test_without_a_port_there_are_no_metrics(start_node):
    node = start_node()
    assert "metrics" not in node._address
    with node.client() as client:
        assert client.status().metrics == ""


def test_a_port_that_is_taken_keeps_the_node_from_starting(start_node, measured):
    second = start_node("client2", metrics_port=address_of(measured)[1])
    failure = second.wait()
    assert isinstance(failure, Conflict), failure
    assert failure.code == "port_taken"
