"""Real nodes in threads of the test's own process, over a real log in a temporary folder."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from p2pcli.market.instrument import UNITS, Instrument
from p2pcli.node.client import ExchangeClient
from p2pcli.node.plan import NodePlan
from p2pcli.node.process import run
from p2pcli.registry.process import MemberPlan
from p2pcli.registry.process import run as run_member
from p2pcli.rpc.credentials import Credentials

SECRET = b"\xab" * 32
CREDENTIALS = Credentials(SECRET)
BTC = Instrument("BTC/USD", 1, UNITS // 100, 1, 10**9, 10**13)


class RunningNode:
    """One node serving in a thread."""

    def __init__(self, plan: NodePlan) -> None:
        self.plan = plan
        self.failure: Exception | None = None
        self._stop = threading.Event()
        self._address: dict[str, str] = {}
        self._settled = threading.Event()
        self._thread = threading.Thread(target=self._run, name=plan.name)
        self._thread.start()
        assert self._settled.wait(30), "the node neither served nor failed"

    def _run(self) -> None:
        def ready(address: dict[str, str]) -> None:
            self._address = address
            self._settled.set()

        try:
            run(self.plan, ready, self._stop)
        except Exception as error:  # noqa: BLE001  whatever it is, the test looks at it
            self.failure = error
        finally:
            self._settled.set()

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self._address["rpc"].rpartition(":")
        return host, int(port)

    def client(self, owner: str = "") -> ExchangeClient:
        return ExchangeClient(*self.address, CREDENTIALS, owner=owner, timeout=20)

    @property
    def has_ended(self) -> bool:
        return not self._thread.is_alive()

    def stop(self) -> Exception | None:
        """Stop and return what it failed with, if it did."""
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive(), "the node did not stop"
        return self.failure

    def wait(self) -> Exception | None:
        """Return what the node ended with by itself."""
        self._thread.join(30)
        assert not self._thread.is_alive(), "the node did not end"
        return self.failure


StartNode = Callable[..., RunningNode]


@pytest.fixture
def start_node(tmp_path: Path) -> Iterator[StartNode]:
    """Start nodes over one shared log; all are stopped at the end."""
    secret = tmp_path / "secret"
    secret.write_text(SECRET.hex())
    secret.chmod(0o600)
    started: list[RunningNode] = []

    def start(name: str = "client1", **changes: object) -> RunningNode:
        plan = NodePlan(
            "test", name, str(tmp_path / name), f"sqlite://{tmp_path}/log", [BTC], str(secret), durable=False
        )
        node = RunningNode(msgspec.structs.replace(plan, **changes))
        started.append(node)
        return node

    yield start
    for node in started:
        node.stop()


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """Run one registry member; gives its HTTP address."""
    stop, serving = threading.Event(), threading.Event()
    address: dict[str, str] = {}

    def ready(given: dict[str, str]) -> None:
        address.update(given)
        serving.set()

    plan = MemberPlan("registry1", str(tmp_path / "registry1"), http_port=0, dht_port=0)
    thread = threading.Thread(target=run_member, args=(plan, ready, stop))
    thread.start()
    assert serving.wait(30), "the registry did not start"
    yield address["http"]
    stop.set()
    thread.join(30)
