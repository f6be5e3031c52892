"""Real registry members and real nodes with their Grenache side, in threads of the test's own process."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from p2pcli.clock import monotonic
from p2pcli.grenache.client import GrenacheClient
from p2pcli.grenache.process import GatewayPlan, run
from p2pcli.market.instrument import UNITS, Instrument
from p2pcli.node.plan import NodePlan
from p2pcli.registry.process import MemberPlan
from p2pcli.registry.process import run as run_member

BTC = Instrument("BTC/USD", 1, UNITS // 100, 1, 10**9, 10**13)


class Running:
    """A program in a thread, until stopped."""

    def __init__(self, program: Callable[..., None], plan: object) -> None:
        self.addresses: dict[str, str] = {}
        self._stop, self._serving = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=program, args=(plan, self._ready, self._stop))
        self._thread.start()
        assert self._serving.wait(30), "it does not serve"

    def _ready(self, addresses: dict[str, str]) -> None:
        self.addresses = addresses
        self._serving.set()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(30)


def wait_until(is_so: Callable[[], bool], seconds: float = 30) -> None:
    deadline = monotonic() + seconds
    while not is_so():
        assert monotonic() < deadline, "it did not come about in time"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    member = Running(run_member, MemberPlan("registry1", str(tmp_path / "registry1"), 0, 0))
    yield member.addresses["http"]
    member.stop()


@pytest.fixture
def start_node(tmp_path: Path, registry: str) -> Iterator[Callable[[str], Running]]:
    secret = tmp_path / "secret"
    secret.write_text("ab" * 32)
    secret.chmod(0o600)
    started: list[Running] = []

    def start(name: str, machine: str = "") -> Running:
        home = tmp_path / machine if machine else tmp_path
        node = NodePlan(
            "test",
            name,
            str(home / name),
            f"sqlite://{tmp_path}/log",
            [BTC],
            str(secret),
            [registry],
            durable=False,
        )
        started.append(Running(run, GatewayPlan(node, str(home / "shared"))))
        return started[-1]

    yield start
    for node in started:
        node.stop()


@pytest.fixture
def caller(registry: str) -> Iterator[GrenacheClient]:
    with GrenacheClient([registry]) as client:
        yield client
