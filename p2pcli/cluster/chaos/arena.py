"""The cluster as chaos sees it: where nodes are, which processes there are, and what each has in the end."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from p2pcli.clock import monotonic
from p2pcli.cluster.briefing import log_url
from p2pcli.cluster.chaos.ledger import Telling
from p2pcli.cluster.chaos.verdict import Judge, LogEntry, NodeState, judge
from p2pcli.cluster.control import Control
from p2pcli.cluster.folder import ClusterFolder, not_running
from p2pcli.cluster.plan import ClusterPlan
from p2pcli.cluster.report import ClusterReport, ClusterState
from p2pcli.cluster.up import StartFailed, bring_up
from p2pcli.errors import NotFound, NotRunning, P2pxError, TimedOut
from p2pcli.market.instrument import Instrument
from p2pcli.node.archive import Archive
from p2pcli.node.client import ExchangeClient
from p2pcli.node.engine import open_log
from p2pcli.node.export import book_rows
from p2pcli.node.record import Record
from p2pcli.node.requests import NotCaughtUp
from p2pcli.node.roaming import Address

FRESH_S = 0.05  # age at which the state file is read again
POLL_S = 0.02
READ_ENTRIES = 1000
TRIMS = 5  # of the log, while it is being read, after which reading is given up
ANSWER_S = 10.0
REST_S = 30.0  # for a healed node to have what others have: etcd may hold several elections in a row
REST_TRIES = 50  # readings of a node until book and digest are of one sequence

SUPERVISOR = "supervisor"


class NotHealed(TimedOut):
    """The cluster was not whole again in time."""

    code = "not_healed"


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the cluster, as its supervisor says."""

    name: str
    pid: int
    parent: int  # pid; 0: nobody in particular


class Arena:
    """One market of one running cluster. Any thread may ask."""

    def __init__(self, folder: ClusterFolder, market: str) -> None:
        plan = folder.plan()
        if plan is None:
            raise not_running(folder.name)
        self.folder = folder
        self.plan: ClusterPlan = plan
        self.credentials = folder.credentials()
        self.instrument: Instrument = next(each for each in plan.markets if each.symbol == market)
        self._lock = threading.Lock()
        self._read_at = 0.0
        self._places: list[tuple[str, Address]] = []

    @property
    def market(self) -> str:
        return self.instrument.symbol

    # -- who is where -----------------------------------------------------------------------------

    def places(self) -> list[tuple[str, Address]]:
        """Return every node's name and address, also where it is away just now: it comes back there."""
        with self._lock:
            if monotonic() - self._read_at > FRESH_S:
                report = self.folder.report()
                known = dict(self._places)
                for child in report.nodes if report else []:
                    if "rpc" in child.addresses:
                        known[child.name] = _address(child.addresses["rpc"])
                self._places = sorted(known.items())
                self._read_at = monotonic()
            return self._places

    def member_address(self, name: str) -> Address:
        """Return where a registry member speaks HTTP; members keep their ports."""
        plan = self.folder.plan() or self.plan
        slot = next(member for member in plan.members if member.name == name)
        return plan.host, slot.http_port

    def processes(self) -> list[Process]:
        """Return every process there is now, the supervisor first. Raises what ``Control`` raises."""
        with Control(self.folder) as control:
            report = control.report()
            found = [Process(SUPERVISOR, control.supervisor, 0)]
        return found + [
            Process(child.name, child.pid, control.supervisor) for child in report.children if child.pid
        ]

    def dial(self, name: str, timeout: float) -> ExchangeClient:
        """Connect to a node. Raises what ``ExchangeClient`` raises, and ``NotRunning`` without an address."""
        address = dict(self.places()).get(name)
        if address is None:
            raise NotRunning(f"{name} has no address")
        return ExchangeClient(*address, self.credentials, timeout=timeout)

    # -- healing ----------------------------------------------------------------------------------

    def bring_up(self, deadline: float, stop: threading.Event) -> None:
        """Have the cluster run as it was planned. Raises ``NotHealed``, and ``TimedOut`` kinds.

        A start that fails because another fault met it is tried again.
        """
        while True:
            try:
                bring_up(
                    self.folder,
                    lambda former: former or self.plan,
                    max(1.0, deadline - monotonic()),
                    lambda report: None,
                )
                return
            except (StartFailed, NotRunning, TimedOut) as error:
                if monotonic() > deadline:
                    raise NotHealed(f"cluster {self.folder.name} does not start: {error.message}") from error
            stop.wait(POLL_S)

    def heal(self, timeout: float) -> None:
        """Return once every process serves and every node answers. Raises ``NotHealed``."""
        deadline = monotonic() + timeout
        never = threading.Event()
        self.bring_up(deadline, never)
        said = "nothing was heard of it"
        while monotonic() < deadline:
            try:
                said = self._what_is_missing()
            except P2pxError as error:
                said = error.message
            if not said:
                return
            never.wait(POLL_S)
        raise NotHealed(f"cluster {self.folder.name} is not whole after {timeout:g} s: {said}")

    def _what_is_missing(self) -> str:
        with Control(self.folder) as control:
            report = control.report()
        if report.state is not ClusterState.READY:
            return _troubles(report)
        for child in report.nodes:
            with ExchangeClient(
                *_address(child.addresses["rpc"]), self.credentials, timeout=ANSWER_S
            ) as client:
                if client.status().pid != child.pid:
                    return f"{child.name} is another process"
        return ""

    # -- what there is ----------------------------------------------------------------------------

    def last_sequence(self) -> int:
        """Return the highest sequence that any node has applied. Raises ``P2pxError``."""
        found = 0
        for name, _ in self.places():
            with self.dial(name, ANSWER_S) as client:
                found = max(found, client.book(self.market, 1).sequence)
        return found

    def reference_price(self) -> int:
        """Return a price in ticks around which orders make sense: the last one, or some valid one."""
        with self.dial(self.places()[0][0], ANSWER_S) as client:
            last = client.book(self.market, 1).last_price
        return last or min(10_000, self.instrument.max_price // 2)

    def judge(self, tellings: list[Telling], since: int) -> Judge:
        """Read everything that the log and every node have, and compare it with what clients were told.

        The cluster must be whole and nobody trade. Raises ``NotHealed`` when nodes do not come to rest,
        and what reading a damaged log or history raises.
        """
        tries = TRIMS
        while True:
            try:
                return self._judged(tellings, since)
            except NotFound:  # the nodes trimmed what was just to be read
                tries -= 1
                if not tries:
                    raise

    def _judged(self, tellings: list[Telling], since: int) -> Judge:
        states = self._states()
        last = max(state.sequence for state in states)
        place = self.market.replace("/", "-")
        with ExitStack() as opened:
            histories = {}
            for state in states:
                path = self.folder.nodes / state.name / place / "history.db"
                histories[state.name] = _records(opened.enter_context(Archive(path)), last)
            log = open_log(log_url(self.plan, self.folder), place, self.plan.durable)
            opened.callback(log.close)
            first = log.first()
            return judge(self.market, tellings, (first, _entries(log.read, first)), histories, states, since)

    def _states(self) -> list[NodeState]:
        """Return what every node shows, all at one sequence."""
        goal = self.last_sequence()
        for _ in range(REST_TRIES):
            states = [self._state(name, goal) for name, _ in self.places() if name in self._hosts()]
            goal = max(state.sequence for state in states)
            if all(state.sequence == goal for state in states):
                return states
        raise NotHealed(f"the nodes of cluster {self.folder.name} do not come to rest at one sequence")

    def _hosts(self) -> set[str]:
        return {slot.name for slot in self.plan.nodes if not slot.hosts or self.market in slot.hosts}

    def _state(self, name: str, goal: int) -> NodeState:
        deadline = monotonic() + REST_S
        with self.dial(name, ANSWER_S) as client:
            while True:
                try:
                    sequence, book = client.full_book(self.market, goal)
                except NotCaughtUp:
                    if monotonic() > deadline:
                        raise
                    continue
                at, digest = client.state_digest(self.market)
                if at == sequence:
                    rows = [
                        (row["order"], row["owner"], row["side"], row["price"], row["remaining"])
                        for row in book_rows(self.market, book)
                    ]
                    return NodeState(name, sequence, digest, rows)
                goal = at


def _entries(read: Callable[[int, int], list[Any]], first: int) -> Iterator[LogEntry]:
    """Yield the entries of the log that ``read`` reads, from ``first`` on."""
    after = first - 1
    while found := read(after, READ_ENTRIES):
        for entry in found:
            batch = entry.batch
            yield LogEntry(entry.sequence, batch.producer, batch.epoch, batch.number, batch.body, entry.chain)
        after = found[-1].sequence


def _records(archive: Archive, last: int) -> Iterator[Record]:
    """Yield a node's records up to ``last``, once it has written them. Raises ``NotHealed``."""
    never = threading.Event()
    deadline = monotonic() + ANSWER_S
    while archive.last() < last:
        if monotonic() > deadline:
            raise NotHealed(f"{archive.path} ends at entry {archive.last()}, {last} is applied")
        never.wait(POLL_S)
    for record in archive.after(0):
        if record.sequence > last:
            return
        yield record


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return host, int(port)


def _troubles(report: ClusterReport) -> str:
    return ", ".join(
        f"{child.name} is {child.state.value}" + (f" ({child.last_error})" if child.last_error else "")
        for child in report.children
        if child.state.value != "running"
    )
