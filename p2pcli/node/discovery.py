"""Finding peers: this node's announcements at the registry, and its lookups there.

The registry is never on the order path. While it is away, peers that are known stay known.
"""

import logging
import threading
from collections.abc import Callable

from p2pcli.clock import monotonic
from p2pcli.node.introduction import Address
from p2pcli.registry.client import RegistryClient, RegistryRefused, RegistryUnreachable

SOON_S = 0.25  # between looks while the cluster is coming up
CALM_S = 5.0
COMING_UP_S = 5.0

logger = logging.getLogger(__name__)


def service_name(cluster: str) -> str:
    """Return the name under which all nodes of a cluster announce themselves."""
    return f"p2px:{cluster}:node"


def node_service_name(cluster: str, node: str) -> str:
    """Return the name under which one node announces itself."""
    return f"p2px:{cluster}:node:{node}"


def market_service_name(cluster: str, symbol: str) -> str:
    """Return the name under which the nodes that host a market announce themselves."""
    return f"p2px:{cluster}:market:{symbol}"


class Discovery:
    """Repeats the announcements every ``announce_s`` seconds and reports the peers it finds."""

    def __init__(
        self,
        registry: RegistryClient,
        names: list[str],
        port: int,
        announce_s: float,
        found: Callable[[set[Address]], None],
    ) -> None:
        """``names[0]`` is the one that peers are looked up by. The registry's client is closed at the end."""
        self._client = registry
        self._names = names
        self._port = port
        self._announce_s = announce_s
        self._found = found
        self._stopping = threading.Event()
        self._trouble = ""

    def announce(self) -> bool:
        """Announce every name; says whether the registry took them all."""
        try:
            for name in self._names:
                self._client.announce(name, self._port)
        except (RegistryUnreachable, RegistryRefused) as error:
            self._report(error.message)
            return False
        self._report("")
        return True

    def run(self) -> None:
        """Announce and look around until stopped."""
        began = monotonic()
        due = began + self._announce_s
        while True:
            now = monotonic()
            if now >= due:
                due = now + (self._announce_s if self.announce() else 1.0)
            try:
                self._found(set(self._client.lookup(self._names[0])))
            except (RegistryUnreachable, RegistryRefused) as error:
                self._report(error.message)
            if self._stopping.wait(SOON_S if now - began < COMING_UP_S else CALM_S):
                break
        self._client.close()

    def stop(self) -> None:
        self._stopping.set()

    def _report(self, trouble: str) -> None:
        if trouble and not self._trouble:
            logger.warning("registry: %s", trouble)
        elif self._trouble and not trouble:
            logger.info("registry answers again")
        self._trouble = trouble
