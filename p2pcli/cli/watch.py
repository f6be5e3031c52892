"""Reads that go on while nodes come and go: for ``-w`` and ``-f``."""

from collections.abc import Callable
from time import sleep
from typing import TYPE_CHECKING, TypeVar

from p2pcli.cli.reach import reach
from p2pcli.clock import monotonic
from p2pcli.errors import NotRunning, TimedOut
from p2pcli.node.client import ExchangeClient

if TYPE_CHECKING:
    from p2pcli.cli.invocation import Invocation

Answer = TypeVar("Answer")

PATIENCE_S = 30.0  # how long nobody may answer; a killed node is back within 10
PAUSE_S = 0.25
LONGEST_QUIET_S = 10.0  # beyond a node's own limit of waiting, so that it answers first


class Watch:
    """A client for reading that finds another connection when its own is lost. A context manager.

    Through the node that was named, else through any. ``client`` is the connection of the moment.
    """

    def __init__(self, invocation: "Invocation", node: str | None) -> None:
        self._invocation = invocation
        self._node = node
        self.client = self._connected()

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *exc: object) -> None:
        self.client.close()

    def ask(self, question: Callable[[ExchangeClient], Answer]) -> Answer:
        """Return the answer to ``question``, asked again after every loss.

        Raises what the last attempt raised once nobody answered for ``PATIENCE_S`` seconds.
        """
        try:
            return question(self.client)
        except (TimedOut, NotRunning) as lost:
            self._invocation.tell(f"{self.client.node}: {lost.message}")
        deadline = monotonic() + PATIENCE_S
        while True:
            self.client.close()
            try:
                self.client = self._connected()
                return question(self.client)
            except (TimedOut, NotRunning) as still:
                self._invocation.tell(still.message)
                if monotonic() > deadline:
                    raise
            sleep(PAUSE_S)

    def _connected(self) -> ExchangeClient:
        client = reach(self._invocation, self._node)
        client.timeout = max(client.timeout, LONGEST_QUIET_S)
        return client
