"""Every trade to every Grenache service that announces the name: once, in order per market.

Each machine tells of the trades that its own nodes committed, so every trade has exactly one teller, and
machines need not agree on one. On a machine one node broadcasts at a time: the one that holds a lock file
in the cluster's folder. When it ends, however it ends, the kernel frees the lock and another goes on at the
cursors, which are kept in a file: per service and market, the last trade it took. A service that was down
gets what it missed; one that appears for the first time begins with the next trade. A crash between a
service's answer and the cursor's write repeats that one trade, and its ``trade_id`` says so. Trades of
different machines may overtake each other; those of one machine never do.
"""

import fcntl
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from p2pcli.clock import monotonic
from p2pcli.errors import P2pxError
from p2pcli.grenache.client import GrenacheError, Line
from p2pcli.market.documents import trade_document
from p2pcli.node.client import ExchangeClient
from p2pcli.registry.client import RegistryClient
from p2pcli.rpc.breaker import Breaker, CircuitOpen

LOOKUP_S = 2.0  # between two looks for services, and between two tries for the lock
WAIT_S = 0.5  # longest wait for news of one market
PAGE = 200  # trades read at once
CALL_S = 5.0
MAX_SERVICES = 64  # cursors kept

Cursors = dict[str, dict[str, int]]  # service address -> market -> last trade delivered

logger = logging.getLogger(__name__)


class Subscriber:
    """One service that takes trades, behind its breaker."""

    def __init__(self, address: tuple[str, int], fail_max: int, reset_after: float) -> None:
        self.line = Line(address)
        self.breaker = Breaker(self.line.where, fail_max, reset_after)

    def take(self, key: str, document: dict[str, object]) -> bool:
        """Deliver one trade; says whether the service took it."""
        try:
            self.breaker.before_call(monotonic())
            self.line.call(key, document, CALL_S)
        except CircuitOpen:
            return False
        except GrenacheError as error:
            if self.breaker.failures == 0:
                logger.warning("trades not delivered: %s", error.message)
            self.breaker.on_failure(error, monotonic())
            return False
        self.breaker.on_success()
        return True


class Broadcast:
    """Reads trades from the node and delivers them, while this process holds the lock."""

    def __init__(
        self,
        connect: Callable[[], ExchangeClient],
        registry: list[str],
        key: str,
        folder: Path,
        nodes: Path,
        fail_max: int,
        reset_after: float,
    ) -> None:
        """``folder`` holds lock and cursors; ``nodes`` has a folder for every node of this machine."""
        self._connect = connect
        self._registry = RegistryClient(registry)
        self._key = key
        self._folder = folder
        self._nodes = nodes
        self._fail_max = fail_max
        self._reset_after = reset_after
        self._stopping = threading.Event()
        self._services: dict[str, Subscriber] = {}
        self._cursors: Cursors = {}

    def stop(self) -> None:
        """Let ``run`` return."""
        self._stopping.set()

    def run(self) -> None:
        """Wait for the lock, then deliver until stopped."""
        self._folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._folder / "broadcast.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while not _is_locked(descriptor):
                if self._stopping.wait(LOOKUP_S):
                    return
            self._cursors = self._load()
            while not self._stopping.is_set():
                try:
                    self._deliver()
                except P2pxError as error:  # the node or the registry is away for a while
                    logger.info("broadcast waits: %s", error.message)
                    self._stopping.wait(LOOKUP_S)
        finally:
            for service in self._services.values():
                service.line.close()
            self._registry.close()
            os.close(descriptor)

    def _deliver(self) -> None:
        with self._connect() as client:
            due = 0.0
            while not self._stopping.is_set():
                if monotonic() >= due:
                    self._look_around(client)
                    due = monotonic() + LOOKUP_S
                if not self._services:
                    self._stopping.wait(LOOKUP_S)
                    continue
                for market in client.instruments:
                    self._deliver_market(client, market)

    def _look_around(self, client: ExchangeClient) -> None:
        found = {
            f"{host}:{port}": (host, port) for host, port in self._registry.lookup(self._key)[:MAX_SERVICES]
        }
        for where in set(self._services) - set(found):
            self._services.pop(where).line.close()
        newcomers = set(found) - set(self._services)
        for where in newcomers:
            self._services[where] = Subscriber(found[where], self._fail_max, self._reset_after)
        if newcomers - set(self._cursors):
            now = {symbol: client.market_status(symbol).trades for symbol in client.instruments}
            for where in newcomers - set(self._cursors):
                self._cursors[where] = dict(now)
            self._save()

    def _deliver_market(self, client: ExchangeClient, market: str) -> None:
        """Bring every service up to date with one market, or wait a moment for news of it."""
        instrument = client.instruments[market]
        cursors = {where: self._cursors[where].setdefault(market, 0) for where in self._services}
        oldest = min(cursors.values())
        wait = 0.0 if len(set(cursors.values())) > 1 else WAIT_S / len(client.instruments)
        trades = client.trades(market, PAGE, after=oldest, wait=wait)
        # Looked at after the trades: a node has its folder before it commits. "": written before history knew
        # who committed it, when there was one machine only.
        own = {"", *(path.name for path in self._nodes.iterdir() if path.is_dir())} if trades else set()
        stuck: set[str] = set()
        for trade in trades:
            if trade.producer not in own:
                self._pass_over(market, trade.trade, stuck)
                continue
            document = trade_document(instrument, trade)
            for where, service in self._services.items():
                if where in stuck or self._cursors[where][market] >= trade.trade:
                    continue
                if service.take(self._key, document):
                    self._cursors[where][market] = trade.trade
                    self._save()
                else:
                    stuck.add(where)
        if trades:
            self._save()
        if stuck:
            self._stopping.wait(WAIT_S)

    def _pass_over(self, market: str, trade: int, stuck: set[str]) -> None:
        """Move the cursors past a trade that another machine tells of, but for services that lag behind."""
        for where in set(self._services) - stuck:
            self._cursors[where][market] = max(trade, self._cursors[where][market])

    def _load(self) -> Cursors:
        try:
            cursors: Cursors = msgspec.json.decode(
                (self._folder / "broadcast.json").read_bytes(), type=Cursors
            )
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError) as error:
            logger.warning("broadcast cursors are unreadable, services begin with the next trade: %s", error)
            return {}
        return cursors

    def _save(self) -> None:
        part = self._folder / "broadcast.part"
        part.write_bytes(msgspec.json.encode(self._cursors))
        part.replace(self._folder / "broadcast.json")


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
