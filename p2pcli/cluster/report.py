"""What a cluster looks like at one moment: the values the supervisor shows and everyone else reads.

The same ``ClusterReport`` answers a request at the control socket, streams to a watcher and is written
to the state file, so that there is one description of a running cluster. Values only.
"""

from collections.abc import Iterable
from enum import Enum

import msgspec

from p2pcli.errors import NotFound

MAX_ERROR_TEXT = 300  # characters of one child's last error; a report must fit one datagram (requests.py)
MAX_CHILD_BYTES = 4 * MAX_ERROR_TEXT + 600  # of one child in a report
NODE = "node"
REGISTRY = "registry"
BOT = "bot"


class NoSuchChild(NotFound):
    """The cluster has no process of that name."""

    code = "no_such_node"


class State(Enum):
    """Where a child is in its life. Names as in supervisord, which people know."""

    STOPPED = "stopped"  # nobody wants it to run
    STARTING = "starting"  # spawned, has not said that it serves
    RUNNING = "running"  # serves
    BACKOFF = "backoff"  # ended too soon; will be tried again
    STOPPING = "stopping"  # asked to end, has not yet


class ClusterState(Enum):
    """The state of the whole."""

    STARTING = "starting"  # not every child has served yet since `up`
    READY = "ready"  # every child that is wanted runs
    DEGRADED = "degraded"  # some child that is wanted does not run
    STOPPING = "stopping"
    STOPPED = "stopped"


class ChildReport(msgspec.Struct, frozen=True):
    """One process of the cluster."""

    name: str
    kind: str  # NODE, REGISTRY or BOT
    state: State
    pid: int = 0  # 0: there is no process
    addresses: dict[
        str, str
    ] = {}  # {"rpc": "127.0.0.1:4321"}, or {"http": ..., "dht": ...}; empty until it serves
    restarts: int = 0  # starts after the first, since `up`
    serving_since: float = 0.0  # moment on the monotonic clock, which all processes of a machine share
    last_error: str = ""  # why it last ended without being asked; "": it never did

    def uptime_s(self, now: float) -> float:
        """Return for how long it has been serving; 0 when it does not."""
        return max(0.0, now - self.serving_since) if self.state is State.RUNNING else 0.0


class Failure(msgspec.Struct, frozen=True):
    """Why a cluster could not be started."""

    child: str
    reason: str
    tail: tuple[str, ...] = ()  # last lines of the child's log


class ClusterReport(msgspec.Struct, frozen=True, tag="report"):
    """All processes of one cluster: nodes, registry members, bots, each kind in the order of the plan."""

    cluster: str
    state: ClusterState
    log: str  # "sqlite" or "etcd"
    supervisor: int  # pid
    children: tuple[ChildReport, ...] = ()
    failure: Failure | None = None  # set when `up` failed; the state is then STOPPING or STOPPED
    warnings: tuple[str, ...] = ()  # sentences worth a line on stderr, e.g. a port that was taken

    @property
    def nodes(self) -> list[ChildReport]:
        """Return the nodes, in the order of the plan."""
        return [child for child in self.children if child.kind == NODE]

    @property
    def members(self) -> list[ChildReport]:
        """Return the registry members, in the order of the plan."""
        return [child for child in self.children if child.kind == REGISTRY]

    @property
    def bots(self) -> list[ChildReport]:
        """Return the example clients, in the order of the plan."""
        return [child for child in self.children if child.kind == BOT]

    @property
    def exchange(self) -> list[ChildReport]:
        """Return what the state of the cluster is about: all but the bots."""
        return [child for child in self.children if child.kind != BOT]

    def child(self, name: str) -> ChildReport:
        """Return the child of that name. Raises ``NoSuchChild``, naming those there are."""
        for child in self.children:
            if child.name == name:
                return child
        raise no_such_child(name, self.cluster, (child.name for child in self.children))


def no_such_child(name: str, cluster: str, names: Iterable[str]) -> NoSuchChild:
    """Return the error for a name that is none of ``names``."""
    known = ", ".join(names) or "none"
    return NoSuchChild(f"cluster {cluster} has no process {name!r}", hint=f"its processes are {known}")


def state_of(states: Iterable[State], *, was_ready: bool, is_ending: bool) -> ClusterState:
    """Return the state of the whole: a child that nobody wants to run does not count."""
    wanted = [state for state in states if state is not State.STOPPED]
    if is_ending:
        return ClusterState.STOPPING if wanted else ClusterState.STOPPED
    if not was_ready:
        return ClusterState.STARTING
    running = all(state is State.RUNNING for state in wanted)
    return ClusterState.READY if running else ClusterState.DEGRADED
