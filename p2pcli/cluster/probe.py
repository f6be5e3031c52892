"""Does a process answer? One question each over its own protocol, within a bound of seconds.

Any answer counts, also "busy" and "wrong secret": only silence means that a process hangs.
"""

import socket
from collections.abc import Mapping

from p2pcli.clock import monotonic
from p2pcli.errors import NotRunning, P2pxError, TimedOut
from p2pcli.rpc.credentials import Credentials

PROBE_S = 1.0
_QUESTION = b"GET / HTTP/1.0\r\n\r\n"


def answers(addresses: Mapping[str, str], credentials: Credentials, timeout: float = PROBE_S) -> bool:
    """Return whether a node ("rpc") or registry member ("http") answers at its address."""
    if "rpc" in addresses:
        return node_answers(*_split(addresses["rpc"]), credentials, timeout)
    if "http" in addresses:
        return member_answers(*_split(addresses["http"]), timeout)
    return True  # it never said where it could be asked


def node_answers(host: str, port: int, credentials: Credentials, timeout: float) -> bool:
    """Return whether a node greets and shows its status."""
    # Imported by the first health check, in its thread: the supervisor starts the children without it.
    from p2pcli.node.client import ExchangeClient

    try:
        with ExchangeClient(host, port, credentials, timeout=timeout) as client:
            client.status()
    except (NotRunning, TimedOut):
        return False
    except P2pxError:
        return True  # it said no, and so it speaks
    return True


def member_answers(host: str, port: int, timeout: float) -> bool:
    """Return whether something at that address answers HTTP."""
    deadline = monotonic() + timeout
    try:
        with socket.create_connection((host, port), timeout=timeout) as sock:
            sock.sendall(_QUESTION)
            sock.settimeout(max(deadline - monotonic(), 0.01))
            return sock.recv(5) == b"HTTP/"
    except OSError:
        return False


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)
