"""Requests for markets that this node does not host, on their way to a node that does, and back.

    session ──Errand──► Forwarding ──► Link, one a peer: queue ──Forward──► peer
       ▲                    ▲  │            │                                  │
       └───── the reply ────┼──┼────────────┴── in flight, by number ◄── reply ┘
                            │  └─► hosts of a market, looked up at the registry and kept
                            └── not done there (NotServing, nobody answers): the next host

What certainly did not happen goes to the next host; what may have happened is answered ``Unknown``, and
its sender repeats it under its id. A read may be asked again anywhere. A forwarded request is never
forwarded again, so none can go round.
"""

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable

from p2pcli.clock import monotonic
from p2pcli.errors import P2pxError
from p2pcli.node.introduction import Address, Introduction
from p2pcli.node.links import MAX_ERRANDS, Errand, Link
from p2pcli.node.requests import Busy, NotServing
from p2pcli.rpc.breaker import Breaker

REFRESH_S = 5.0  # how often the hosts of a market in use are looked up anew
IN_USE_S = 60.0  # since it was last asked for

logger = logging.getLogger(__name__)


class Forwarding:
    """The ways from this node to those that host other markets."""

    def __init__(
        self,
        me: Introduction,
        hosts: Callable[[str], set[Address]],
        fail_max: int,
        reset_after: float,
    ) -> None:
        """``hosts`` looks up where a market is hosted, besides here. Raises what the registry raises."""
        self._me = me
        self._fail_max = fail_max
        self._reset_after = reset_after
        self._look_up = hosts
        self._hosts: dict[str, list[Address]] = {}
        self._used: dict[str, float] = {}  # market: when it was last asked for
        self._links: dict[Address, Link] = {}
        self._homeless: deque[Errand] = deque()  # until their market's hosts are looked up
        self._pending: Counter[str] = Counter()  # of them, by market, also while they are placed
        self._changed = threading.Condition(threading.Lock())
        self._stopping = False

    def send(self, errand: Errand) -> None:
        """Take an errand over; its client is answered, whatever becomes of it."""
        self._used[errand.symbol] = monotonic()
        with self._changed:
            if self._pending[errand.symbol] and self._is_kept(errand):  # behind those before it
                return
        self.place(errand, "no node is known to")

    def place(self, errand: Errand, trouble: str) -> None:
        """Give an errand to the best host that it has not been to; to none is an answer too."""
        link = self._choose(errand)
        if link is not None:
            if not link.offer(errand):
                errand.refuse(
                    Busy(
                        f"node {self._me.name} has {MAX_ERRANDS} requests on their way to "
                        f"{link.address[0]}:{link.address[1]}",
                        hint="send again a little later, or through another node",
                    )
                )
            return
        with self._changed:
            if self._is_kept(errand):
                return
        errand.refuse(
            NotServing(
                f"node {self._me.name} reaches no node that hosts {errand.symbol}: {trouble}",
                hint="p2px cluster status shows who hosts what",
            )
        )

    def _is_kept(self, errand: Errand) -> bool:
        if errand.looked or self._stopping or len(self._homeless) >= MAX_ERRANDS:
            return False
        self._homeless.append(errand)
        self._pending[errand.symbol] += 1
        self._changed.notify()
        return True

    def run(self) -> None:
        """Look up hosts until stopped: at once for an errand that has none, and now and then anew."""
        while True:
            with self._changed:
                if not self._homeless and not self._stopping:
                    self._changed.wait(REFRESH_S)
                if self._stopping:
                    homeless, self._homeless = self._homeless, deque()
                    break
                homeless, self._homeless = self._homeless, deque()
            now = monotonic()
            symbols = {symbol for symbol, used in self._used.items() if now - used < IN_USE_S}
            for symbol in {errand.symbol for errand in homeless} or symbols:
                self._refresh(symbol)
            for errand in homeless:
                errand.looked = True
                self.place(errand, "no node that is announced for it answers")
            with self._changed:
                self._pending -= Counter(errand.symbol for errand in homeless)
        for errand in homeless:
            errand.refuse(NotServing(f"node {self._me.name} is stopping", hint="try another node"))

    def stop(self) -> None:
        """Let every thread end; what is in flight is answered ``Unknown``."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
            links = list(self._links.values())
        for link in links:
            link.stop()

    def _refresh(self, symbol: str) -> None:
        try:
            found = self._look_up(symbol)
        except P2pxError as error:  # what is known stays known
            logger.info("hosts of %s not looked up: %s", symbol, error.message)
            return
        self._hosts[symbol] = sorted(found)
        hosts = {address for addresses in self._hosts.values() for address in addresses}
        with self._changed:
            gone = [one for one in self._links if one not in hosts and self._links[one].is_idle]
            leaving = [self._links.pop(address) for address in gone]
        for link in leaving:
            link.stop()

    def _choose(self, errand: Errand) -> Link | None:
        addresses = [one for one in self._hosts.get(errand.symbol, ()) if one not in errand.tried]
        if not addresses:
            return None
        links = [self._link(address) for address in addresses]
        best = min(link.rank for link in links)
        choices = [link for link in links if link.rank == best]
        return choices[errand.caller.session % len(choices)]  # a session stays at one: it keeps its order

    def _link(self, address: Address) -> Link:
        with self._changed:
            link = self._links.get(address)
            if link is None:
                breaker = Breaker(f"{address[0]}:{address[1]}", self._fail_max, self._reset_after)
                link = self._links[address] = Link(address, breaker, self._me.call, self.place)
                thread = threading.Thread(target=link.run, name=f"forward {address[1]}", daemon=True)
                thread.start()
                if self._stopping:
                    link.stop()
        return link
