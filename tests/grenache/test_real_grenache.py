"""The real npm packages: an unmodified client trades with our node, ours calls an unmodified service."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from p2pcli.errors import P2pxError
from p2pcli.grenache.client import GrenacheError
from p2pcli.node.client import ExchangeClient
from p2pcli.registry.client import RegistryClient
from p2pcli.rpc.credentials import Credentials

from .conftest import wait_until

HERE = Path(__file__).parent
MODULES = Path(
    os.environ.get("P2PX_NODE_MODULES", HERE.parent / "interop" / "node" / "node_modules")
).absolute()

pytestmark = [
    pytest.mark.node_js,
    pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed"),
    pytest.mark.skipif(
        not (MODULES / "grenache-nodejs-http").is_dir(), reason=f"npm packages are not installed in {MODULES}"
    ),
]


def node_js(script: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        ["node", str(HERE / script), *arguments],
        env={**os.environ, "NODE_PATH": str(MODULES)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def free_port() -> str:
    """Return a port that was free a moment ago; the real server cannot say which one it took for 0."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return str(probe.getsockname()[1])


@pytest.fixture
def service(registry) -> Iterator["subprocess.Popen[str]"]:
    with node_js("service.js", registry, "rest:echo", free_port()) as process:
        try:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline()) == {"announced": 1, "err": None}
            yield process
        finally:
            process.kill()


def test_an_unmodified_client_places_orders_and_reads_the_trade(start_node, registry, caller):
    for node in (start_node("client1"), start_node("client2")):
        wait_until(lambda node=node: is_connected(node.addresses["rpc"]))
    wait_until(lambda: len(caller.lookup("p2px:exchange")) == 2)
    with node_js("trade.js", registry) as process:
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    sold, bought, trades, refused, books = [json.loads(line) for line in output.splitlines()]
    assert (sold["err"], sold["result"]["status"]) == (None, "open")
    assert (bought["result"]["status"], bought["result"]["trades"][0]["quantity"]) == ("filled", "0.5")
    assert [trade["price"] for trade in trades["result"]] == ["30000.00"]
    assert "not a plain decimal number" in refused["err"]
    assert books["err"] is None
    asks = [{"price": "30000.00", "quantity": "1", "orders": 1}]
    assert [book["asks"] for book in books["result"]] == [asks, asks]


def test_our_client_calls_an_unmodified_service(service, caller):
    assert caller.request("rest:echo", {"price": "50000.1"}) == {"echo": {"price": "50000.1"}}
    with pytest.raises(GrenacheError) as caught:
        caller.request("rest:echo", {"fail": True})
    assert caught.value.error == "ERR_ASKED_FOR"
    assert list(caller.map("rest:echo", [1, "a", None]).values()) == [{"echo": [1, "a", None]}]


def test_an_unmodified_service_is_sent_every_trade(start_node, registry, caller, tmp_path):
    with node_js("service.js", registry, "p2px:trades", free_port()) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            start_node("client1")
            cursors = tmp_path / "shared" / "broadcast.json"
            wait_until(cursors.exists)
            for side in ("sell", "buy"):
                caller.request(
                    "p2px:exchange", {"action": "place", "side": side, "quantity": "1", "price": "7"}
                )
            trade = json.loads(process.stdout.readline())
            assert (trade["trade_id"], trade["price"], trade["taker_side"]) == ("1", "7.00", "buy")
        finally:
            process.kill()


def test_a_cluster_trades_on_real_grapes_alone(tmp_path):
    dht = [free_port(), free_port()]
    http = [free_port(), free_port()]
    grape = str(MODULES / ".bin" / "grape")
    grapes = [
        subprocess.Popen([grape, "--dp", dht[n], "--aph", http[n], "--bn", f"127.0.0.1:{dht[1 - n]}"])
        for n in (0, 1)
    ]
    home = {**os.environ, "P2PX_HOME": str(tmp_path / "home")}

    def p2px(*words: str) -> "subprocess.CompletedProcess[str]":
        program = [sys.executable, "-m", "p2pcli.cli.main", *words]
        return subprocess.run(program, env=home, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    try:
        with RegistryClient([f"127.0.0.1:{port}" for port in http]) as registry:
            wait_until(lambda: announced(registry))
            up = p2px("cluster", "up", "-n", "2", "--grape", f"http://127.0.0.1:{http[0]}")
            assert up.returncode == 0, up.stderr
            wait_until(lambda: len(registry.lookup("p2px:exchange")) == 2)
        assert p2px("order", "sell", "1@30000", "--node", "client1").returncode == 0
        assert (
            "filled    1 @ 30000.00 against client1"
            in p2px("order", "buy", "1@30000", "--node", "client2").stdout
        )
        assert p2px("verify").returncode == 0
    finally:
        p2px("cluster", "down", "--wipe")
        for process in grapes:
            process.kill()
            process.wait()


def is_connected(address: str) -> bool:
    """Say whether a node pushes to its peer, so that what one has the other has a moment later."""
    host, _, port = address.rpartition(":")
    with ExchangeClient(host, int(port), Credentials(bytes.fromhex("ab" * 32))) as node:
        return list(node.status().peers.values()) == ["connected"]


def announced(registry: RegistryClient) -> bool:
    try:
        return registry.announce("probe", 1) > 0
    except P2pxError:
        return False
