"""A cluster for Python programs and tests: up, trade, kill something, look, down.

    from p2pcli import Cluster

    with Cluster(nodes=3) as cluster, cluster.client() as client:
        client.buy("0.5", "30000")
        cluster.kill("client1")
        assert cluster.verify().ok

Unlike ``p2px cluster up``, it takes nothing from files or the environment: what is not said is the default.
"""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from p2pcli.clock import monotonic
from p2pcli.cluster.control import Control
from p2pcli.cluster.down import down
from p2pcli.cluster.exchange_client import ExchangeClient
from p2pcli.cluster.folder import ClusterFolder
from p2pcli.cluster.plan import ClusterPlan, MemberSlot
from p2pcli.cluster.planning import plan_cluster
from p2pcli.cluster.report import ClusterReport, ClusterState, State
from p2pcli.cluster.results import Verdict
from p2pcli.cluster.status import ClusterStatus, status_of
from p2pcli.cluster.up import bring_up
from p2pcli.config import load
from p2pcli.errors import P2pxError, TimedOut
from p2pcli.market.views import NodeStatus
from p2pcli.node.client import ExchangeClient as NodeClient

ANSWER_S = 5.0  # for each node that is asked
TRIES = 20  # readings of a market that moves, until all nodes were read at one sequence


class NotReady(TimedOut):
    """Not every process of the cluster served in time."""

    code = "not_ready"


class Cluster:
    """Several nodes and a registry, as processes of this machine on free ports. A context manager.

    ``home`` holds the cluster's folder, by default a temporary one that is deleted at ``down``. An
    ``ephemeral`` cluster skips fsync and leaves nothing; False keeps every acknowledged order, and an
    ``up`` at the same home goes on from there. ``settings`` are those of ``p2px config show``, such as
    ``{"logging.level": "debug"}``. ``timeout`` seconds for ``up``.
    """

    def __init__(
        self,
        nodes: int = 3,
        markets: Sequence[str] = ("BTC/USD",),
        *,
        name: str = "default",
        home: Path | str | None = None,
        ephemeral: bool = True,
        settings: Mapping[str, object] | None = None,
        timeout: float = 60.0,
    ) -> None:
        self._nodes = nodes
        self._markets = list(markets)
        self._name = name
        self._home = Path(home) if home is not None else None
        self._is_temporary = home is None
        self._ephemeral = ephemeral
        self._settings = dict(settings or {})
        self._timeout = timeout

    def __enter__(self) -> "Cluster":
        self.up()
        return self

    def __exit__(self, *exc: object) -> None:
        self.down()

    @property
    def home(self) -> Path:
        """The folder to give the command line as ``P2PX_HOME``. Only once it is up."""
        assert self._home is not None, "the cluster is not up"
        return self._home

    @property
    def nodes(self) -> list[str]:
        """The names of the nodes: client1, client2 ..."""
        return [child.name for child in self._report().nodes]

    def up(self) -> None:
        """Start every process and return when all serve; a cluster that runs already is left as it is.

        Raises ``StartFailed``, ``StartTimedOut``, ``PlanConflict``, and for settings ``BadInput`` kinds.
        """
        if self._home is None:
            self._home = Path(tempfile.mkdtemp(prefix="p2px-"))
        try:
            bring_up(self._folder(), self._plan, self._timeout, lambda report: None)
        except BaseException:
            self._forget()
            raise

    def down(self) -> None:
        """Stop every process; an ephemeral or temporary cluster is deleted. Repeating it is fine."""
        if self._home is None:
            return
        down(self._folder())
        self._forget()

    def client(
        self, node: str | None = None, owner: str | None = None, timeout: float = 10.0
    ) -> ExchangeClient:
        """Return a client that begins at ``node``, for ``owner``; see ``ExchangeClient``."""
        return ExchangeClient(self._name, node=node, owner=owner, home=self.home, timeout=timeout)

    def kill(self, node: str) -> None:
        """End a process at once (SIGKILL); it is started again by itself. Raises ``NoSuchChild``."""
        with Control(self._folder()) as control:
            control.kill_node(node)

    def stop(self, node: str) -> None:
        """Stop a process in order; it stays stopped until ``start``. Raises ``NoSuchChild``."""
        with Control(self._folder()) as control:
            control.stop_node(node, self._timeout)

    def start(self, node: str) -> None:
        """Start a process that was stopped, and return when it serves. Raises ``NoSuchChild``."""
        with Control(self._folder()) as control:
            control.start_node(node, self._timeout)

    def wait(self, timeout: float = 30.0) -> None:
        """Return once every process serves, after a ``kill`` for example. Raises ``NotReady``."""
        with Control(self._folder()) as control:
            try:
                for report in control.watch(monotonic() + timeout):
                    if report.state is ClusterState.READY:
                        return
            except TimedOut as error:
                late = [child.name for child in control.report().exchange if not _serves(child.state)]
                raise NotReady(
                    f"cluster {self._name} was not ready in {timeout:g} s, waiting for {', '.join(late)}"
                ) from error

    def status(self) -> ClusterStatus:
        """Return what ``p2px cluster status -o json`` shows: each process, its state and its numbers."""
        report, credentials = self._report(), self._folder().credentials()
        answers: dict[str, NodeStatus] = {}
        for name, (host, port) in _addresses(report).items():
            try:
                with NodeClient(host, port, credentials, timeout=ANSWER_S) as client:
                    answers[name] = client.status()
            except P2pxError:
                continue  # the status says that it did not answer
        return status_of(report, answers, monotonic())

    def verify(self) -> Verdict:
        """Compare the whole state of every node at one sequence: books, orders, ids, counters (S3).

        A node that cannot be asked is a problem too, and so is a market that does not rest long enough.
        """
        problems: list[str] = []
        clients: dict[str, NodeClient] = {}
        sequences: dict[str, int] = {}
        report, credentials = self._report(), self._folder().credentials()
        addresses = _addresses(report)
        try:
            for child in report.nodes:
                if child.name not in addresses:
                    problems.append(f"{child.name} does not serve: it is {child.state.value}")
                    continue
                try:
                    clients[child.name] = NodeClient(*addresses[child.name], credentials, timeout=ANSWER_S)
                except P2pxError as error:
                    problems.append(f"{child.name}: {error.message}")
            for symbol in next(iter(clients.values())).instruments if clients else ():
                hosts = {name: client for name, client in clients.items() if symbol in client.hosts}
                if hosts:
                    sequences[symbol] = _compare(hosts, symbol, problems)
                else:
                    problems.append(f"{symbol}: no node that can be asked hosts it")
        finally:
            for client in clients.values():
                client.close()
        return Verdict(not problems, sequences, tuple(problems))

    # -- how --------------------------------------------------------------------------------------

    def _folder(self) -> ClusterFolder:
        return ClusterFolder(self.home, self._name)

    def _report(self) -> ClusterReport:
        with Control(self._folder()) as control:
            return control.report()

    def _plan(self, former: ClusterPlan | None) -> ClusterPlan:
        flags: dict[str, object] = {
            **self._settings,
            "home": str(self.home),
            "cluster.name": self._name,
            "cluster.nodes": self._nodes,
            "markets": self._markets,
        }
        nothing = {"XDG_CONFIG_HOME": str(self.home)}  # so that the user's own settings are not read
        plan = plan_cluster(load(self.home, nothing, None, flags), former, ephemeral=self._ephemeral)
        if former is not None and not former.ephemeral:
            return plan
        members = tuple(MemberSlot(member.name) for member in plan.members)  # on free ports
        return msgspec.structs.replace(plan, members=members)

    def _forget(self) -> None:
        if self._is_temporary and self._home is not None:
            shutil.rmtree(self._home, ignore_errors=True)
            self._home = None


def _serves(state: State) -> bool:
    return state is State.RUNNING


def _addresses(report: ClusterReport) -> dict[str, tuple[str, int]]:
    found = {}
    for child in report.nodes:
        host, _, port = child.addresses.get("rpc", "").rpartition(":")
        if host:
            found[child.name] = (host, int(port))
    return found


def _compare(clients: Mapping[str, NodeClient], symbol: str, problems: list[str]) -> int:
    """Read every node's digest at one sequence and return that; add a sentence for each that differs."""
    said: dict[str, tuple[int, bytes]] = {}
    goal = 0
    for _ in range(TRIES):
        for name, client in clients.items():
            try:
                said[name] = client.state_digest(symbol, goal)
            except P2pxError as error:
                problems.append(f"{symbol} on {name}: {error.message}")
                return goal
        goal = max(sequence for sequence, _ in said.values())
        if all(sequence == goal for sequence, _ in said.values()):
            break
    else:
        problems.append(f"{symbol} moves too fast to be read on all nodes at one sequence")
        return goal
    first = next(iter(said))
    for name, state in said.items():
        if state != said[first]:
            problems.append(f"{symbol}: {name} and {first} differ at sequence {goal}")
    return goal
