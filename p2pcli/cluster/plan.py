"""Which processes a cluster is made of, with their names and ports. Values only, light to import.

The plan is decided once (planning.py) and kept in the cluster's folder, so that a restart, a later
``up`` and ``scale`` keep names, ports and market numbers: addresses that others remember stay true.
It is flat and has its own fields, so that the file does not change when a node's plan does.
"""

import msgspec

from p2pcli.cluster.report import BOT, NODE, REGISTRY
from p2pcli.market.instrument import Instrument

PLAN_VERSION = 1
MAX_NODES = 64
MAX_MEMBERS = 16
MAX_BOTS = 10
NODE_PROGRAM = "p2pcli.grenache.process"  # module whose run(plan, ready, stop) is the process
MEMBER_PROGRAM = "p2pcli.registry.process"
BOT_PROGRAM = "p2pcli.cluster.bot"


class NodeSlot(msgspec.Struct, frozen=True):
    """A node's name and the port it had last; 0 before its first start."""

    name: str
    port: int = 0
    hosts: tuple[str, ...] = ()  # symbols of its markets; none: all of the cluster


class MemberSlot(msgspec.Struct, frozen=True):
    """A registry member's name and ports; 0: any free one, settled before the first start."""

    name: str
    http_port: int = 0
    dht_port: int = 0


class LogAccess(msgspec.Struct, frozen=True):
    """What to show at the door of a log on etcd: paths of files and a name, "" where there is none."""

    ca: str = ""
    cert: str = ""
    key: str = ""
    user: str = ""
    password_file: str = ""


class ClusterPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One cluster: its processes and what they are told. Times in seconds, sizes in bytes."""

    version: int = PLAN_VERSION
    name: str
    nodes: tuple[NodeSlot, ...]
    members: tuple[MemberSlot, ...]
    markets: tuple[Instrument, ...]
    host: str = "127.0.0.1"
    log_url: str = "sqlite"  # "sqlite": in the cluster's folder
    log_identity: str = ""  # tells clusters of one name on one etcd apart; made when the cluster is
    log_access: LogAccess = LogAccess()
    durable: bool = True
    ephemeral: bool = False  # everything is deleted at `down`
    grapes: tuple[str, ...] = ()  # registries outside the cluster
    ring: tuple[str, ...] = ()  # DHT addresses of members on other machines
    free_ports: bool = True  # another port when the wanted one is taken; False: that is an error
    announce_s: float = 20.0
    exchange_name: str = "p2px:exchange"  # announced for Grenache callers
    trades_name: str = "p2px:trades"  # Grenache services of this name get every trade
    queued_commands: int = 10_000  # waiting to be appended, of one market at one node
    queued_batches: int = 1024  # waiting for one peer
    append_timeout_s: float = 5.0
    registry_timeout_s: float = 2.0
    snapshot_commands: int = 100_000  # applied between two snapshots of a market
    connections: int = 256  # of one node
    breaker_failures: int = 5
    breaker_reset_s: float = 2.0
    requests_per_minute: int = 0  # of one client at one node; 0: no limit
    performance_threshold_s: float = 0.1  # a slower operation is logged; 0: none is
    metrics_port: int = 0  # of client1, client2 has the next; 0: no metrics
    metrics_host: str = "127.0.0.1"
    grenache_host: str = "127.0.0.1"  # where Grenache callers, who prove nothing, are let in
    environment: str = ""
    log_level: str = "info"
    logs: str = ""  # folder of the log files; "": logs/ in the cluster's folder
    log_file_size: int = 10 << 20
    log_files: int = 5
    ready_timeout: float = 120.0  # a child that does not serve by then is killed
    stop_timeout: float = 10.0
    health_check_s: float = 1.0
    node_program: str = NODE_PROGRAM
    member_program: str = MEMBER_PROGRAM
    bots: int = 0  # example clients: bot1, bot2 ...
    bot_interval_s: float = 10.0  # between two orders of one
    bot_program: str = BOT_PROGRAM

    @property
    def engine(self) -> str:
        """Return the kind of log: ``sqlite`` or ``etcd``."""
        return self.log_url.partition(":")[0]

    @property
    def registry(self) -> tuple[str, ...]:
        """Return the HTTP addresses of every registry a node may ask."""
        own = (f"{self.host}:{member.http_port}" for member in self.members)
        return tuple(dict.fromkeys((*own, *self.grapes)))  # a cluster file lists them as others see them

    def metrics_port_of(self, name: str) -> int | None:
        """Return the port of a node's metrics, which follows its number; None: it has none."""
        if not self.metrics_port:
            return None
        return self.metrics_port + max(1, _number(name)) - 1

    @property
    def kinds(self) -> dict[str, str]:
        """Return each process' name and kind, nodes first, bots last."""
        nodes = {node.name: NODE for node in self.nodes}
        members = {member.name: REGISTRY for member in self.members}
        return nodes | members | {f"bot{number}": BOT for number in range(1, self.bots + 1)}


def with_node_count(plan: ClusterPlan, count: int) -> ClusterPlan:
    """Return the plan with ``count`` nodes: the highest numbers leave, new ones take the lowest free.

    A node that stays keeps its name and port.
    """
    nodes = sorted(plan.nodes, key=lambda node: _number(node.name))[:count]
    names = {node.name for node in nodes} | {member.name for member in plan.members}
    number = 1
    while len(nodes) < count:
        name = f"client{number}"
        if name not in names:
            nodes.append(NodeSlot(name))
        number += 1
    nodes.sort(key=lambda node: _number(node.name))
    return msgspec.structs.replace(plan, nodes=tuple(nodes))


def with_node_port(plan: ClusterPlan, name: str, port: int) -> ClusterPlan:
    """Return the plan with the port at which that node was last reached."""
    nodes = tuple(
        msgspec.structs.replace(node, port=port) if node.name == name else node for node in plan.nodes
    )
    return msgspec.structs.replace(plan, nodes=nodes)


def _number(name: str) -> int:
    digits = name.removeprefix("client")
    return int(digits) if digits.isdecimal() else 0
