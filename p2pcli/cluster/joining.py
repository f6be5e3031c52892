"""A machine that joins a running cluster: its part of the plan, and its two processes as one.

    cluster file, name, host ──► joining ──► Joining ──► run:  registry member (a thread), then the node

The member is this machine's own because of how Grenache announces: an announcement carries no host, so
whoever stores it takes the address that it came from. A node must announce at a member of its own machine.
"""

import socket
import threading
from collections.abc import Callable, Sequence

import msgspec

from p2pcli.cluster.briefing import member_plan, node_plan
from p2pcli.cluster.folder import ClusterFolder
from p2pcli.cluster.joined import Joined
from p2pcli.cluster.plan import MemberSlot, NodeSlot
from p2pcli.cluster.planning import hosting, plan_cluster
from p2pcli.cluster.ports import PortClaims, is_free, settle
from p2pcli.config import Config
from p2pcli.errors import BadInput, P2pxError
from p2pcli.grenache.process import GatewayPlan
from p2pcli.grenache.process import run as run_node
from p2pcli.node.discovery import service_name
from p2pcli.registry.client import RegistryClient
from p2pcli.registry.process import MemberPlan
from p2pcli.registry.process import run as run_member
from p2pcli.registry.udp import address_towards

MEMBER_S = 10.0  # until the member of this machine serves, and until it has ended


class NothingToJoin(BadInput):
    """The cluster file does not say where the cluster is."""

    code = "nothing_to_join"


class MemberFailed(P2pxError):
    """The registry member of this machine did not start."""

    code = "member_failed"


class Joining(msgspec.Struct, frozen=True):
    """What a machine runs to join."""

    node: GatewayPlan
    member: MemberPlan | None  # None: one that runs already is used


def host_towards(config: Config) -> str:
    """Return the address that this machine's processes listen on: as set, else the one the others see.

    A cluster file holds the host of the machine that made it, so only the environment sets it here.
    Raises ``NothingToJoin``.
    """
    if config.origin("cluster.host").startswith(("environment", "flag")):
        return config.cluster.host
    others = (*config.registry.ring, *config.registry.grapes)
    if not others:
        raise NothingToJoin(
            f"the settings of cluster {config.cluster.name} name no registry: neither registry.ring nor "
            "registry.grapes",
            hint="p2px cluster init on the first machine writes a file that does",
        )
    other, _, port = others[0].rpartition(":")
    return address_towards((other, int(port)))


def members_here(config: Config, host: str) -> tuple[str, ...]:
    """Return the registry member that serves this machine already, on the settings' first port; or none."""
    for port in config.registry.http_ports[:1]:
        address = f"{host}:{port}"
        try:
            with RegistryClient([address], config.registry.request_timeout) as member:
                member.lookup(service_name(config.cluster.name))
        except P2pxError:
            continue
        return (address,)
    return ()


def joining(
    config: Config, folder: ClusterFolder, slot: NodeSlot, host: str, members: Sequence[str]
) -> Joining:
    """Return what joins the cluster of these settings as the node ``slot``, listening on ``host``.

    ``members`` are HTTP addresses of registry members of this machine; without any it gets one of its own,
    on the settings' first ports or on free ones. Raises ``NothingToJoin``, ``PortTaken``, ``NotOurHost``.
    """
    whole = plan_cluster(config)
    if whole.log_url == "sqlite":
        raise NothingToJoin(
            f"cluster {whole.name} keeps its log in a folder of its first machine (log.url: sqlite)",
            hint="p2px log move takes it to etcd, which every machine reaches",
        )
    http, dht = next(iter(config.registry.http_ports), 0), next(iter(config.registry.dht_ports), 0)
    member = MemberSlot(f"registry-{slot.name}", http, dht)
    plan = msgspec.structs.replace(
        whole,
        nodes=(hosting(whole, slot, config.cluster.hosts),),
        members=() if members else (member,),
        host=host,
        grapes=tuple(members),
    )
    if members:
        return Joining(node_plan(plan, folder, slot.name), None)
    claims = PortClaims(host)
    try:
        plan, _ = settle(plan, claims)
    finally:
        claims.close()
    return Joining(node_plan(plan, folder, slot.name), member_plan(plan, folder, member.name))


def remembered(config: Config, plan: Joining, before: Joined | None = None) -> Joined:
    """Return what this machine keeps of the cluster: its own member first, then those of the file."""
    known = dict.fromkeys((*plan.node.node.registry, *config.registry.grapes))
    ports = before.ports if before is not None else {}
    return Joined(plan.node.node.name, tuple(known), plan.node.node.log, ports)


def port_before(folder: ClusterFolder, name: str, host: str) -> int:
    """Return where the node of that name listened last on this machine; 0 when that port is not free."""
    before = folder.joined()
    port = before.ports.get(name, 0) if before is not None else 0
    return port if port and is_free(host, port, socket.SOCK_STREAM) else 0


def keep_port(folder: ClusterFolder, name: str, address: str) -> None:
    """Keep where a node listens, for its next start."""
    before = folder.joined()
    if before is not None:
        ports = {**before.ports, name: int(address.rpartition(":")[2])}
        folder.keep_joined(msgspec.structs.replace(before, ports=ports))


def run(plan: Joining, ready: Callable[[dict[str, str]], None], stop: threading.Event) -> None:
    """Run the member, and the node within its life, until ``stop``. As ``node.process.run``."""
    if plan.member is None:
        run_node(plan.node, ready, stop)
        return
    with _Member(plan.member, stop) as addresses:
        run_node(plan.node, lambda more: ready({**more, **addresses}), stop)


class _Member:
    """The registry member of this machine in a thread. A context manager; when it fails, the node stops."""

    def __init__(self, plan: MemberPlan, node_stop: threading.Event) -> None:
        self._plan = plan
        self._node_stop = node_stop
        self._stop = threading.Event()
        self._settled = threading.Event()
        self._addresses: dict[str, str] = {}
        self._failure: P2pxError | None = None
        self._thread = threading.Thread(target=self._run, name="registry", daemon=True)

    def __enter__(self) -> dict[str, str]:
        self._thread.start()
        if not self._settled.wait(MEMBER_S) or self._failure is not None:
            why = self._failure.message if self._failure else f"it did not serve within {MEMBER_S:g} s"
            raise MemberFailed(f"the registry member of this machine did not start: {why}")
        return {"http": self._addresses["http"], "dht": self._addresses["dht"]}

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join(MEMBER_S)
        if self._failure is not None and exc[0] is None:
            raise self._failure

    def _run(self) -> None:
        def ready(addresses: dict[str, str]) -> None:
            self._addresses = addresses
            self._settled.set()

        try:
            run_member(self._plan, ready, self._stop)
        except P2pxError as error:
            self._failure = error
        finally:
            self._settled.set()
            if not self._stop.is_set():
                self._node_stop.set()
