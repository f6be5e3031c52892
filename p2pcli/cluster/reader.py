"""Questions of one owner, put to whichever node answers."""

from collections.abc import Callable
from typing import TypeVar

from p2pcli.clock import monotonic
from p2pcli.cluster.whereabouts import Address, Whereabouts
from p2pcli.errors import NotRunning, TimedOut
from p2pcli.node.client import ExchangeClient
from p2pcli.node.roaming import ATTEMPT_S

_Shape = TypeVar("_Shape")


class Reader:
    """Asks the node that answered last, then each of the others, the one called ``first`` before them.

    Every answer shows at least what ``saw`` was told of, whichever node gives it.
    """

    def __init__(self, where: Whereabouts, first: str, owner: str, timeout: float) -> None:
        self.first = first
        self._where = where
        self._owner = owner
        self.timeout = timeout
        self._client: ExchangeClient | None = None
        self._seen: dict[str, int] = {}

    @property
    def node(self) -> str:
        """The node that answered last; "" after a ``close``."""
        return "" if self._client is None else self._client.node

    def close(self) -> None:
        """Hang up; the next question dials again."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def saw(self, market: str, sequence: int) -> None:
        """Have every later answer about a market show at least this sequence."""
        self._seen[market] = max(sequence, self._seen.get(market, 0))

    def ask(self, question: Callable[[ExchangeClient], _Shape]) -> _Shape:
        """Return the first answer; silent nodes are asked again with more patience. Raises ``NotRunning``.

        So a machine that is off costs ``ATTEMPT_S`` and not the whole timeout.
        """
        deadline, patience = monotonic() + self.timeout, ATTEMPT_S
        why = "none runs now"
        while True:
            is_silent = False
            for address in (None, *self._where.addresses(self.first)):
                if address is not None:
                    self.close()
                left = deadline - monotonic()
                if left <= 0:
                    break
                try:
                    client = self._client = self._client or self._connect(address, min(patience, left))
                    if client is None:
                        continue
                    client.timeout = min(patience, left)
                    for market, sequence in self._seen.items():
                        client.saw(market, sequence)
                    return question(client)
                except (NotRunning, TimedOut) as error:
                    is_silent = is_silent or isinstance(error, TimedOut)
                    why = error.message
            if not is_silent or monotonic() >= deadline:
                break
            patience *= 2
        raise NotRunning(
            f"no node of cluster {self._where.cluster} answers: {why}", hint="p2px cluster status"
        )

    def _connect(self, address: Address | None, patience: float) -> ExchangeClient | None:
        if address is None:
            return None
        return ExchangeClient(*address, self._where.credentials(), self._owner, patience)
