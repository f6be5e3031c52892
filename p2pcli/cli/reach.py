"""Where a node is: the cluster's own notes first, the registry where they are missing or wrong.

The state file that the supervisor keeps is the cache: reading it takes 0.1 ms and needs nobody to
answer. A node proves its name and cluster in the handshake, so a stale address cannot mislead. Only
when it does not lead to the node is the registry asked, which costs an import and a request.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from p2pcli.cli.words import did_you_mean, listed
from p2pcli.errors import Conflict, NotFound, NotRunning, P2pxError, TimedOut
from p2pcli.node.client import ExchangeClient
from p2pcli.rpc.auth import KeyRefused
from p2pcli.rpc.tcp import HostUnreachable

if TYPE_CHECKING:
    from p2pcli.cli.invocation import Invocation
    from p2pcli.cluster.report import ClusterReport

FIRST_TRY_S = 1.0  # for one of several candidates: a paused node must not use up the whole timeout


class NoSuchNode(NotFound):
    """No node of the cluster has that name."""

    code = "no_such_node"


class NodeDown(NotRunning):
    """The cluster knows the node, but it does not answer."""

    code = "node_down"


def reach(invocation: "Invocation", node: str | None = None, owner: str = "") -> ExchangeClient:
    """Return a client of the node named, else of the settings' node, else of the first that answers.

    ``owner`` "" stands for the node's own name. Raises ``ClusterNotRunning``, ``NoSuchNode``,
    ``NodeDown``.
    """
    config, folder = invocation.config, invocation.folder
    credentials, report = invocation.credentials, folder.report()
    wanted = node or config.client.node
    failures: list[P2pxError] = []
    for name, address in _candidates(invocation, report, wanted):
        host, _, port = address.rpartition(":")
        timeout = config.client.timeout
        try:
            client = ExchangeClient(
                host, int(port), credentials, owner, timeout if wanted else min(timeout, FIRST_TRY_S)
            )
        except KeyRefused:
            raise  # every node would say the same
        except (NotRunning, TimedOut, Conflict) as error:
            invocation.tell(f"{name or 'a node'} at {address}: {error.message}")
            failures.append(error)
            continue
        if client.cluster == folder.name and (not wanted or client.node == wanted):
            client.timeout = timeout
            invocation.tell(f"{client.node} at {address} answers")
            return client
        client.close()
    raise _nobody(invocation, report, wanted, failures)


def addresses(invocation: "Invocation") -> list[tuple[str, int]]:
    """Return where nodes of the cluster may be reached, none twice."""
    found = []
    for _, address in _candidates(invocation, invocation.folder.report(), ""):
        host, _, port = address.rpartition(":")
        found.append((host, int(port)))
    return found


class Strangers(msgspec.Struct, frozen=True):
    """The nodes that this machine's supervisor does not run: joined here, or on other machines."""

    clients: dict[str, ExchangeClient]  # by name; whoever asked closes them
    problems: list[str]  # why one that is announced cannot be asked


def strangers(invocation: "Invocation", report: "ClusterReport | None", timeout: float) -> Strangers:
    """Connect to every announced node that the report does not list.

    An announcement outlives its node by up to 160 s, so nobody at an address is no problem; an address
    that takes calls and does not answer is one, and so is one to which there is no way.
    """
    folder, credentials = invocation.folder, invocation.credentials
    names = set(node_names(report))
    known = {child.addresses.get("rpc") for child in report.nodes} if report else set()
    found = Strangers({}, [])
    for address in announced(invocation, report):
        if address in known:
            continue
        host, _, port = address.rpartition(":")
        try:
            client = ExchangeClient(host, int(port), credentials, timeout=timeout)
        except (TimedOut, HostUnreachable) as error:
            found.problems.append(f"a node that is announced at {address}: {error.message}")
        except (NotRunning, Conflict) as error:
            invocation.tell(f"{address}: {error.message}")
        else:
            if client.cluster == folder.name and client.node not in names | set(found.clients):
                found.clients[client.node] = client
            else:
                client.close()
    return found


def node_names(report: "ClusterReport | None") -> list[str]:
    """Return the names of the nodes that the supervisor runs."""
    return [child.name for child in report.nodes] if report else []


def _candidates(
    invocation: "Invocation", report: "ClusterReport | None", wanted: str
) -> Iterator[tuple[str, str]]:
    """Yield (name or "", address) of each place where the node may be, the likeliest first, none twice."""
    tried = set()
    for child in report.nodes if report else []:
        address = child.addresses.get("rpc")
        if address and (not wanted or child.name == wanted):
            tried.add(address)
            yield child.name, address
    for address in announced(invocation, report, wanted):
        if address not in tried:
            yield wanted, address


def announced(invocation: "Invocation", report: "ClusterReport | None", wanted: str = "") -> list[str]:
    """Return where the registry knows that node, or all; nothing when no member answers."""
    from p2pcli.node.discovery import node_service_name, service_name
    from p2pcli.registry.client import RegistryClient

    members = registry_addresses(invocation, report)
    if not members:
        return []
    cluster = invocation.folder.name
    name = node_service_name(cluster, wanted) if wanted else service_name(cluster)
    try:
        with RegistryClient(members, timeout=invocation.config.registry.request_timeout) as registry:
            found = registry.lookup(name)
    except P2pxError as error:
        invocation.tell(f"registry: {error.message}")
        return []
    invocation.tell(f"registry: {name} is at {listed(f'{host}:{port}' for host, port in found)}")
    return [f"{host}:{port}" for host, port in found]


def registry_addresses(invocation: "Invocation", report: "ClusterReport | None") -> list[str]:
    """Return the HTTP addresses of the cluster's registry: external Grapes, or members here or elsewhere."""
    members = report.members if report else []
    found = [child.addresses["http"] for child in members if "http" in child.addresses]
    folder = invocation.folder
    if (plan := None if found else folder.plan()) is not None:
        return list(plan.registry if report else plan.grapes)  # without a supervisor no member of its runs
    joined = None if found else folder.joined()
    return list(
        dict.fromkeys((*found, *(joined.registry if joined else ()), *invocation.config.registry.grapes))
    )


def _nobody(
    invocation: "Invocation", report: "ClusterReport | None", wanted: str, failures: list[P2pxError]
) -> P2pxError:
    from p2pcli.cluster.control import Control
    from p2pcli.cluster.report import State

    cluster, names = invocation.folder.name, node_names(report)
    if report is None and (invocation.config.key is not None or invocation.config.cluster.ca):
        why = "; ".join(error.message for error in failures) or "no address of it is known"
        return NodeDown(
            f"no node of cluster {cluster} can be reached from here: {why}",
            hint="--config FILE, the cluster file that p2px cluster init wrote, says where it is",
        )
    is_elsewhere = report is None and bool(registry_addresses(invocation, report))
    if not is_elsewhere and (not failures or all(isinstance(error, NotRunning) for error in failures)):
        with Control(invocation.folder):  # raises ClusterNotRunning when there is no supervisor either
            pass
    if wanted and wanted not in names:
        others = strangers(invocation, report, FIRST_TRY_S).clients
        for client in others.values():
            client.close()
        names = [*names, *others]
    if wanted and wanted not in names:
        return NoSuchNode(
            f"cluster {cluster} has no node {wanted[:60]!a}; its nodes are {listed(names)}",
            hint=did_you_mean(wanted, names) or "p2px cluster status",
        )
    stopped = [child.name for child in report.nodes if child.state is State.STOPPED] if report else []
    if wanted in stopped:
        return NodeDown(f"node {wanted} of cluster {cluster} is stopped", hint=f"p2px cluster start {wanted}")
    what = f"node {wanted}" if wanted else "no node"
    answers = "does not answer" if wanted else "answers"
    why = "; ".join(error.message for error in failures) or "it has no address now"
    hints = {error.hint for error in failures if isinstance(error, Conflict)}
    hint = next(iter(hints)) if len(hints) == 1 else None  # what all of them say helps more
    return NodeDown(f"{what} of cluster {cluster} {answers}: {why}", hint=hint or "p2px cluster status")
