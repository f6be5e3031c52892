"""``p2px node join``: one more node for a cluster, of this machine or another, in the foreground."""

from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from itertools import count
from threading import Event
from typing import TYPE_CHECKING, NamedTuple

import click
import msgspec

from p2pcli.cli.failure import Usage
from p2pcli.cli.foreground import serve
from p2pcli.cli.invocation import Invocation
from p2pcli.cli.verbs import Verb
from p2pcli.clock import now_ns
from p2pcli.cluster.briefing import log_url, node_plan
from p2pcli.cluster.folder import ClusterFolder, not_running
from p2pcli.cluster.folder_lock import FolderLock
from p2pcli.cluster.plan import ClusterPlan, NodeSlot
from p2pcli.cluster.planning import hosting, plan_cluster
from p2pcli.errors import BadInput, Conflict, P2pxError
from p2pcli.node.client import ExchangeClient
from p2pcli.node.discovery import node_service_name, service_name
from p2pcli.node.engine import check_access
from p2pcli.registry.client import RegistryClient
from p2pcli.rpc.auth import SecretRetired
from p2pcli.rpc.credentials import secret_id
from p2pcli.rpc.exposure import hosts_of
from p2pcli.rpc.tls import UnknownAuthority

if TYPE_CHECKING:
    from p2pcli.cluster.joining import Joining

MAX_NAME = 64
IS_THERE_S = 2.0  # how long a node of the same name has to answer


class NameTaken(Conflict):
    """The cluster has a node of that name already."""

    code = "name_taken"


class SecretReplaced(Conflict):
    """This machine has a secret or a CA that the cluster had before."""

    code = "secret_replaced"


class NoCredentials(BadInput):
    """Nothing on this machine proves that it belongs to the cluster."""

    code = "no_credentials"


@click.command(
    "join",
    cls=Verb,
    examples=(
        "p2px node join",
        "p2px node join --name bob",
        "p2px node join --cluster-file cluster.yaml --name bob --host 10.0.0.2",
        "p2px node join --cluster-file cluster.yaml --token p2px-join-... --market ETH/USD",
    ),
)
@click.option(
    "--cluster-file",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Settings of a cluster whose first machine is another; p2px cluster init writes them.",
)
@click.option(
    "--token",
    metavar="TOKEN",
    help="Join token, for a machine that has no credentials yet: p2px cluster token create prints one.",
)
@click.option("--name", "node", metavar="NAME", help="Its name; the next free clientN when left out.")
@click.option("--host", metavar="HOST", help="Address of this machine that it listens on.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Its RPC port; any free one when 0.")
@click.option(
    "--registry",
    "members",
    multiple=True,
    metavar="HOST:PORT",
    help="HTTP address of a registry member of this machine to announce at.",
)
@click.option(
    "--market",
    "markets",
    multiple=True,
    metavar="BASE/QUOTE",
    help="A market to host; repeat for more. Orders for others are forwarded; all when left out.",
)
@click.pass_obj
def join(
    invocation: Invocation,
    cluster_file: str | None,
    token: str | None,
    node: str | None,
    host: str | None,
    port: int,
    members: Sequence[str],
    markets: Sequence[str],
) -> None:
    """Run one more node of a cluster until Ctrl-C or SIGTERM.

    It reads the cluster's log, announces itself at the registry, and serves like any other. The supervisor
    does not know it: nothing restarts it. On another machine --cluster-file says where the cluster is, and
    a registry member of that machine runs with the node.
    """
    if node is not None:
        _check_name(node)
    if token is not None and cluster_file is None:
        raise Usage(
            "a token is for a machine that joins by a cluster file",
            hint="p2px node join --cluster-file FILE --token TOKEN",
        )
    wanted = _Wanted(node, host, port, members, markets)
    if cluster_file is None:
        _join_here(invocation, wanted)
    else:
        invocation.config_file = cluster_file
        _join_from_afar(invocation, token, wanted)


class _Wanted(NamedTuple):
    """What the options say of the node."""

    name: str | None
    host: str | None
    port: int
    members: Sequence[str]
    markets: Sequence[str]


def _join_here(invocation: Invocation, wanted: _Wanted) -> None:
    node, host, port, members, markets = wanted
    folder = invocation.folder
    plan = folder.plan()
    if plan is None:
        raise not_running(folder.name)
    if node in plan.kinds:
        raise NameTaken(
            f"cluster {plan.name} has a process {node} already", hint=f"p2px cluster start {node} starts it"
        )
    registry = tuple(members) or plan.registry
    name = node or _free_name(invocation, plan, registry)
    slot = hosting(plan, NodeSlot(name, port, tuple(markets)), ())
    whole = msgspec.structs.replace(plan, nodes=(*plan.nodes, slot), host=host or plan.host)
    joined = node_plan(whole, folder, name)
    metrics_port = joined.node.metrics_port and 0  # the numbered ports are the supervisor's nodes'
    joined = msgspec.structs.replace(
        joined,
        node=msgspec.structs.replace(joined.node, registry=list(registry), metrics_port=metrics_port),
    )
    with _OnlyOne(folder, name):
        invocation.screen.note(f"node {name} joins cluster {folder.name}")
        serve(invocation.screen, import_module(plan.node_program).run, joined)


def _join_from_afar(invocation: Invocation, token: str | None, wanted: _Wanted) -> None:
    from p2pcli import logging as output
    from p2pcli.cluster import joining

    node, host, port, members, markets = wanted
    config, folder = invocation.config, invocation.folder
    if folder.plan() is not None:
        raise Conflict(
            f"cluster {folder.name} was begun on this machine, in {folder.path}",
            hint="p2px node join without --cluster-file runs one more node of it here",
        )
    host = host or joining.host_towards(config)
    members = members or joining.members_here(config, host)
    registry = (*members, *config.registry.grapes)
    before = folder.joined()
    name = node or (before.name if before else _free_name(invocation, plan_cluster(config), registry))
    check_access(log_url(plan_cluster(config), folder))
    _become_one_of_it(invocation, token, name, host)
    folder.prepare()
    with _OnlyOne(folder, name):
        port = port or joining.port_before(folder, name, host)
        plan = joining.joining(config, folder, NodeSlot(name, port, tuple(markets)), host, members)
        _check_unused(invocation, name, registry)
        _check_current(invocation, registry)
        folder.keep_joined(joining.remembered(config, plan, before))
        with output.configure(
            name, folder.logs, config.logging.level, console=True, color=invocation.color or "auto"
        ):
            invocation.screen.note(f"node {name} joins cluster {folder.name} from {host}")
            serve(invocation.screen, partial(_run_kept, folder), plan)
            invocation.screen.note(f"node {name} has left")


def _run_kept(
    folder: ClusterFolder, plan: "Joining", ready: Callable[[dict[str, str]], None], stop: Event
) -> None:
    """Run what joins, and keep its port once it serves."""
    from p2pcli.cluster import joining

    def serving(addresses: dict[str, str]) -> None:
        joining.keep_port(folder, plan.node.node.name, addresses["rpc"])
        ready(addresses)

    joining.run(plan, serving, stop)


def _become_one_of_it(invocation: Invocation, token: str | None, name: str, host: str) -> None:
    """Enrol this machine with the token, unless it has all that a node of that name needs already.

    It does not when the token comes from another secret: the cluster's is being replaced, or was.
    """
    from p2pcli.node.rotating import MachineKeys
    from p2pcli.node.tls_folder import NoCertificate
    from p2pcli.node.tokens import read_token

    folder = invocation.folder
    trouble: P2pxError = NoCredentials(
        f"this machine has no credentials of cluster {folder.name}",
        hint="p2px cluster token create, on the cluster's first machine, prints what --token needs",
    )
    if folder.secret_path.exists():
        try:
            if shown := MachineKeys(folder.secret_path, folder.tls).shown():
                shown.issued(name, hosts_of(name, host), now_ns() // 10**9)
        except NoCertificate as error:
            trouble = error
        else:
            if token is None or read_token(token).secret_id == secret_id(folder.newest_secret()):
                return
    if token is None:
        raise trouble
    from p2pcli.cluster.enrol import enrol

    enrol(token, name, host, folder)
    invocation.screen.note(f"this machine is one of cluster {folder.name} now")


class _OnlyOne:
    """The right to be the node of that name in this folder. A context manager. Raises ``NameTaken``."""

    def __init__(self, folder: ClusterFolder, name: str) -> None:
        self._lock = FolderLock(folder.nodes / f"{name}.lock")
        self._name = name

    def __enter__(self) -> None:
        if not self._lock.take():
            raise NameTaken(f"node {self._name} runs on this machine already", hint="choose another --name")

    def __exit__(self, *exc: object) -> None:
        self._lock.release()


def _check_name(name: str) -> None:
    if len(name) > MAX_NAME or not all(c.isascii() and (c.isalnum() or c in "-_.") for c in name):
        raise BadInput(
            f"node name {name[:MAX_NAME]!a} is not 1 to {MAX_NAME} letters, digits, dots, - and _",
            hint="p2px node join --name bob",
        )


def _check_unused(invocation: Invocation, name: str, registry: Sequence[str]) -> None:
    """Raise ``NameTaken`` when a node of that name answers somewhere. An old announcement is no node."""
    cluster, credentials = invocation.folder.name, invocation.folder.credentials()
    try:
        with RegistryClient(list(registry), timeout=invocation.config.registry.request_timeout) as client:
            found = client.lookup(node_service_name(cluster, name))
    except P2pxError as error:  # none is reachable yet: two of one name stop each other in the log
        invocation.screen.note(f"note: {error.message}")
        return
    for host, port in found:
        try:
            with ExchangeClient(host, port, credentials, timeout=IS_THERE_S) as other:
                is_it = (other.cluster, other.node) == (cluster, name)
        except P2pxError as error:
            invocation.tell(f"{host}:{port}: {error.message}")
            continue
        if is_it:
            raise NameTaken(
                f"cluster {cluster} has a node {name} already, at {host}:{port}", hint="choose another --name"
            )


def _check_current(invocation: Invocation, registry: Sequence[str]) -> None:
    """Raise when the cluster's secret or CA was replaced while this machine was away.

    A node that does not know it would serve holders of the old one alone.
    """
    folder = invocation.folder
    try:
        with RegistryClient(list(registry), timeout=invocation.config.registry.request_timeout) as client:
            found = client.lookup(service_name(folder.name))
    except P2pxError:
        return
    trouble: P2pxError | None = None
    for host, port in found:
        try:
            ExchangeClient(host, port, folder.credentials(), timeout=IS_THERE_S).close()
        except (SecretRetired, UnknownAuthority) as error:
            trouble = error
        except P2pxError as error:
            invocation.tell(f"{host}:{port}: {error.message}")
        else:
            return
    if trouble is not None:
        raise SecretReplaced(
            f"the secret or CA of cluster {folder.name} was replaced while this machine was away: {trouble}",
            hint="p2px cluster token create, on the first machine, prints what --token needs",
        )


def _free_name(invocation: Invocation, plan: ClusterPlan, registry: Sequence[str]) -> str:
    """Return the first clientN that is neither in the plan nor announced."""
    with RegistryClient(list(registry), timeout=invocation.config.registry.request_timeout) as client:
        for number in count(1):
            name = f"client{number}"
            if name in plan.kinds:
                continue
            try:
                if not client.lookup(node_service_name(plan.name, name)):
                    return name
            except P2pxError as error:
                invocation.tell(error.message)
                return name
    raise AssertionError("there is always another number")
