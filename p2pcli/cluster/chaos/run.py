"""One run of chaos from beginning to end: load and faults, then healing, and then the verdict."""

import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from p2pcli.clock import monotonic
from p2pcli.cluster.chaos import plan
from p2pcli.cluster.chaos.arena import Arena, NotHealed
from p2pcli.cluster.chaos.ledger import Telling, Told
from p2pcli.cluster.chaos.plan import Kind, Orders
from p2pcli.cluster.chaos.report import Report, Strike, counts, figures, unhealed
from p2pcli.cluster.chaos.strikes import Striker
from p2pcli.cluster.chaos.traders import DEADLINE_S, Trader
from p2pcli.cluster.chaos.verdict import Violation
from p2pcli.cluster.folder import ClusterFolder
from p2pcli.cluster.plan import ClusterPlan
from p2pcli.errors import P2pxError
from p2pcli.market.commands import CancelAll

HEAL_S = 60.0
PROGRESS_S = 0.2
SEEDS = 1 << 16  # to choose from, so that one is quickly typed again

OnProgress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Settings:
    """What kind of run it is."""

    seed: int
    duration: float = 30.0  # seconds of load
    clients: int = 8
    rate: float = 400.0  # requests a second offered by all clients together, planned repeats not counted
    every: float = 2.0  # seconds between two faults, on average
    kinds: Sequence[Kind] = tuple(Kind)


class Run:
    """One run against a cluster that is running."""

    def __init__(self, folder: ClusterFolder, market: str, settings: Settings) -> None:
        """Raises ``ClusterNotRunning`` and other failures to look at the cluster."""
        self._settings = settings
        self._arena = Arena(folder, market)
        self._stop = threading.Event()
        self._began = 0.0
        self._nodes = [name for name, _ in self._arena.places()]
        self._since = self._arena.last_sequence()
        tag = secrets.token_hex(4)  # no two runs share an id, or the second would be told the first's answers
        base = self._arena.reference_price()
        self._traders = [
            Trader(
                f"chaos{number}",
                Orders(settings.seed, number, f"{tag}-{number}", base),
                market,
                self._arena.credentials,
                self._arena.places,
                settings.clients / settings.rate,
                self._stop,
            )
            for number in range(1, settings.clients + 1)
        ]
        kinds = [kind for kind in settings.kinds if kind not in _too_much_for(self._arena.plan)]
        self.striker = Striker(
            self._arena,
            plan.faults(settings.seed, settings.duration, settings.every, kinds),
            self._is_in_flight,
            lambda: max(trader.highest for trader in self._traders),
            self._stop,
        )

    def carry_out(self, on_progress: OnProgress = lambda text: None) -> Report:
        """Return what came of it. Ctrl-C ends the load early; it is healed and judged all the same."""
        is_interrupted = False
        self.start()
        self.striker.start()
        try:
            self._await(self._began + self._settings.duration, on_progress)
        except KeyboardInterrupt:
            is_interrupted = True
        return self.finish(on_progress, is_interrupted)

    def start(self) -> None:
        """Let the clients begin. Whoever calls this strikes by himself, and then calls ``finish``."""
        self._began = monotonic()
        for trader in self._traders:
            trader.start()

    def finish(self, on_progress: OnProgress = lambda text: None, is_interrupted: bool = False) -> Report:
        """End the load, heal, and judge."""
        self._stop.set()
        load_s = monotonic() - self._began
        on_progress("healing")
        self.striker.join(2 * HEAL_S)
        problems, healed_s = self._heal()
        on_progress("judging")
        return self._report(load_s, healed_s, problems, is_interrupted)

    def _await(self, until: float, on_progress: OnProgress) -> None:
        while (left := until - monotonic()) > 0:
            told = sum(len(trader.routes.tellings) + len(trader.echo.tellings) for trader in self._traders)
            struck = self.striker.strikes
            last = f", last {struck[-1].kind.value} {struck[-1].process}" if struck else ""
            on_progress(f"{left:3.0f} s left, {told} answers, {len(struck)} faults{last}")
            self._stop.wait(min(PROGRESS_S, left))

    def _is_in_flight(self, name: str) -> bool:
        return any(
            routes.in_flight and name in ("", routes.in_flight)
            for trader in self._traders
            for routes in (trader.routes, trader.echo)
        )

    def _heal(self) -> tuple[list[Violation], float]:
        """Make the cluster whole, resolve what is unknown, and take the clients' orders out of the book."""
        began = monotonic()
        problems: list[Violation] = []
        try:
            self._arena.heal(HEAL_S)
        except NotHealed as error:
            problems.append(Violation("recovery", error.message))
        healed_s = monotonic() - began
        for trader in self._traders:
            if not trader.join(3 * DEADLINE_S):
                problems.append(Violation("recovery", f"client {trader.owner} still waits for an answer"))
                continue
            problems += _resolve(trader)
            trader.close()
        return problems, healed_s

    def _report(
        self, load_s: float, healed_s: float, problems: list[Violation], is_interrupted: bool
    ) -> Report:
        tellings = [telling for trader in self._traders for telling in trader.tellings]
        strikes = sorted(self.striker.strikes, key=lambda strike: strike.number)
        entries = trades = 0
        try:
            judge = self._arena.judge(tellings, self._since)
        except P2pxError as error:
            problems.append(Violation("verdict", error.message))
        else:
            problems += judge.violations.listed()
            entries, trades = judge.entries, judge.trades
        return Report(
            self._settings.seed,
            self._arena.folder.name,
            self._arena.market,
            len(self._nodes),
            len(self._traders),
            load_s,
            healed_s,
            counts(tellings, load_s),
            figures(strikes, tellings),
            [_relative(strike) for strike in strikes],
            entries,
            trades,
            problems + unhealed(strikes),
            is_interrupted,
        )


def any_seed() -> int:
    """Return a seed that nobody asked for."""
    return secrets.randbelow(SEEDS)


def _too_much_for(planned: ClusterPlan) -> tuple[Kind, ...]:
    """Return the faults that a cluster is not made to survive with its data."""
    found: tuple[Kind, ...] = ()
    if planned.ephemeral:
        found += (Kind.SUPERVISOR_KILLED, Kind.ALL_KILLED)
    if planned.engine != "sqlite":
        found += (Kind.WRITER_PAUSED,)
    if not planned.members:
        found += (Kind.REGISTRY_KILLED, Kind.REGISTRY_PAUSED)
    return found


def _resolve(trader: Trader) -> list[Violation]:
    """Repeat what is still unknown: a retry with the same id must say what became of it (S10)."""
    known = {telling.name for telling in trader.tellings if telling.told is Told.OK}
    problems = []
    doubtful = [each for each in trader.tellings if each.told is Told.UNKNOWN and each.name not in known]
    for telling in doubtful:
        again: Telling = trader.routes.tell(telling.command, 0, is_repeat=True)
        if again.told is not Told.OK:
            problems.append(
                Violation(
                    "S10", f"{telling.name[1]} of {telling.name[0]} stays {again.told.value}: {again.reason}"
                )
            )
    trader.routes.tell(CancelAll(None, secrets.token_hex(8)), 0)
    return problems


def _relative(strike: Strike) -> Strike:
    """Return a strike whose moments are seconds after it began."""
    changed = {
        name: round(getattr(strike, name) - strike.at, 4) if getattr(strike, name) else 0.0
        for name in ("orphans_gone", "back", "caught_up")
    }
    return msgspec.structs.replace(strike, **changed)
