"""How long each node takes to show what one of them has answered, while a load runs."""

import threading
from collections.abc import Callable, Mapping

from p2pcli.clock import monotonic
from p2pcli.errors import P2pxError
from p2pcli.node.client import ExchangeClient

EVERY_S = 0.1


class LagProbe:
    """Asks every node, ten times a second, for a book at least as new as the last answer to anybody.

    What it waits for the book is the node's lag, with the way there and back. A context manager.
    """

    def __init__(
        self, clients: Mapping[str, ExchangeClient], market: str, acknowledged: Callable[[], int]
    ) -> None:
        """``acknowledged`` gives the highest sequence that an answer has carried."""
        self._market = market
        self._acknowledged = acknowledged
        self._stopping = threading.Event()
        self._longest: dict[str, float] = dict.fromkeys(clients, 0.0)
        self._threads = [
            threading.Thread(target=self._watch, args=(name, client)) for name, client in clients.items()
        ]

    def __enter__(self) -> "LagProbe":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    @property
    def longest_ms(self) -> dict[str, float]:
        """Return each node's longest lag so far."""
        return {name: 1000 * seconds for name, seconds in self._longest.items()}

    def _watch(self, name: str, client: ExchangeClient) -> None:
        while not self._stopping.wait(EVERY_S):
            began = monotonic()
            try:
                client.book(self._market, levels=1, at_least=self._acknowledged())
            except P2pxError:  # so late that it gave up, or gone: the wait counts all the same
                pass
            self._longest[name] = max(self._longest[name], monotonic() - began)
