"""A node with its Grenache side: called through a real registry, broadcasting to a real HTTP service."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from p2pcli.grenache.client import GrenacheError
from p2pcli.market.commands import Place, Side
from p2pcli.node.client import ExchangeClient
from p2pcli.registry.client import RegistryClient
from p2pcli.rpc.credentials import Credentials

from .conftest import wait_until

CREDENTIALS = Credentials(bytes.fromhex("ab" * 32))

EXCHANGE = "p2px:exchange"


class TradeService:
    """A Grenache service in twenty lines: it keeps what it is sent, or fails while ``is_down``."""

    def __init__(self) -> None:
        self.trades: list[dict] = []
        self.is_down = False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                error = "ERR_DOWN" if outer.is_down else None
                if not outer.is_down:
                    outer.trades.append(body[2])
                reply = json.dumps([body[0], error, "ok"]).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self._thread = threading.Thread(target=self.server.serve_forever)
        self._thread.start()

    @property
    def port(self) -> int:
        return self.server.server_address[1]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


def test_a_grenache_caller_trades_and_reads(start_node, caller):
    start_node("client1")
    sold = caller.request(EXCHANGE, {"action": "place", "side": "sell", "quantity": "1.5", "price": "30000"})
    assert (sold["order_id"], sold["status"], sold["owner"]) == ("1", "open", "grenache")
    bought = caller.request(EXCHANGE, {"action": "place", "side": "buy", "quantity": "0.5"})
    assert (bought["status"], bought["trades"][0]["price"]) == ("filled", "30000.00")
    book = caller.request(EXCHANGE, {"action": "book"})
    assert book["asks"] == [{"price": "30000.00", "quantity": "1", "orders": 1}]
    assert [trade["quantity"] for trade in caller.request(EXCHANGE, {"action": "trades"})] == ["0.5"]
    assert caller.request(EXCHANGE, {"action": "order", "order_id": "1"})["filled"] == "0.5"
    assert [order["order_id"] for order in caller.request(EXCHANGE, {"action": "orders"})] == ["1"]
    assert (
        caller.request(EXCHANGE, {"action": "amend", "order_id": "1", "quantity": "1"})["remaining"] == "0.5"
    )
    assert caller.request(EXCHANGE, {"action": "cancel", "order_id": "1"})["cancelled"] == "0.5"
    assert caller.request(EXCHANGE, {"action": "markets"})[0]["market"] == "BTC/USD"


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        ({"action": "place", "side": "buy", "quantity": "abc", "price": "1"}, "not a plain decimal number"),
        ({"action": "order", "order_id": "9"}, "no order 9 in BTC/USD"),
        ({"action": "cancel", "order_id": "9"}, "order 9 is not an open order of grenache"),
        ("hello", "Expected `object`"),
    ],
)
def test_what_cannot_be_done_is_said_in_the_reply(start_node, caller, payload, says):
    start_node("client1")
    with pytest.raises(GrenacheError, match=says):
        caller.request(EXCHANGE, payload)


def test_a_fan_out_with_a_client_order_id_places_one_order(start_node, caller):
    start_node("client1")
    start_node("client2")
    wait_until(lambda: len(caller.lookup(EXCHANGE)) == 2)
    payload = {"action": "place", "side": "buy", "quantity": "1", "price": "5", "client_order_id": "once"}
    answers = caller.map(EXCHANGE, payload)
    assert [answer["order_id"] for answer in answers.values()] == ["1", "1"]
    assert caller.request(EXCHANGE, {"action": "book"})["bids"][0]["orders"] == 1


def test_a_service_nobody_announced_is_a_lookup_error(caller):
    with pytest.raises(GrenacheError) as caught:
        caller.request("nobody:here", None)
    assert caught.value.error == "ERR_GRAPE_LOOKUP_EMPTY"


def test_every_trade_reaches_a_service_once_in_order_also_after_it_was_down(
    start_node, caller, registry, tmp_path
):
    service = TradeService()
    try:
        with RegistryClient([registry]) as announcer:
            announcer.announce("p2px:trades", service.port)
        start_node("client1")
        start_node("client2")

        def trade(count: int) -> None:
            for _ in range(count):
                caller.request(EXCHANGE, {"action": "place", "side": "sell", "quantity": "1", "price": "7"})
                caller.request(EXCHANGE, {"action": "place", "side": "buy", "quantity": "1", "price": "7"})

        cursors = tmp_path / "shared" / "broadcast.json"
        wait_until(lambda: cursors.exists() and str(service.port) in cursors.read_text())
        trade(5)
        wait_until(lambda: len(service.trades) == 5)
        service.is_down = True
        trade(3)
        service.is_down = False
        wait_until(lambda: len(service.trades) == 8)
        assert [entry["trade_id"] for entry in service.trades] == [str(n) for n in range(1, 9)]
    finally:
        service.close()


def test_each_machine_tells_of_the_trades_its_own_nodes_committed(start_node, registry, tmp_path):
    service = TradeService()
    try:
        with RegistryClient([registry]) as announcer:
            announcer.announce("p2px:trades", service.port)
        nodes = {
            name: start_node(name, machine) for name, machine in (("client1", "here"), ("client2", "there"))
        }
        for machine in ("here", "there"):
            cursors = tmp_path / machine / "shared" / "broadcast.json"
            wait_until(lambda: cursors.exists() and str(service.port) in cursors.read_text())  # noqa: B023
        clients = []
        for name in ("client1", "client2", "client1", "client2", "client2"):
            host, _, port = nodes[name].addresses["rpc"].rpartition(":")
            clients.append(ExchangeClient(host, int(port), CREDENTIALS))
        for client in clients:
            for side in (Side.SELL, Side.BUY):
                client.submit("BTC/USD", [Place(side, 1, 700)])
            client.close()
        wait_until(lambda: len(service.trades) >= 5)
        nodes["client2"].stop()
        nodes["client2"] = start_node("client2", "there")  # and goes on where it was
        host, _, port = nodes["client2"].addresses["rpc"].rpartition(":")
        with ExchangeClient(host, int(port), CREDENTIALS) as client:
            for side in (Side.SELL, Side.BUY):
                client.submit("BTC/USD", [Place(side, 1, 700)])
        wait_until(lambda: len(service.trades) >= 6)
        assert sorted(int(entry["trade_id"]) for entry in service.trades) == [1, 2, 3, 4, 5, 6], "each once"
        here = [int(entry["trade_id"]) for entry in service.trades if int(entry["trade_id"]) in (1, 3)]
        assert here == [1, 3], "in order from each machine"
    finally:
        service.close()
