"""A node that Grenache clients can call: the node, its gateway and the trade broadcast, one process."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from p2pcli.grenache.broadcast import Broadcast
from p2pcli.grenache.clerk import OWNER
from p2pcli.grenache.http import Gateway
from p2pcli.node import process as node
from p2pcli.node.client import ExchangeClient
from p2pcli.node.discovery import Discovery
from p2pcli.node.plan import NodePlan
from p2pcli.registry.client import RegistryClient
from p2pcli.rpc.exposure import is_loopback

JOIN_S = 5.0

logger = logging.getLogger(__name__)


class GatewayPlan(msgspec.Struct, frozen=True):
    """A node's plan and what its Grenache side is called."""

    node: NodePlan
    shared_folder: str  # of all nodes of the cluster on this machine: lock and cursors of the broadcast
    port: int = 0  # of the Grenache HTTP server; 0: a free one
    exchange_name: str = "p2px:exchange"  # announced for callers
    trades_name: str = "p2px:trades"  # looked up for services that want every trade
    host: str = "127.0.0.1"  # where callers are let in: they prove nothing


def run(
    plan: GatewayPlan,
    ready: Callable[[dict[str, str]], None],
    stop: threading.Event,
    waits: Callable[[str], None] = lambda why: None,
) -> None:
    """Run the node; once it serves, serve Grenache calls as well. As ``node.process.run``."""
    host = plan.node.host
    around: list[tuple[threading.Thread, Callable[[], None]]] = []

    def start(name: str, loop: Callable[[], None], end: Callable[[], None]) -> None:
        thread = threading.Thread(target=loop, name=name, daemon=True)
        thread.start()
        around.append((thread, end))

    def serving(addresses: dict[str, str]) -> None:
        port = int(addresses["rpc"].rpartition(":")[2])

        def connect() -> ExchangeClient:
            credentials = node.keyring_of(plan.node).credentials  # anew: the secret may have been replaced
            return ExchangeClient(host, port, credentials, owner=OWNER)

        gateway = Gateway(plan.host, plan.port, connect)
        start("grenache", gateway.run, gateway.stop)
        if plan.node.registry:
            broadcast = Broadcast(
                connect,
                plan.node.registry,
                plan.trades_name,
                Path(plan.shared_folder),
                Path(plan.node.folder).parent,
                plan.node.breaker_failures,
                plan.node.breaker_reset_s,
            )
            start("broadcast", broadcast.run, broadcast.stop)
        # What only this machine reaches is not announced to others, who would be told the node's address.
        if plan.node.registry and (is_loopback(host) or not is_loopback(plan.host)):
            announcer = Discovery(
                RegistryClient(plan.node.registry, plan.node.registry_timeout_s),
                [plan.exchange_name],
                gateway.port,
                plan.node.announce_s,
                lambda found: None,
            )
            announcer.announce()
            start("announce", announcer.run, announcer.stop)
        logger.info("serving Grenache calls on %s:%d", plan.host, gateway.port)
        ready({**addresses, "grenache": f"{plan.host}:{gateway.port}"})

    try:
        node.run(plan.node, serving, stop, waits)
    finally:
        for _, end in around:
            end()
        for thread, _ in around:
            thread.join(JOIN_S)
