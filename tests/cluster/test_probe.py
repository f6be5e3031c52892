"""Does a process answer? Asked of real nodes, real members, and of what only looks like one."""

import socket
import threading
from pathlib import Path

import pytest

from p2pcli.cluster.probe import answers
from p2pcli.market.instrument import UNITS, Instrument
from p2pcli.node import process as node
from p2pcli.node.plan import NodePlan
from p2pcli.registry import process as registry
from p2pcli.registry.process import MemberPlan
from p2pcli.rpc.credentials import Credentials

SECRET = b"\xab" * 32
CREDENTIALS = Credentials(SECRET)
HOST = "127.0.0.1"


@pytest.fixture
def serve(tmp_path: Path):
    """Runs a program in a thread and returns its addresses."""
    running = []

    def serve(run, plan) -> dict[str, str]:
        addresses: list[dict[str, str]] = []
        serving, stop = threading.Event(), threading.Event()
        thread = threading.Thread(
            target=run, args=(plan, lambda found: (addresses.append(found), serving.set()), stop)
        )
        thread.start()
        running.append((thread, stop))
        assert serving.wait(20)
        return addresses[0]

    yield serve
    for thread, stop in running:
        stop.set()
        thread.join()


@pytest.fixture
def listener():
    """Takes connections and says nothing, as a paused process does."""
    with socket.create_server((HOST, 0)) as server:
        yield f"{HOST}:{server.getsockname()[1]}"


def node_plan(folder: Path) -> NodePlan:
    (folder / "secret").touch(0o600)
    (folder / "secret").write_text(SECRET.hex())
    market = Instrument("BTC/USD", 1, UNITS // 100, 1, 10**9, 10**13)
    log, secret = f"sqlite://{folder}/log", str(folder / "secret")
    return NodePlan("probed", "client1", str(folder / "node"), log, [market], secret)


def test_a_node_answers_also_when_the_secret_is_another(serve, tmp_path: Path) -> None:
    addresses = serve(node.run, node_plan(tmp_path))
    assert answers(addresses, CREDENTIALS, timeout=10)
    assert answers(addresses, Credentials(b"\xcd" * 32), timeout=10)


def test_a_member_answers(serve, tmp_path: Path) -> None:
    addresses = serve(registry.run, MemberPlan("registry1", str(tmp_path / "member"), 0, 0))
    assert answers(addresses, CREDENTIALS, timeout=10)


@pytest.mark.parametrize("purpose", ["rpc", "http"])
def test_silence_is_no_answer(listener: str, purpose: str) -> None:
    assert not answers({purpose: listener}, CREDENTIALS, timeout=0.05)


@pytest.mark.parametrize("purpose", ["rpc", "http"])
def test_nobody_there_is_no_answer(purpose: str) -> None:
    with socket.create_server((HOST, 0)) as server:
        address = f"{HOST}:{server.getsockname()[1]}"
    assert not answers({purpose: address}, CREDENTIALS)


def test_a_process_that_named_no_address_is_not_asked() -> None:
    assert answers({}, CREDENTIALS)
