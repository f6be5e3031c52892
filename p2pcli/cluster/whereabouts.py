"""Where the nodes of a cluster are, for a Python program: the supervisor's notes first, then the registry."""

from p2pcli.cluster.folder import ClusterFolder, not_running
from p2pcli.errors import P2pxError
from p2pcli.node.client import ExchangeClient
from p2pcli.node.discovery import node_service_name, service_name
from p2pcli.registry.client import RegistryClient
from p2pcli.rpc.credentials import Credentials

ANSWER_S = 2.0  # of each node that is asked for its name, and of each registry member

Address = tuple[str, int]


def node_names(folder: ClusterFolder, credentials: Credentials) -> list[str]:
    """Return the supervisor's nodes; on a machine without one, those that answer where one is announced.

    Raises ``ClusterNotRunning`` when there are none.
    """
    report = folder.report()
    names = [child.name for child in report.nodes] if report else []
    if not names:
        names = [
            name for address in _announced(folder, "") if (name := _name_at(address, folder, credentials))
        ]
    if not names:
        raise not_running(folder.name)
    return names


def addresses(folder: ClusterFolder, first: str) -> list[Address]:
    """Return where nodes are now, none twice: the one called ``first``, the supervisor's, those announced."""
    report = folder.report()
    nodes = [child for child in (report.nodes if report else []) if "rpc" in child.addresses]
    nodes.sort(key=lambda child: child.name != first)
    parts = [child.addresses["rpc"].rpartition(":") for child in nodes]
    found = [(host, int(port)) for host, _, port in parts]
    if all(child.name != first for child in nodes):
        found = [*_announced(folder, first), *found]
    if not nodes:
        found += _announced(folder, "")
    return list(dict.fromkeys(found))


def is_announced(folder: ClusterFolder, node: str) -> bool:
    """Say whether the registry knows a node of that name."""
    return bool(_announced(folder, node))


def _announced(folder: ClusterFolder, node: str) -> list[Address]:
    """Return what the registry knows of one node, or of all; nothing when no member answers."""
    report, plan, joined = folder.report(), folder.plan(), folder.joined()
    members = [child.addresses["http"] for child in report.members if child.addresses] if report else []
    members += list(plan.registry if plan else joined.registry if joined else ())
    if not members:
        return []
    try:
        with RegistryClient(list(dict.fromkeys(members)), ANSWER_S) as registry:
            return registry.lookup(
                node_service_name(folder.name, node) if node else service_name(folder.name)
            )
    except P2pxError:
        return []  # whoever asks goes on with what is known otherwise


def _name_at(address: Address, folder: ClusterFolder, credentials: Credentials) -> str:
    """Return the name of the cluster's node at an address, "" when none answers there."""
    try:
        with ExchangeClient(*address, credentials, timeout=ANSWER_S) as client:
            return client.node if client.cluster == folder.name else ""
    except P2pxError:
        return ""
