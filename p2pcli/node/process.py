"""One exchange node as a process: opens, recovers, serves, and stops rather than lie."""

import gc
import logging
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from p2pcli import __version__
from p2pcli.clock import monotonic
from p2pcli.errors import P2pxError
from p2pcli.log.entry import Entry, OutOfReach
from p2pcli.market.views import NodeStatus
from p2pcli.node.distribution import Distribution
from p2pcli.node.fetching import peer_snapshots
from p2pcli.node.hosted import HostedMarket, PeerSnapshots
from p2pcli.node.keyring import Keyring
from p2pcli.node.metrics import NodeReading, render
from p2pcli.node.metrics_http import MetricsDoor
from p2pcli.node.peers import Peers
from p2pcli.node.plan import NodePlan
from p2pcli.node.porter import Porter
from p2pcli.node.server import Server
from p2pcli.rpc.exposure import check_protected, hosts_of
from p2pcli.rpc.tcp import Listener

JOIN_S = 5.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 4.0  # between two attempts to reach the log
LINGER_S = 0.1  # after the last answer, so that who sent an order meanwhile hears that it was not taken
SWITCH_S = 0.0005  # how long a busy thread may keep the interpreter from one that has an order; default 5 ms

logger = logging.getLogger(__name__)


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


def run(
    plan: NodePlan,
    ready: Callable[[dict[str, str]], None],
    stop: threading.Event,
    waits: Callable[[str], None] = lambda why: None,
) -> None:
    """Serve until ``stop`` is set; call ``ready`` with the address once orders are taken.

    While nobody answers where the log is kept it tries again, and calls ``waits`` with the reason each time.
    Raises the failure that ended the node: damage in the log, a failed sync, another process under its
    name. Whoever started it decides about a restart.
    """
    sys.setswitchinterval(SWITCH_S)
    pause_s = FIRST_PAUSE_S
    while True:
        threads = Threads(stop)
        try:
            _run(plan, threads, ready, stop)
        except OutOfReach as error:
            logger.warning("waiting for the log: %s", error.message)
            waits(error.message)
        else:
            break
        if stop.wait(pause_s):
            break
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
    if threads.failure is not None:
        raise threads.failure


def _run(
    plan: NodePlan, threads: Threads, ready: Callable[[dict[str, str]], None], stop: threading.Event
) -> None:
    """Open, recover, serve. Raises ``OutOfReach`` before it serves, and any other failure."""
    keyring = keyring_of(plan)
    listener = Listener(plan.host, plan.port)
    markets: list[HostedMarket] = []
    try:
        for instrument in plan.markets:
            if not plan.hosts or instrument.symbol in plan.hosts:
                markets.append(HostedMarket(plan, instrument, threads.start))
        _recover(markets, lambda symbol: peer_snapshots(plan, keyring.credentials, symbol), stop)
        if not stop.is_set():
            _serve(plan, keyring, listener, markets, threads, ready, stop)
    finally:
        listener.close()
        for market in markets:
            market.stop()


def _recover(
    markets: list[HostedMarket], fetch: Callable[[str], PeerSnapshots], stop: threading.Event
) -> None:
    gc.disable()  # what is made here stays: to look through it again and again took a third of a restore
    try:
        for market in markets:
            market.recover(fetch, stop)
    finally:
        gc.enable()


def _serve(
    plan: NodePlan,
    keyring: Keyring,
    listener: Listener,
    markets: list[HostedMarket],
    threads: Threads,
    ready: Callable[[dict[str, str]], None],
    stop: threading.Event,
) -> None:
    began = monotonic()
    peers = Peers(plan, keyring, listener.port)
    leaving = threading.Event()

    def leave() -> None:
        leaving.set()
        stop.set()

    server = Server(
        listener,
        plan.name,
        plan.cluster,
        Porter(plan.name, plan.cluster, keyring),
        plan.markets,
        markets,
        peers.forwarding,
        lambda: _status(plan, began, markets, peers.distribution, door),
        lambda host, port: peers.meet({(host, port)}),
        peers.distribution.reset,
        leave,
        plan.connections,
        plan.requests_per_minute,
        plan.slow_s,
    )
    door = _metrics_door(plan, server, markets, peers.distribution)
    for market in markets:
        market.start(_pusher(peers.distribution, market.instrument.number))
    threads.start("keys", server.watch_keys)
    accepting = threads.start("accept", server.run)
    if door is not None:
        threads.start("metrics", door.run)
    peers.start(threads.start)
    # What lives now lives for good: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    logger.info("serving on %s:%d", plan.host, listener.port)
    ready({"rpc": f"{plan.host}:{listener.port}"} | ({"metrics": door.address} if door is not None else {}))
    stop.wait()
    logger.info("leaving for good" if leaving.is_set() else "stopping")
    if door is not None:
        door.stop()
    peers.stop_announcing()
    for market in markets:
        market.close_doors(leaves=leaving.is_set())
    for market in markets:
        market.drain()
    threading.Event().wait(LINGER_S)
    server.stop()
    peers.stop()
    accepting.join(JOIN_S)


def _status(
    plan: NodePlan,
    began: float,
    markets: list[HostedMarket],
    distribution: Distribution,
    door: MetricsDoor | None,
) -> NodeStatus:
    return NodeStatus(
        plan.cluster,
        plan.name,
        os.getpid(),
        monotonic() - began,
        [market.status() for market in markets],
        distribution.peers(),
        __version__,
        distribution.breakers(),
        door.address if door is not None else "",
    )


def _metrics_door(
    plan: NodePlan, server: Server, markets: list[HostedMarket], distribution: Distribution
) -> MetricsDoor | None:
    """Bind the node's metrics, if it has any. Raises ``PortTaken``."""
    if plan.metrics_port is None:
        return None
    began = monotonic()

    def page() -> str:
        reading = NodeReading(
            plan.cluster,
            plan.name,
            __version__,
            monotonic() - began,
            server.connections,
            server.limited,
            [market.reading() for market in markets],
            distribution.readings(),
        )
        return render(reading)

    def problem() -> str:
        return "; ".join(status.problem for status in server.describe().markets if status.problem)

    return MetricsDoor(plan.metrics_host, plan.metrics_port, page, problem)


def _pusher(distribution: Distribution, market: int) -> Callable[[Entry], None]:
    return lambda entry: distribution.push(market, entry)


def keyring_of(plan: NodePlan) -> Keyring:
    """Return what a node of this plan shows and believes; with a CA, its certificate is good now.

    Raises ``Unprotected`` when others than this machine could reach a node without TLS, and as ``Keyring``.
    """
    tls = Path(plan.tls) if plan.tls else None
    keyring = Keyring(plan.name, hosts_of(plan.name, plan.host), Path(plan.secret_path), tls)
    check_protected(f"node {plan.name}", plan.host, has_tls=bool(keyring.credentials.ca))
    return keyring
