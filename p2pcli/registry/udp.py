"""The DHT's socket: datagrams in and out. One that cannot be sent is lost, as it may be on any way."""

import errno
import socket
from collections import deque
from collections.abc import Iterator

from p2pcli.errors import Conflict
from p2pcli.registry.compact import Address
from p2pcli.registry.krpc import MAX_PACKET

_MAX_AT_ONCE = 256  # datagrams read before others get their turn
_BUFFER_BYTES = 1 << 20


class PortTaken(Conflict):
    """Another program has the port, or this one may not have it."""

    code = "port_taken"


class UdpSocket:
    """A non-blocking IPv4 datagram socket, bound to ``host`` and ``port`` (0: a free one)."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
            self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            raise port_error("UDP", host, port, error) from None
        self.address: Address = self._socket.getsockname()

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._socket.fileno()

    def received(self) -> Iterator[tuple[bytes, Address]]:
        """Yield the datagrams that are there, at most 256."""
        for _ in range(_MAX_AT_ONCE):
            try:
                yield self._socket.recvfrom(MAX_PACKET + 1)
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP error of an earlier datagram; it says nothing about this socket

    def send(self, outbox: deque[tuple[bytes, Address]]) -> None:
        """Send everything in ``outbox`` and empty it."""
        while outbox:
            packet, address = outbox.popleft()
            try:
                self._socket.sendto(packet, address)
            except OSError:
                pass  # full buffer, no route, port 0: lost, and whoever waits for an answer notices

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()


def address_towards(destination: Address) -> str:
    """Return the IPv4 address from which this machine would send to ``destination``; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(destination)
        except OSError:
            return "127.0.0.1"
        host: str = probe.getsockname()[0]
        return host


def port_error(kind: str, host: str, port: int, error: OSError) -> Conflict:
    """Return the failure that ``bind`` met, in words."""
    if error.errno == errno.EADDRINUSE:
        return PortTaken(
            f"{kind} port {port} on {host} is taken by another program", "choose another port, or 0"
        )
    return PortTaken(f"{kind} port {port} on {host} cannot be had: {error.strerror}")
