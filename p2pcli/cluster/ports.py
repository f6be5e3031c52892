"""Finding ports for registry members that nobody has, and keeping other clusters from finding the same.

Between the moment a port is found free and the moment the child binds it, another ``cluster up`` could
find it free as well. So the supervisor also claims the number, as a name in Linux' abstract socket
namespace: that has the scope of ports (a network namespace), needs no file, and ends with its holder.
"""

import errno
import socket

import msgspec

from p2pcli.cluster.plan import ClusterPlan, MemberSlot
from p2pcli.errors import BadInput, Conflict

_ATTEMPTS = 64  # free ports to try before giving up


class PortTaken(Conflict):
    """A port that must be this one belongs to another process."""

    code = "port_taken"


class NotOurHost(BadInput):
    """An address that no interface of this machine has."""

    code = "not_our_host"


class PortClaims:
    """The ports that one supervisor has claimed. Claims end with ``close`` or with the process."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._claims: dict[tuple[int, socket.SocketKind], socket.socket] = {}

    def claim(self, wanted: int, kind: socket.SocketKind, *, or_free: bool) -> int:
        """Return ``wanted`` if it is free and unclaimed, else any such port when ``or_free``.

        0 wants any. Raises ``PortTaken``, ``NotOurHost``.
        """
        if wanted and self._try(wanted, kind):
            return wanted
        if wanted and not or_free:
            raise PortTaken(
                f"port {wanted} on {self._host} is taken by another process",
                hint="choose other registry ports, or set registry.free_ports to true",
            )
        for _ in range(_ATTEMPTS):
            port = free_port(self._host, kind)
            if self._try(port, kind):
                return port
        raise PortTaken(f"no free port on {self._host} in {_ATTEMPTS} attempts")

    def close(self) -> None:
        """Give all claims up."""
        for claim in self._claims.values():
            claim.close()
        self._claims.clear()

    def _try(self, port: int, kind: socket.SocketKind) -> bool:
        if (port, kind) in self._claims or not is_free(self._host, port, kind):
            return False
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0p2px-port-{kind.name}-{port}")
        except OSError:
            claim.close()
            return False
        self._claims[port, kind] = claim
        return True


def is_free(host: str, port: int, kind: socket.SocketKind) -> bool:
    """Return whether a server could bind that port now. Raises ``NotOurHost``."""
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind is socket.SOCK_STREAM:  # as servers do, or a port would look taken for a minute after its use
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            if kind is socket.SOCK_STREAM:
                probe.listen(1)  # two sockets may share a bound port, but not a listening one
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise _not_ours(host, error) from error
    return True


def free_port(host: str, kind: socket.SocketKind) -> int:
    """Return a port that the kernel considers free now. Raises ``NotOurHost``."""
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind((host, 0))
        except OSError as error:
            raise _not_ours(host, error) from error
        port: int = probe.getsockname()[1]
        return port


def _not_ours(host: str, error: OSError) -> NotOurHost:
    return NotOurHost(f"cannot listen on host {host}: {error.strerror}", hint="set cluster.host to 127.0.0.1")


def settle(plan: ClusterPlan, claims: PortClaims) -> tuple[ClusterPlan, tuple[str, ...]]:
    """Return the plan with a free port for every registry member, and a sentence about each that changed.

    Raises ``PortTaken`` when a wanted one is taken and the plan allows no other.
    """
    members, warnings = [], []
    for member in plan.members:
        http = claims.claim(member.http_port, socket.SOCK_STREAM, or_free=plan.free_ports)
        dht = claims.claim(member.dht_port, socket.SOCK_DGRAM, or_free=plan.free_ports)
        for what, wanted, got in (("HTTP", member.http_port, http), ("DHT", member.dht_port, dht)):
            if wanted not in (0, got):
                warnings.append(f"{what} port {wanted} of {member.name} is taken; it uses {got}")
        members.append(MemberSlot(member.name, http, dht))
    return msgspec.structs.replace(plan, members=tuple(members)), tuple(warnings)
