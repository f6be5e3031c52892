"""Several machines, as far as files go: homes of their own, one log on etcd, TLS, join tokens. Under load.

Every command is typed as people would, on whichever machine it is about.
"""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest
from etcd_members import MISSING, EtcdMembers

from p2pcli import ExchangeClient
from p2pcli.cluster.arguments import BadArgument
from p2pcli.cluster.exchange_client import NoSuchNode
from p2pcli.cluster.whereabouts import BadAddresses
from p2pcli.errors import NotRunning, P2pxError
from p2pcli.market.commands import Place, Side
from p2pcli.node.requests import Forbidden
from p2pcli.node.roaming import RoamingClient
from p2pcli.rpc.certificates import fingerprint, new_authority
from p2pcli.rpc.tls import CertificateRefused, UnknownAuthority

from .conftest import Shell, free_ports

pytestmark = [pytest.mark.slow, pytest.mark.skipif(MISSING is not None, reason=str(MISSING))]


class Machine(Shell):
    """A home of its own, with the cluster file in the folder where commands are typed."""

    def __init__(self, folder: Path, file: str = "") -> None:
        folder.mkdir()
        super().__init__(folder / "home", P2PX_REGISTRY_FREE_PORTS="true")
        if file:
            (folder / "p2px.yaml").write_text(file)

    def joins(self, name: str, *words: str) -> "Joined":
        return Joined(
            self.start("node", "join", "--cluster-file", "p2px.yaml", "--name", name, "-o", "jsonl", *words)
        )


class Joined:
    """A node that joined, in the foreground of its machine. A context manager."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        first = process.stdout.readline()
        assert first, process.stderr.read()
        self.addresses = json.loads(first)

    def __enter__(self) -> "Joined":
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.kill()
        self._process.communicate()

    def ends(self, number: signal.Signals | None = None) -> int:
        """Return the exit code, after a signal if one is given."""
        if number is not None:
            self._process.send_signal(number)
        return self._process.wait(30)


class Load:
    """Traders who trade through any node. A context manager; ``failed`` tells what went wrong."""

    def __init__(self, machine: Shell, markets: tuple[str, ...], *nodes: str) -> None:
        self._stop = threading.Event()
        self.failed: list[str] = []
        self.done = 0
        folder = machine.folder

        def addresses() -> list[tuple[str, int]]:
            report = folder.report()
            found = [child.addresses["rpc"].rpartition(":") for child in report.nodes if child.addresses]
            return [
                (host, int(port)) for host, _, port in (*found, *(node.rpartition(":") for node in nodes))
            ]

        def trade(name: str, first: int) -> None:
            def turned() -> list[tuple[str, int]]:
                known = addresses()
                return known[first % len(known) :] + known[: first % len(known)]

            with RoamingClient(turned, folder.credentials, name, 20) as trader:
                number = 0
                while not self._stop.is_set():
                    number += 1
                    side = Side.BUY if (number + first) % 2 else Side.SELL
                    try:
                        trader.submit(markets[number % len(markets)], [Place(side, 1, 100 + number % 7)])
                    except Exception as error:  # noqa: BLE001  the test looks at it
                        self.failed.append(f"{name} {number}: {error}")
                        return
                    self.done += 1

        self._threads = [threading.Thread(target=trade, args=(f"trader{i}", i)) for i in range(3)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """The machine on which the cluster was begun, with two nodes of two markets; the log is on etcd."""
    place = tmp_path_factory.mktemp("machines")
    etcd = EtcdMembers(place / "etcd", 1, "--unsafe-no-fsync")
    machine = Machine(place / "first")
    http, dht = free_ports(2), free_ports(2)
    for name, ports in (("P2PX_REGISTRY_HTTP_PORTS", http), ("P2PX_REGISTRY_DHT_PORTS", dht)):
        machine.environ[name] = ports
    init = machine(
        *("cluster", "init", "--host", "127.0.0.1", "--log", etcd.url, "--out", "p2px.yaml"),
        *("--market", "BTC/USD", "--market", "ETH/USD"),
    )
    assert init.code == 0, init.err
    up = machine("cluster", "up", "-n", "2")
    assert up.code == 0, up.err
    try:
        yield machine
    finally:
        machine.hang_up()
        down = machine("cluster", "down")
        etcd.kill_all()
        assert down.code == 0, down.err


@pytest.fixture
def token(first: Machine) -> str:
    return first("cluster", "token", "create", "--expires", "10m", "-o", "json").json["token"]


@pytest.fixture
def second(first: Machine, tmp_path: Path) -> Machine:
    return Machine(tmp_path / "second", (first.cwd / "p2px.yaml").read_text())


def test_a_machine_joins_with_a_token_under_load_becomes_equal_and_leaves(first, second, token):
    with Load(first, ("BTC/USD", "ETH/USD")) as load:
        with second.joins("bob", "--token", token) as bob:
            assert second("order", "buy", "1@50", "--node", "bob", "-o", "json").json["owner"] == "bob"
            assert {"rpc", "http", "dht"} <= set(bob.addresses)
            seen = {
                node["name"]: node["state"] for node in first("cluster", "status", "-o", "json").json["nodes"]
            }
            assert seen == {"client1": "running", "client2": "running", "bob": "joined"}
            with Load(first, ("BTC/USD",), bob.addresses["rpc"]) as more:
                left = first("node", "leave", "bob")
                assert (left.code, left.out) == (0, "node bob has left cluster default\n")
                assert bob.ends() == 0
            assert more.failed == []
        former = bob.addresses["rpc"]
        with second.joins("bob", "--market", "ETH/USD") as bob:  # with the credentials it has by now
            assert bob.addresses["rpc"] == former
            assert second("order", "sell", "1@50000", "--market", "BTC/USD", "--node", "bob").code == 0
            assert second("market", "ls", "--node", "bob").code == 0
            assert bob.ends(signal.SIGTERM) == 0
    assert load.failed == []
    assert load.done > 50
    assert first("verify").code == 0
    assert first("log", "check").code == 0


def test_equal_states_on_both_machines_are_what_verify_says(first, second, token):
    with second.joins("carol", "--token", token) as carol:
        with Load(first, ("BTC/USD", "ETH/USD"), carol.addresses["rpc"]) as load:
            assert first("order", "buy", "1@40", "--node", "carol").code == 0
        assert load.failed == []
        for machine in (first, second):
            said = machine("verify", "-o", "json").json
            assert said["problems"] == []
            assert {name for market in said["markets"].values() for name in market["nodes"]} == {
                "client1",
                "client2",
                "carol",
            }
        for machine in (first, second):
            with ExchangeClient("default", home=machine.home, node="carol", owner="ann") as ann:
                assert ann.buy(1, 10).owner == "ann"
            with ExchangeClient("default", home=machine.home) as whoever:
                assert set(whoever.instruments) == {"BTC/USD", "ETH/USD"}
        assert carol.ends(signal.SIGTERM) == 0


def test_an_expired_a_revoked_and_no_token_let_nobody_in(first, second, token):
    made = first("cluster", "token", "ls", "-o", "jsonl").lines
    assert first("cluster", "token", "revoke", made[-1]["id"]).code == 0
    said = second("node", "join", "--cluster-file", "p2px.yaml", "--name", "eve", "--token", token)
    assert (said.code, "was revoked" in said.err) == (6, True), said.err
    short = first("cluster", "token", "create", "--expires", "1s", "-o", "json").json["token"]
    threading.Event().wait(1.1)
    said = second("node", "join", "--cluster-file", "p2px.yaml", "--name", "eve", "--token", short)
    assert (said.code, "has expired" in said.err) == (6, True), said.err
    said = second("node", "join", "--cluster-file", "p2px.yaml", "--name", "eve")
    assert (said.code, "has no credentials of cluster default" in said.err) == (2, True)
    assert not second.folder.secret_path.exists()


def test_a_rolling_restart_under_load_fails_no_operation(first):
    before = {child.name: child.pid for child in first.folder.report().nodes}
    with Load(first, ("BTC/USD", "ETH/USD")) as load:
        said = first("cluster", "restart", "--rolling", "-o", "jsonl")
    assert said.code == 0, said.err
    assert said.err.splitlines() == [f"{name} is restarted and has caught up" for name in before]
    assert load.failed == []
    assert load.done > 20
    after = {child.name: child.pid for child in first.folder.report().nodes}
    assert all(after[name] != pid for name, pid in before.items())
    assert first("verify").code == 0


def test_a_restart_of_nothing_and_of_everything_at_once_is_bad_usage(first):
    assert first("cluster", "restart").code == 2
    assert first("cluster", "restart", "client1", "--rolling").code == 2


def test_a_second_node_of_a_machine_uses_the_member_that_serves_it_already(first, second, token):
    with (
        second.joins("dave", "--token", token) as dave,
        second.joins("erin", "--token", token, "--market", "ETH/USD") as erin,
    ):
        assert "http" in dave.addresses
        assert "http" not in erin.addresses
        assert {"dave", "erin"} <= set(first("verify", "-o", "json").json["markets"]["ETH/USD"]["nodes"])
        assert erin.ends(signal.SIGTERM) == dave.ends(signal.SIGTERM) == 0


def test_a_program_elsewhere_needs_addresses_a_key_and_the_ca_alone(first, tmp_path, monkeypatch):
    key = str(first.cwd / "cy.key")
    assert first("keys", "create", "cy", "--out", key).code == 0
    authority, report = first.folder.authority(), first.folder.report()
    nodes = {child.name: child.addresses["rpc"] for child in report.nodes}
    nobody = f"127.0.0.1:{free_ports(1)}"
    monkeypatch.setenv("P2PX_HOME", str(tmp_path / "nothing"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ca.pem").write_text(authority)
    for ca in (tmp_path / "ca.pem", fingerprint(authority).upper()):
        with ExchangeClient(addresses=[nobody, *nodes.values()], key=key, ca=ca) as cy:
            order = cy.buy("0.5", "5")
            assert order.owner == "cy"
            assert [one.order_id for one in cy.orders()] == [order.order_id]
            cy.cancel(order.order_id)
    with ExchangeClient(addresses=list(nodes.values()), node="client2", key=key, ca=authority) as cy:
        assert cy._reader.node == "client2"
        with pytest.raises(Forbidden):
            cy.orders(owner="ann")
        with pytest.raises(Forbidden):
            cy.halt("BTC/USD")
        paused = report.child("client2").pid
        os.kill(paused, signal.SIGSTOP)
        try:
            began = monotonic()
            cy.book()
            assert monotonic() - began < cy._reader.timeout, (
                "a silent node costs a part of the timeout, and not all"
            )
        finally:
            os.kill(paused, signal.SIGCONT)
    assert not (tmp_path / "nothing").exists()

    def refused(error: type[P2pxError], said: str, **changes: object) -> None:
        with pytest.raises(error, match=said):
            ExchangeClient(**{"addresses": list(nodes.values()), "key": key, "ca": authority} | changes)

    refused(CertificateRefused, "it is not the one expected", ca="ab" * 32)
    refused(UnknownAuthority, "was not signed by", ca=new_authority("default", 1_800_000_000).certificate)
    refused(
        BadAddresses,
        "10.0.0.1 is on another machine, and nothing says which CA",
        addresses=["10.0.0.1:1"],
        ca="",
    )
    refused(BadAddresses, "'10.0.0.1' is no address of a node", addresses=["10.0.0.1"])
    refused(BadAddresses, "cannot read the CA's certificate nothing.pem: No such file", ca="nothing.pem")
    refused(NotRunning, "no node of cluster default answers: nothing listens at", addresses=[nobody])
    refused(NoSuchNode, "has no node 'client9'; its nodes are client1, client2", node="client9")
    refused(BadArgument, "addresses= takes an owner's key", key=None)
    refused(BadArgument, "is a key of cluster default, not of other", cluster="other")


def test_why_nodes_cannot_be_asked_is_shown_and_what_helps(first):
    own = first.folder.tls / "ca.pem"
    kept = own.read_text()
    own.write_text(new_authority("default", 1_800_000_000).certificate)
    try:
        status = first("cluster", "status", "-o", "json")
        refused = first("order", "ls")
    finally:
        own.write_text(kept)
    assert (status.code, status.json["state"]) == (1, "degraded")
    assert status.json["problems"][0].startswith("client1: the certificate of 127.0.0.1:")
    assert "hint: it is another cluster, or its CA was replaced" in refused.err


def test_secret_and_ca_are_replaced_under_load_on_all_machines_and_no_order_is_lost(first, second, token):
    first("keys", "create", "ann", "--out", "old.key")
    trade = ("order", "buy", "1@20", "--node", "bob", "--key")
    with second.joins("bob", "--token", token) as bob:
        begun = first("cluster", "rotate", "-o", "json")
        assert (begun.code, begun.json) == (1, {"phase": "begun", "waiting": ["bob"]})
        assert first("cluster", "rotate", "--finish").code == 6
        assert bob.ends(signal.SIGTERM) == 0
    fresh = first("cluster", "token", "create", "-o", "json").json["token"]
    with second.joins("bob", "--token", fresh) as bob:
        with Load(first, ("BTC/USD", "ETH/USD"), bob.addresses["rpc"]) as load:
            switched = first("cluster", "rotate", "-o", "json")
            assert (switched.code, switched.json) == (0, {"phase": "switched", "waiting": []}), switched.err
            assert first("keys", "create", "ann", "--out", "new.key").code == 0
            ended = first("cluster", "rotate", "--finish", "-o", "json")
            assert (ended.code, ended.json) == (0, {"phase": "finished", "waiting": []}), ended.err
            assert first(*trade, "new.key").code == 0
        assert load.failed == []
        assert load.done > 50
        said = first(*trade, "old.key")
        assert (said.code, "made with a secret of this cluster that was replaced" in said.err) == (6, True)
        nodes = second("verify", "-o", "json").json["markets"]["BTC/USD"]["nodes"]
        assert set(nodes) == {"client1", "client2", "bob"}
        assert bob.ends(signal.SIGTERM) == 0


def test_settings_with_the_ca_before_still_start_the_cluster_and_say_so(first):
    said = first("cluster", "up")
    assert said.code == 0, said.err
    assert "note: the settings name a CA (cluster.ca) that was replaced; clients cannot use them" in said.err


def test_a_machine_that_was_away_while_the_secret_was_replaced_joins_by_a_token_alone(first, second, token):
    with second.joins("bob", "--token", token) as bob:
        assert bob.ends(signal.SIGTERM) == 0
    assert first("cluster", "rotate").code == first("cluster", "rotate", "--finish").code == 0
    join = ("node", "join", "--cluster-file", "p2px.yaml", "--name", "bob")
    said = second(*join)
    assert (said.code, "was replaced while this machine was away" in said.err) == (6, True), said.err
    fresh = first("cluster", "token", "create", "-o", "json").json["token"]
    with second.joins("bob", "--token", fresh) as bob:
        assert bob.addresses["rpc"] in [
            node["rpc"] for node in first("cluster", "status", "-o", "json").json["nodes"]
        ]
