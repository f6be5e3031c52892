"""Nodes that no supervisor looks after: what a test kills stays dead until the test starts it again.

They lie in a cluster's folder as the supervisor would have put them there, so whatever reads a cluster
reads them too.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import msgspec

from p2pcli.clock import monotonic
from p2pcli.cluster.chaos.arena import Arena
from p2pcli.cluster.chaos.ledger import Telling
from p2pcli.cluster.chaos.plan import Orders
from p2pcli.cluster.chaos.traders import Trader
from p2pcli.cluster.folder import ClusterFolder, FolderUnusable
from p2pcli.cluster.plan import ClusterPlan, NodeSlot
from p2pcli.cluster.report import NODE, ChildReport, ClusterReport, ClusterState, State
from p2pcli.errors import P2pxError
from p2pcli.market.instrument import UNITS, Instrument
from p2pcli.node.client import ExchangeClient
from p2pcli.node.plan import NodePlan

MARKET = "BTC/USD"
BTC = Instrument(MARKET, 1, UNITS // 100, 1, 10**9, 10**13)
START_S = 30.0
PLACES = (
    {"PYTHONHASHSEED": "1", "TZ": "Pacific/Kiritimati", "LANG": "C.UTF-8"},
    {"PYTHONHASHSEED": "2", "TZ": "America/St_Johns", "LANG": "POSIX"},
    {"PYTHONHASHSEED": "3", "TZ": "Asia/Kathmandu", "LANG": "en_US.UTF-8"},
)


class LoneNode:
    """One node process, started and held by the test."""

    def __init__(self, plan: NodePlan, place: int, descriptors: int) -> None:
        self.name = plan.name
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("lone_node.py")), str(descriptors)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **PLACES[place % len(PLACES)]},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(plan) + b"\n")
        self._process.stdin.flush()
        said = json.loads(self._process.stdout.readline() or b'{"failed": "it ended"}')
        self.failure: str = said.get("failed", "")
        host, _, port = said.get("rpc", ":0").rpartition(":")
        self.address = host, int(port)

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def runs(self) -> bool:
        return self._process.poll() is None

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it and return its exit code."""
        if self.runs():
            self.send(number)
            self.send(signal.SIGCONT)
        try:
            return self._process.wait(START_S)
        finally:
            for stream in (self._process.stdin, self._process.stdout):
                assert stream is not None
                stream.close()


class Herd:
    """Up to three such nodes over one log."""

    def __init__(self, home: Path, **plan: object) -> None:
        self.folder = ClusterFolder(home, "herd")
        self.folder.prepare()
        names = tuple(NodeSlot(f"client{number}") for number in (1, 2, 3))
        self.folder.keep_plan(ClusterPlan(name="herd", nodes=names, members=(), markets=(BTC,)))
        self._plan = plan
        self.nodes: dict[str, LoneNode] = {}

    def start(self, name: str = "client1", *, descriptors: int = 0, port: int = 0) -> LoneNode:
        """Start a node and return once it serves, or has failed."""
        plan = NodePlan(
            "herd",
            name,
            str(self.folder.nodes / name),
            f"sqlite://{self.folder.data}",
            [BTC],
            str(self.folder.secret_path),
            port=port,
        )
        plan = msgspec.structs.replace(plan, **self._plan)
        node = self.nodes[name] = LoneNode(plan, int(name[-1]), descriptors)
        self._keep_report()
        return node

    def start_all(self) -> None:
        for name in ("client1", "client2", "client3"):
            assert not self.start(name).failure

    def end_all(self, number: signal.Signals = signal.SIGTERM) -> None:
        for node in self.nodes.values():
            node.end(number)
        self.nodes = {}

    def arena(self) -> Arena:
        return Arena(self.folder, MARKET)

    def client(self, name: str = "client1", owner: str = "ann", timeout: float = 20) -> ExchangeClient:
        return ExchangeClient(*self.nodes[name].address, self.folder.credentials(), owner, timeout)

    def _keep_report(self) -> None:
        children = tuple(
            ChildReport(name, NODE, State.RUNNING, node.pid, {"rpc": "{}:{}".format(*node.address)})
            for name, node in self.nodes.items()
            if not node.failure
        )
        try:
            self.folder.keep_report(
                ClusterReport("herd", ClusterState.READY, "sqlite", os.getpid(), children)
            )
        except FolderUnusable:
            pass  # the disk is full: a supervisor goes on as well


class Load:
    """Clients that trade until they are stopped, and know what they were told."""

    def __init__(self, herd: Herd, seed: int, clients: int = 3, rate: float = 300.0) -> None:
        self.arena = herd.arena()
        self._stop = threading.Event()
        self.traders = [
            Trader(
                f"load{number}",
                Orders(seed, number, f"{seed}-{number}", 10_000),
                MARKET,
                self.arena.credentials,
                self.arena.places,
                clients / rate,
                self._stop,
            )
            for number in range(clients)
        ]
        for trader in self.traders:
            trader.start()

    @property
    def tellings(self) -> list[Telling]:
        return [telling for trader in self.traders for telling in trader.tellings]

    @property
    def answered(self) -> int:
        return sum(len(trader.routes.tellings) + len(trader.echo.tellings) for trader in self.traders)

    def stop(self) -> list[Telling]:
        """End the load and return everything that was told."""
        self._stop.set()
        for trader in self.traders:
            assert trader.join(40), "a client got no answer"
            trader.close()
        return self.tellings


def violations(arena: Arena, tellings: list[Telling]) -> list[str]:
    """Return what the judge finds, as sentences."""
    return [f"{each.guarantee}: {each.what}" for each in arena.judge(tellings, 0).violations.listed()]


def wait_until(is_so: object, seconds: float = 20.0, what: str = "") -> float:
    """Return how long it took until ``is_so()`` was true; failures to ask count as no."""
    assert callable(is_so)
    began = monotonic()
    pause = threading.Event()
    while True:
        try:
            if is_so():
                return monotonic() - began
        except P2pxError:
            pass
        assert monotonic() - began < seconds, f"never: {what or is_so}"
        pause.wait(0.005)
