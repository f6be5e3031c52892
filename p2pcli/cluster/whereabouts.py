"""Where the nodes of a cluster are, and what proves us to them, for a Python program.

``Here``   on a machine of the cluster, or with its settings: the supervisor's notes first, then the registry
``Listed`` anywhere else: an owner's key and a list of addresses
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from p2pcli.cluster.arguments import BadArgument
from p2pcli.cluster.folder import ClusterFolder, not_running
from p2pcli.config import load
from p2pcli.errors import BadInput, NotRunning, P2pxError, TimedOut
from p2pcli.node.client import ExchangeClient
from p2pcli.node.discovery import node_service_name, service_name
from p2pcli.node.key_file import read_key
from p2pcli.registry.client import RegistryClient
from p2pcli.rpc.credentials import Credentials
from p2pcli.rpc.exposure import is_loopback

ANSWER_S = 2.0  # of each node that is asked for its name, and of each registry member
MAX_LISTED = 64

Address = tuple[str, int]


class BadAddresses(BadInput):
    """A list of addresses that leads nowhere, or where nobody could be believed."""

    code = "bad_addresses"


class Whereabouts(Protocol):
    """The nodes of one cluster, as a program finds them. Every answer is of this moment."""

    cluster: str

    def credentials(self) -> Credentials:
        """Return what proves us: read anew, for it may have been replaced."""

    def node_names(self, wanted: str) -> list[str]:
        """Return nodes' names, all unless ``wanted`` ("": any) is among them. Raises ``NotRunning``."""

    def knows(self, node: str) -> bool:
        """Say whether there is a node of that name that ``node_names`` does not list."""

    def addresses(self, first: str) -> list[Address]:
        """Return where nodes are, none twice, the one called ``first`` before the others."""


class Here:
    """The cluster of a folder. Making one touches no disk."""

    def __init__(self, folder: ClusterFolder, credentials: Callable[[], Credentials]) -> None:
        self.cluster = folder.name
        self.credentials = credentials
        self._folder = folder

    def node_names(self, wanted: str) -> list[str]:
        return node_names(self._folder, self.credentials())

    def knows(self, node: str) -> bool:
        return bool(_announced(self._folder, node))

    def addresses(self, first: str) -> list[Address]:
        return addresses(self._folder, first)


class Listed:
    """Nodes at addresses that somebody wrote down. Names are asked for once."""

    def __init__(self, listed: Sequence[str], key: Path, ca: str) -> None:
        """``ca``: the CA's certificate (PEM), the file that has it, or its SHA-256; "" on loopback alone.

        With a SHA-256 the certificate is fetched from the first node that answers. Raises ``BadAddresses``,
        ``NoKeyFile``, ``BadKeyFile``, ``CertificateRefused``, ``NotRunning``.
        """
        self._listed = [_address(text) for text in listed]
        if not 0 < len(self._listed) <= MAX_LISTED:
            raise BadAddresses(f"{len(self._listed)} addresses of nodes, expected 1 to {MAX_LISTED}")
        open_to_all = [host for host, _ in self._listed if not is_loopback(host)]
        if open_to_all and not ca:
            raise BadAddresses(
                f"{open_to_all[0]} is on another machine, and nothing says which CA its nodes must show",
                hint="ca= takes the CA's certificate, its file, or its SHA-256 (p2px cluster init prints it)",
            )
        self.cluster = read_key(key).cluster
        self._key = key
        self._ca = _authority(ca, self._listed)
        self._names: dict[Address, str] = {}

    def credentials(self) -> Credentials:
        return read_key(self._key, self.cluster).credentials(self._ca)

    def node_names(self, wanted: str) -> list[str]:
        trouble: P2pxError | None = None
        for address in self._listed:
            try:
                with ExchangeClient(*address, self.credentials(), timeout=ANSWER_S) as client:
                    self._names[address] = client.node
            except (NotRunning, TimedOut) as error:
                trouble = error
                continue
            if wanted in ("", client.node):
                break  # a machine that is silent costs whole seconds
        if not self._names:
            raise NotRunning(f"no node of cluster {self.cluster} answers: {trouble}", hint="check addresses=")
        return list(dict.fromkeys(self._names.values()))

    def knows(self, node: str) -> bool:
        return False

    def addresses(self, first: str) -> list[Address]:
        return sorted(self._listed, key=lambda address: self._names.get(address) != first)


def whereabouts(
    cluster: str | None,
    home: Path | str | None,
    key: Path | str | None,
    addresses: Sequence[str],
    ca: Path | str,
) -> Whereabouts:
    """Return the cluster that a program means, as ``ExchangeClient`` takes it. Raises as that does."""
    if not addresses:
        return _here(cluster, home, key)
    if key is None or home is not None:
        raise BadArgument(
            "addresses= takes an owner's key and no home=: it is for machines that are none of the cluster's",
            hint='ExchangeClient(addresses=["10.0.0.1:4001"], key="ann.key", ca="ca.pem")',
        )
    where = Listed([addresses] if isinstance(addresses, str) else addresses, Path(key), str(ca))
    if cluster not in (None, where.cluster):
        raise BadArgument(f"{key} is a key of cluster {where.cluster}, not of {cluster}")
    return where


def _here(cluster: str | None, home: Path | str | None, key: Path | str | None) -> Whereabouts:
    """Return the cluster that is meant and what proves us. Settings are read only for what is not said."""
    authority = ""
    if cluster is not None and home is not None:
        folder = ClusterFolder(Path(home), cluster)
    else:
        config = load(Path.cwd(), os.environ)
        folder = ClusterFolder(Path(home) if home else config.home, cluster or config.cluster.name)
        key, authority = key or config.key, config.cluster.ca
    if key is None:
        return Here(folder, folder.credentials)
    path = Path(key)
    return Here(folder, lambda: read_key(path, folder.name).credentials(folder.authority() or authority))


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise BadAddresses(f"{text[:80]!a} is no address of a node", hint="write it as 10.0.0.1:4001")
    return host, int(port)


def _authority(ca: str, listed: Sequence[Address]) -> str:
    """Return the CA's certificate (PEM) that ``ca`` gives, names or is the SHA-256 of; "" for ""."""
    if not ca or "-----BEGIN CERTIFICATE-----" in ca:
        return ca
    plain = ca.replace(":", "").lower()
    if len(plain) != 64 or not all(c in "0123456789abcdef" for c in plain):
        try:
            return Path(ca).read_text(encoding="ascii")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise BadAddresses(f"cannot read the CA's certificate {ca[:200]}: {reason}") from error
    from p2pcli.rpc.handshake import ask_authority

    silent: list[str] = []
    for address in listed:
        try:
            return ask_authority(*address, plain, ANSWER_S)
        except (NotRunning, TimedOut) as error:
            silent.append(error.message)
    raise NotRunning(f"no node tells its CA: {'; '.join(silent)}", hint="check addresses=")


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
