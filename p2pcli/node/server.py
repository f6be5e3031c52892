"""The node's RPC server: an acceptor thread and one reader thread per connection."""

import logging
import resource
import threading
from collections.abc import Callable, Sequence
from itertools import count

from p2pcli.clock import monotonic
from p2pcli.errors import Conflict, P2pxError, harmless
from p2pcli.market.instrument import Instrument
from p2pcli.market.views import BreakerView, NodeStatus
from p2pcli.node.allowance import Allowances
from p2pcli.node.forwarding import Forwarding
from p2pcli.node.hosted import HostedMarket
from p2pcli.node.permissions import check_key
from p2pcli.node.porter import Porter
from p2pcli.node.requests import Busy, Greeting, NoSuchMarket, Rotate, encode
from p2pcli.node.rotation import RotationView
from p2pcli.node.session import Session
from p2pcli.rpc.auth import BUSY, ROLE_OWNER, ROLE_PEER, Away, Hello, SecretRetired
from p2pcli.rpc.frame import framed
from p2pcli.rpc.tcp import Connection, ConnectionLost, Listener

OUT_OF_DESCRIPTORS_S = 0.1  # pause before accepting again; without it the acceptor would spin
STRANGER_S = 1.0  # after which a caller without a proof loses its place when the node is full
STACK_BYTES = 512 << 10  # per reader thread
OWN_DESCRIPTORS = 40  # files, peers and registry of one market's node, and a few to turn callers away with

logger = logging.getLogger(__name__)


class Server:
    """Answers clients and takes pushes from peers, for all markets of one node."""

    def __init__(
        self,
        listener: Listener,
        name: str,
        cluster: str,
        porter: Porter,
        instruments: Sequence[Instrument],
        markets: list[HostedMarket],
        forwarding: Forwarding,
        status: Callable[[], NodeStatus],
        found_peer: Callable[[str, int], None],
        reset_breaker: Callable[[str], BreakerView],
        leave: Callable[[], None],
        connections: int,
        requests_per_minute: int = 0,
        slow_s: float = 0.0,
    ) -> None:
        """``instruments`` are the cluster's markets, ``markets`` those hosted here; the rest is forwarded."""
        self._listener = listener
        self._name = name
        self._cluster = cluster
        self.porter = porter
        self._markets = {market.instrument.number: market for market in markets}
        self._status = status
        self._found_peer = found_peer
        self._instruments = {instrument.number: instrument for instrument in instruments}
        self.forwarding = forwarding
        self.reset_breaker = reset_breaker
        self.leave = leave
        self.session_numbers = count(1)
        self.slow_s = slow_s
        self._allowances = Allowances(requests_per_minute)
        self._limit = min(connections, callers_that_fit())
        self._greeting = encode(Greeting(name, cluster, list(instruments), list(self._markets)))
        self._open: set[Connection] = set()
        self._strangers: dict[Connection, float] = {}  # who has proved nothing yet, and since when
        self._callers: dict[Connection, Hello] = {}  # those who are in
        self._revocation = threading.Event()
        for market in markets:
            market.replica.on_revocation = self._revocation.set
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    def run(self) -> None:
        """Accept until stopped."""
        threading.stack_size(STACK_BYTES)
        while not self._stopping.is_set():
            try:
                sock = self._listener.accept()
            except OSError as error:
                logger.warning("cannot accept: %s", error.strerror)
                self._stopping.wait(OUT_OF_DESCRIPTORS_S)
                continue
            if sock is None:
                return
            try:
                connection = Connection(sock)
            except ConnectionLost:  # the caller was gone before it was greeted
                sock.close()
                continue
            with self._lock:
                slow = self._slowest() if len(self._open) >= self._limit else None
                has_room = len(self._open) < self._limit
                if has_room:
                    self._open.add(connection)
                    self._strangers[connection] = monotonic()
            if slow is not None:
                slow.close()
            if not has_room:
                self._turn_away(connection)
            else:
                threading.Thread(target=self._serve, args=(connection,), name="reader", daemon=True).start()

    def stop(self) -> None:
        """Accept nobody and hang up on everybody."""
        self._stopping.set()
        self._listener.close()
        self._revocation.set()
        with self._lock:
            for connection in self._open:
                connection.close()

    def _slowest(self) -> Connection | None:
        """Take the place of whoever has not proved anything for long, so that such callers fill no node."""
        connection, since = next(iter(self._strangers.items()), (None, 0.0))
        if connection is None or monotonic() - since < STRANGER_S:
            return None
        del self._strangers[connection]
        self._open.discard(connection)
        return connection

    def _turn_away(self, connection: Connection) -> None:
        away = Away(BUSY, f"node {self._name} has {self._limit} connections, its limit")
        try:
            connection.send(framed(encode(away)))
        except P2pxError:
            pass
        connection.release()

    def _serve(self, connection: Connection) -> None:
        try:
            hello = self.porter.greet(connection, self._greeting, self._check_key)
            if hello is None:
                return
            with self._lock:
                self._strangers.pop(connection, None)
                self._callers[connection] = hello
            self._check_caller(hello)  # again: a key may have been revoked before this was listed
            if hello.role == ROLE_PEER and hello.caller_port:
                self._found_peer(connection.address.rpartition(":")[0], hello.caller_port)
            session = Session(self, connection, hello)
            for payloads in connection.receive():
                session.take(payloads)
        except P2pxError as error:
            logger.info("connection from %s ended: %s", connection.address, error.message)
        finally:
            with self._lock:
                self._open.discard(connection)
                self._strangers.pop(connection, None)
                self._callers.pop(connection, None)
            connection.release()

    def rotate(self, hello: Hello, wanted: Rotate) -> RotationView:
        """Go on with a rotation, and hang up on whoever's secret is good no more. Raises as the porter."""
        reached = self.porter.rotate(hello, wanted)
        self._revocation.set()
        return reached

    def watch_keys(self) -> None:
        """Hang up on whoever's key is revoked or secret replaced, until stopped."""
        while self._revocation.wait() and not self._stopping.is_set():
            self._revocation.clear()
            with self._lock:
                callers = dict(self._callers)
            for connection, hello in callers.items():
                try:
                    self._check_caller(hello)
                except Conflict as error:
                    logger.warning("hanging up on %s: %s", connection.address, error.message)
                    connection.close()

    def _check_caller(self, hello: Hello) -> None:
        """Raise ``KeyRefused`` or ``SecretRetired`` unless a caller who is in may stay."""
        if not self.porter.is_welcome(hello):
            raise SecretRetired("the cluster's secret was replaced")
        if hello.role == ROLE_OWNER:
            self._check_key(hello)

    def _check_key(self, hello: Hello) -> None:
        """Raise ``KeyRefused`` unless the caller's key is good in the markets here."""
        known = []
        for market in self._markets.values():
            with market.replica.reading() as machine:
                known.append(machine.keys.get(hello.key))
        check_key(hello, known)

    # -- what sessions need -----------------------------------------------------------------------

    def hosted(self, number: int) -> HostedMarket | None:
        """Return a market of this node, None for one that others host. Raises ``NoSuchMarket``."""
        market = self._markets.get(number)
        if market is None and number not in self._instruments:
            raise NoSuchMarket(f"node {self._name} has no market number {number}")
        return market

    def instrument(self, number: int) -> Instrument:
        return self._instruments[number]

    def describe(self) -> NodeStatus:
        return self._status()

    @property
    def name(self) -> str:
        return self._name

    @property
    def connections(self) -> int:
        return len(self._open)

    @property
    def limited(self) -> int:
        """Return how many requests were refused because their owner had sent too many."""
        return self._allowances.refused

    def allow(self, owner: str) -> None:
        """Count one request of this owner. Raises ``Busy`` when it has sent too many in the last minute."""
        limit = self._allowances.per_minute
        if not limit:
            return
        with self._lock:
            wait = self._allowances.take(owner, monotonic())
        if wait:
            raise Busy(
                f"{harmless(owner)} has sent more than {limit} requests a minute to node {self._name}",
                hint=f"send again in {wait:.1f} s; the setting is node.requests_per_minute",
            )


def callers_that_fit() -> int:
    """Return how many connections the limit of open files leaves room for, at least one.

    Without descriptors nobody could be turned away, and a health check that is not answered kills the node.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, soft - OWN_DESCRIPTORS)
