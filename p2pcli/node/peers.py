"""The other nodes, as one node knows them: found at the registry, pushed to, and asked for other markets."""

import threading
from collections.abc import Callable

from p2pcli.errors import NotRunning
from p2pcli.node.discovery import Discovery, market_service_name, node_service_name, service_name
from p2pcli.node.distribution import Distribution
from p2pcli.node.forwarding import Forwarding
from p2pcli.node.introduction import Address, Introduction
from p2pcli.node.keyring import Keyring
from p2pcli.node.plan import NodePlan
from p2pcli.registry.client import RegistryClient
from p2pcli.rpc.exposure import hosts_of


class Peers:
    """A node's announcements, its pushes and its forwarded requests. Start once, stop once."""

    def __init__(self, plan: NodePlan, keyring: Keyring, port: int) -> None:
        """``port`` is where this node listens."""
        self._plan = plan
        self._mine = {(host, port) for host in hosts_of(plan.name, plan.host)}
        self._hosts = set(plan.hosts) or {instrument.symbol for instrument in plan.markets}
        self._registry = RegistryClient(plan.registry, plan.registry_timeout_s)
        me = Introduction(plan.name, plan.cluster, keyring, port)
        breaker = plan.breaker_failures, plan.breaker_reset_s
        self.distribution = Distribution(me, *breaker, plan.queued_batches)
        self.forwarding = Forwarding(me, self._hosting, *breaker)
        names = [service_name(plan.cluster), node_service_name(plan.cluster, plan.name)]
        names += [market_service_name(plan.cluster, symbol) for symbol in sorted(self._hosts)]
        self._discovery = (
            Discovery(self._registry, names, port, plan.announce_s, self._found) if plan.registry else None
        )

    def start(self, run: Callable[[str, Callable[[], None]], threading.Thread]) -> None:
        """Announce this node, then go on looking for others. ``run(name, loop)`` starts a guarded thread."""
        if len(self._hosts) < len(self._plan.markets):
            run("forward", self.forwarding.run)
        if self._discovery is not None:
            self._discovery.announce()
            run("discover", self._discovery.run)

    def stop_announcing(self) -> None:
        """Let the announcements expire; what is under way goes on."""
        if self._discovery is not None:
            self._discovery.stop()

    def stop(self) -> None:
        """Hang up on everybody."""
        self.forwarding.stop()
        self.distribution.stop()

    def meet(self, addresses: set[Address]) -> None:
        """Begin to push to these addresses as well."""
        self.distribution.add(addresses - self._mine)

    def _found(self, addresses: set[Address]) -> None:
        self.distribution.keep(addresses - self._mine)
        self.meet(addresses)

    def _hosting(self, symbol: str) -> set[Address]:
        """Return where else a market is hosted: peers that are connected, and whom the registry knows."""
        number = next(instrument.number for instrument in self._plan.markets if instrument.symbol == symbol)
        known = self.distribution.hosting(number)
        if not self._plan.registry:
            return known
        try:
            announced = self._registry.lookup(market_service_name(self._plan.cluster, symbol))
        except NotRunning:
            if known:
                return known
            raise
        return (known | set(announced)) - self._mine
