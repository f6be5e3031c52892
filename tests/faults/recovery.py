"""One node in a thread of the test, over files that were tampered with: what it serves, or why not."""

import threading
from pathlib import Path
from typing import NamedTuple

import msgspec

from p2pcli.node.client import ExchangeClient
from p2pcli.node.plan import NodePlan
from p2pcli.node.process import run
from p2pcli.rpc.credentials import Credentials

START_S = 30.0


class Recovered(NamedTuple):
    """What became of a start. ``failure`` None: it served, at ``sequence`` with ``digest``."""

    failure: Exception | None
    sequence: int = 0
    digest: bytes = b""


def plan_in(home: Path, base: NodePlan) -> NodePlan:
    """Return the plan of the same node in a copy of its folders."""
    return msgspec.structs.replace(
        base, folder=str(home / "node"), log=f"sqlite://{home}/log", secret_path=str(home / "secret")
    )


def recovered(plan: NodePlan, market: str, credentials: Credentials) -> Recovered:
    """Start the node, look at its state, and stop it again."""
    stop, settled = threading.Event(), threading.Event()
    addresses: dict[str, str] = {}
    failures: list[Exception] = []

    def ready(given: dict[str, str]) -> None:
        addresses.update(given)
        settled.set()

    def serve() -> None:
        try:
            run(plan, ready, stop)
        except Exception as error:  # noqa: BLE001  whatever it is, the test looks at it
            failures.append(error)
        settled.set()

    thread = threading.Thread(target=serve)
    thread.start()
    assert settled.wait(START_S), "the node neither served nor failed"
    found = Recovered(None)
    try:
        if addresses and not failures:
            host, _, port = addresses["rpc"].rpartition(":")
            with ExchangeClient(host, int(port), credentials, timeout=START_S) as client:
                found = Recovered(None, *client.state_digest(market))
    finally:
        stop.set()
        thread.join(START_S)
    assert not thread.is_alive(), "the node did not stop"
    return Recovered(failures[0]) if failures else found
