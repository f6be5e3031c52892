"""One exchange node as a process: opens, recovers, serves, and stops rather than lie."""

import gc
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

from p2pcli import __version__
from p2pcli.clock import monotonic
from p2pcli.errors import BadInput, P2pxError
from p2pcli.log.entry import Entry
from p2pcli.market.views import NodeStatus
from p2pcli.node.discovery import Discovery, node_service_name, service_name
from p2pcli.node.distribution import Address, Distribution
from p2pcli.node.hosted import HostedMarket
from p2pcli.node.plan import NodePlan
from p2pcli.node.server import Server
from p2pcli.rpc.tcp import Listener

JOIN_S = 5.0

logger = logging.getLogger(__name__)


class BadSecretFile(BadInput):
    """The cluster's secret cannot be read, or others can read it too."""

    code = "bad_secret_file"


class Threads:
    """The node's threads. The first failure in any of them stops the node and is what it ends with."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self.failure: Exception | None = None

    def start(self, name: str, loop: Callable[[], None]) -> threading.Thread:
        """Start a daemon thread that runs ``loop`` once."""

        def guarded() -> None:
            try:
                loop()
            except Exception as error:  # the outermost loop: record it, stop the owner
                if self.failure is None:
                    self.failure = error
                logger.critical(
                    "thread %s failed: %s", name, error, exc_info=not isinstance(error, P2pxError)
                )
                self._stop.set()

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        thread.start()
        return thread


def run(plan: NodePlan, ready: Callable[[dict[str, str]], None], stop: threading.Event) -> None:
    """Serve until ``stop`` is set; call ``ready`` with the address once orders are taken.

    Raises the failure that ended the node: damage in the log, a failed sync, another process under its
    name. Whoever started it decides about a restart.
    """
    threads = Threads(stop)
    secret = read_secret(Path(plan.secret_path))
    listener = Listener(plan.host, plan.port)
    markets: list[HostedMarket] = []
    try:
        for instrument in plan.markets:
            markets.append(HostedMarket(plan, instrument, threads.start))
        for market in markets:
            market.recover()
        _serve(plan, secret, listener, markets, threads, ready, stop)
    finally:
        listener.close()
        for market in markets:
            market.stop()
    if threads.failure is not None:
        raise threads.failure


def _serve(
    plan: NodePlan,
    secret: bytes,
    listener: Listener,
    markets: list[HostedMarket],
    threads: Threads,
    ready: Callable[[dict[str, str]], None],
    stop: threading.Event,
) -> None:
    began = monotonic()
    me: Address = (plan.host, listener.port)
    distribution = Distribution(
        plan.name, plan.cluster, secret, listener.port, plan.breaker_failures, plan.breaker_reset_s
    )

    def found(addresses: set[Address]) -> None:
        distribution.keep(addresses - {me})
        distribution.add(addresses - {me})

    def status() -> NodeStatus:
        return NodeStatus(
            plan.cluster,
            plan.name,
            os.getpid(),
            monotonic() - began,
            [market.status() for market in markets],
            distribution.peers(),
            __version__,
        )

    server = Server(
        listener,
        plan.name,
        plan.cluster,
        secret,
        markets,
        status,
        lambda host, port: distribution.add({(host, port)} - {me}),
        plan.connections,
    )
    for market in markets:
        market.start(_pusher(distribution, market.instrument.number))
    accepting = threads.start("accept", server.run)
    discovery = None
    if plan.registry:
        names = [service_name(plan.cluster), node_service_name(plan.cluster, plan.name)]
        discovery = Discovery(plan.registry, names, listener.port, plan.announce_s, found)
        discovery.announce()
        threads.start("discover", discovery.run)
    # What lives now lives for good: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    logger.info("serving on %s:%d", *me)
    ready({"rpc": f"{plan.host}:{listener.port}"})
    stop.wait()
    logger.info("stopping")
    if discovery is not None:
        discovery.stop()
    for market in markets:
        if market.committer is not None:
            market.committer.stop()
    server.stop()
    distribution.stop()
    accepting.join(JOIN_S)


def _pusher(distribution: Distribution, market: int) -> Callable[[Entry], None]:
    return lambda entry: distribution.push(market, entry)


def read_secret(path: Path) -> bytes:
    """Return the cluster's secret. Raises ``BadSecretFile`` also when others may read the file."""
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii").strip()
        secret = bytes.fromhex(text)
    except (OSError, ValueError) as error:
        raise BadSecretFile(f"cannot read the cluster's secret {path}: {error}") from error
    if mode & 0o077:
        raise BadSecretFile(f"the secret {path} can be read by others", hint=f"chmod 600 {path}")
    if len(secret) < 16:
        raise BadSecretFile(f"the secret {path} has {len(secret)} bytes, expected at least 16")
    return secret
