"""Clients under chaos: each sends its planned orders at a steady pace and writes down what it is told.

A client has a route for every node, a ``RoamingClient`` that begins there and goes elsewhere when it
must. Its *echo*, a second thread, sends the planned repeats: late, out of order, at the same time as the
original, and always through another node than planned for it.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush

from p2pcli.clock import monotonic
from p2pcli.cluster.chaos.ledger import Telling, Told
from p2pcli.cluster.chaos.plan import Step
from p2pcli.errors import P2pxError
from p2pcli.market.commands import Command
from p2pcli.node.requests import Unknown
from p2pcli.node.roaming import Address, RoamingClient
from p2pcli.rpc.credentials import Credentials

DEADLINE_S = 10.0  # of one request, over all nodes it is tried at
MAX_ECHOES = 10_000  # repeats waiting; what a client cannot keep up with is left out
HOME_S = (1.0, 8.0)  # after which a route looks whether its own node is back, doubling

Places = Callable[[], Sequence[tuple[str, Address]]]  # the nodes as they are now, by name


class Routes:
    """One thread's ways into the cluster, on behalf of one owner. Not shared between threads."""

    def __init__(self, owner: str, market: str, credentials: Credentials, places: Places) -> None:
        self._owner = owner
        self._market = market
        self._credentials = credentials
        self._places = places
        self._names = [name for name, _ in places()]
        self._routes: dict[str, RoamingClient] = {}
        self._homes: dict[str, tuple[float, float]] = {}  # when to look again, and how long after that
        self.tellings: list[Telling] = []
        self.in_flight = ""  # name of the node through which a request is under way now
        self.highest = 0  # sequence that was acknowledged

    def tell(self, command: Command, through: int, *, is_repeat: bool = False) -> Telling:
        """Send a command, wait for what it comes to, and write that down."""
        name = self._names[through % len(self._names)]
        route = self._route(name)
        at = next((where for where, address in self._places() if address == route.address), name)
        sent = monotonic()
        self.in_flight = at
        try:
            answer = route.submit(self._market, [command])
        except P2pxError as error:
            told = Told.UNKNOWN if isinstance(error, Unknown) else Told.REFUSED
            telling = Telling(
                self._owner, command, at, sent, monotonic(), told, reason=error.code, is_repeat=is_repeat
            )
        else:
            telling = Telling(
                self._owner,
                command,
                at,
                sent,
                monotonic(),
                Told.OK,
                answer.sequence,
                answer.outcomes[0],
                is_repeat=is_repeat,
            )
            self.highest = max(self.highest, answer.sequence)
        self.in_flight = ""
        self.tellings.append(telling)
        return telling

    def close(self) -> None:
        """Hang up everywhere."""
        for route in self._routes.values():
            route.close()

    def _route(self, name: str) -> RoamingClient:
        route = self._routes.get(name)
        if route is None:
            route = RoamingClient(
                lambda: self._from(name), self._credentials, self._owner, deadline_s=DEADLINE_S
            )
            self._routes[name] = route
        elif route.address is not None and route.address not in self._at(name):
            due, pause = self._homes.get(name, (monotonic() + HOME_S[0], HOME_S[0]))
            if monotonic() >= due:
                route.close()
                pause = min(2 * pause, HOME_S[1])
                due = monotonic() + pause
            self._homes[name] = due, pause
        else:
            self._homes.pop(name, None)
        return route

    def _at(self, name: str) -> list[Address]:
        return [address for where, address in self._places() if where == name]

    def _from(self, name: str) -> list[Address]:
        """Return every address, that of ``name`` first and then round."""
        places = list(self._places())
        start = next((place for place, (where, _) in enumerate(places) if where == name), 0)
        return [address for _, address in places[start:] + places[:start]]


class Trader:
    """One client: a thread that sends its steps, and one for the repeats."""

    def __init__(
        self,
        owner: str,
        steps: Iterable[Step],
        market: str,
        credentials: Credentials,
        places: Places,
        interval: float,
        stop: threading.Event,
    ) -> None:
        """``interval`` is the time between two steps in seconds; a client that falls behind does not rush."""
        self.owner = owner
        self._steps = steps
        self._interval = interval
        self._stop = stop
        self.routes = Routes(owner, market, credentials, places)
        self.echo = Routes(owner, market, credentials, places)
        self._waiting: list[tuple[int, int, Command, int]] = []  # due step, turn, command, through
        self._reached = 0
        self._turns = 0
        self._over = False
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=run, name=f"{owner} {what}", daemon=True)
            for what, run in (("orders", self._send), ("repeats", self._send_again))
        ]

    @property
    def tellings(self) -> list[Telling]:
        return self.routes.tellings + self.echo.tellings

    @property
    def highest(self) -> int:
        """Return the highest sequence this client was acknowledged."""
        return max(self.routes.highest, self.echo.highest)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self, timeout: float) -> bool:
        """Wait for both threads to end; say whether they did."""
        deadline = monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def close(self) -> None:
        """Hang up; only after both threads ended."""
        self.routes.close()
        self.echo.close()

    def _send(self) -> None:
        due = monotonic()
        for step in self._steps:
            if self._stop.wait(max(0.0, due - monotonic())):
                break
            due = max(due + self._interval, monotonic() - self._interval)
            self._announce(step)
            self.routes.tell(step.command, step.through)
        with self._changed:
            self._over = True
            self._changed.notify()

    def _announce(self, step: Step) -> None:
        """Let the echo know how far its client is, and what to repeat."""
        with self._changed:
            self._reached = step.number
            for repeat in step.repeats:
                if len(self._waiting) < MAX_ECHOES:
                    self._turns += 1
                    through = repeat.through if repeat.through != step.through else repeat.through + 1
                    heappush(self._waiting, (step.number + repeat.later, self._turns, step.command, through))
            self._changed.notify()

    def _send_again(self) -> None:
        while True:
            with self._changed:
                while not self._over and not self._is_due():
                    self._changed.wait()
                if not self._waiting:
                    return
                _, _, command, through = heappop(self._waiting)
            self.echo.tell(command, through, is_repeat=True)

    def _is_due(self) -> bool:
        return bool(self._waiting) and self._waiting[0][0] <= self._reached
