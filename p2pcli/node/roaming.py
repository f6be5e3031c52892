"""A client that trades through whichever node answers, and always says which it is: ok, refused or unknown.

It repeats a command only under the same id, so a repeat has no second effect (S9) and turns
"unknown" into the first answer (S10). What does not pass in a moment is said at once: all nodes share the log
that is full, and each whose way to the log is barred is asked once.
"""

import random
import secrets
import threading
from collections.abc import Callable, Sequence

import msgspec

from p2pcli.clock import monotonic
from p2pcli.errors import Conflict, NotRunning, P2pxError, TimedOut
from p2pcli.log.entry import LogFull, LogRefuses
from p2pcli.market.commands import Checkpoint, Command, Define, Move, Place
from p2pcli.node.answers import Answer
from p2pcli.node.client import ExchangeClient
from p2pcli.node.requests import BadRequest, Busy, Forbidden, NoSuchMarket, NotServing, Unknown
from p2pcli.rpc.auth import KeyRefused
from p2pcli.rpc.credentials import Credentials

Address = tuple[str, int]

FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 0.5
ATTEMPT_S = 2.0  # longest wait for one node before another is asked
SHORTEST_ATTEMPT_S = 0.1


class NobodyServes(NotRunning):
    """No node of the cluster could be reached within the deadline; nothing was sent."""

    code = "nobody_serves"


FINAL = (BadRequest, Forbidden, LogFull, NoSuchMarket)  # whoever is asked would say the same


class RoamingClient:
    """Submits for one owner through any node of a cluster, beginning with the first address.

    ``addresses`` is asked again whenever a node fails, so nodes may move, and so are ``credentials`` that are
    a function: the cluster's secret may have been replaced. One thread at a time.
    """

    def __init__(
        self,
        addresses: Callable[[], Sequence[Address]],
        credentials: Credentials | Callable[[], Credentials],
        owner: str,
        deadline_s: float = 10.0,
        rng: random.Random | None = None,
    ) -> None:
        self._addresses = addresses
        self._credentials = credentials if callable(credentials) else lambda: credentials
        self._owner = owner
        self._deadline_s = deadline_s
        self._rng = rng or random.Random()
        self._client: ExchangeClient | None = None
        self._at: Address | None = None
        self._failed: list[Address] = []  # the one that failed last at the end
        self._lock = threading.Lock()

    def __enter__(self) -> "RoamingClient":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def address(self) -> Address | None:
        """Return where the node is that it talks to now, or talked to last; None before the first."""
        return self._at

    def close(self) -> None:
        """Hang up; the next command begins with the first address again."""
        with self._lock:
            self._leave()
            self._failed = []

    def submit(
        self,
        market: str,
        commands: Sequence[Command],
        within: float | None = None,
        *,
        is_unknown: bool = False,
    ) -> Answer:
        """Carry out the commands exactly once and return their outcomes.

        ``within`` is the time for this one in seconds, when somebody has waited before; else ``deadline_s``.
        ``is_unknown``: they were sent before, and may have taken effect.
        Commands without an id are given one. Raises a refusal (``Busy``, ``LogFull``, ``NobodyServes``,
        ``BadRequest`` ...) only when certainly nothing took effect, and otherwise ``Unknown``.
        """
        named = [with_id(command) for command in commands]
        began = monotonic()
        deadline = began + (self._deadline_s if within is None else within)
        barred: set[Address] = set()
        pause = FIRST_PAUSE_S
        trouble: P2pxError
        with self._lock:
            while True:
                try:
                    client = self._connected(deadline)
                except KeyRefused as error:
                    raise _verdict(is_unknown, error, began) from error
                except NobodyServes as error:  # nothing was sent this time
                    trouble = error
                else:
                    try:
                        return client.submit(market, named)
                    except FINAL as error:
                        raise _verdict(is_unknown, error, began) from error
                    except P2pxError as error:
                        trouble = error
                        is_unknown = is_unknown or not isinstance(error, Busy | LogRefuses | NotServing)
                    at = self._leave_behind()
                    if isinstance(trouble, LogRefuses):
                        barred.add(at)
                        if barred.issuperset(self._addresses()):
                            raise _verdict(is_unknown, trouble, began) from trouble
                if monotonic() + pause >= deadline:
                    raise _verdict(is_unknown, trouble, began) from trouble
                _pause(pause * self._rng.uniform(0.5, 1.0))
                pause = min(2 * pause, LONGEST_PAUSE_S)

    def _connected(self, deadline: float) -> ExchangeClient:
        """Return a client that waits for one answer as long as this command has time. Raises NobodyServes."""
        patience = min(ATTEMPT_S, max(deadline - monotonic(), SHORTEST_ATTEMPT_S))
        if self._client is not None:
            self._client.timeout = patience
            return self._client
        last: P2pxError | None = None
        addresses = self._addresses()
        self._failed = [address for address in self._failed if address in addresses]
        for address in [*(one for one in addresses if one not in self._failed), *self._failed]:
            left = deadline - monotonic()
            if left <= 0:
                break
            try:
                self._client = ExchangeClient(
                    *address, self._credentials(), owner=self._owner, timeout=min(ATTEMPT_S, left)
                )
            except KeyRefused:  # and so would every other node
                raise
            except (NotRunning, TimedOut, Conflict) as error:  # gone, silent, full, or somebody else by now
                last = error
                continue
            self._at = address
            return self._client
        reason = last.message if last else "no node is known"
        raise NobodyServes(f"no node can be reached: {reason}", hint="p2px cluster status")

    def _leave(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _leave_behind(self) -> Address:
        """Ask every other node before this one again."""
        assert self._at is not None, "somebody was asked"
        self._leave()
        self._failed = [*(one for one in self._failed if one != self._at), self._at]
        return self._at


def _verdict(is_unknown: bool, trouble: P2pxError, began: float) -> P2pxError:
    if not is_unknown:
        return trouble
    return Unknown(
        f"not known whether it took effect; after {monotonic() - began:.1f} s: {trouble.message}",
        hint="repeat it with the same client order id to find out",
    ).on(trouble.request_name)  # the last of several


def with_id(command: Command) -> Command:
    """Return the command with an id of its own, so that it can be repeated safely."""
    if isinstance(command, Define | Checkpoint | Move):
        return command
    if isinstance(command, Place):
        if command.client_order_id:
            return command
        return msgspec.structs.replace(command, client_order_id=new_id())
    if command.command_id:
        return command
    return msgspec.structs.replace(command, command_id=new_id())


def new_id() -> str:
    """Return an id that nobody else will choose: 16 hexadecimal digits."""
    return secrets.token_hex(8)


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)
