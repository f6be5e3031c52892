"""The HTTP API's sockets: connections in, requests out, replies back. What they mean is ``grape``'s business.

One thread does it all, on an epoll object that it shares with the DHT's socket. What every connection may
cost is bounded: how many there are, how long a request may take to arrive and a reply to leave, how much is
read ahead. A connection carries one request at a time; further ones wait in its buffer, and when that is
full, in the client.
"""

import errno
import socket
import time
from collections import deque
from dataclasses import dataclass
from select import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, epoll

from p2pcli.registry import grape, hosts, http1
from p2pcli.registry.http1 import BadMessage, Request, RequestReader
from p2pcli.registry.udp import port_error

KEEP_ALIVE_S = 5  # what clients are told, as by a real Grape; they then do not reuse an older connection
_IDLE_S = 30.0  # when an idle connection is closed: later than clients expect, so they always close first
_REQUEST_S = 10.0  # for a request to arrive whole, and for a reply to leave
_DRAIN_S = 1.0  # how long bytes are still read after the last reply, so that the client gets to read it
_SWEEP_S = 1.0
_PAUSE_S = 0.25  # how long nobody is accepted when the process is out of descriptors
_READ_BYTES = 16_384
_OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_GONE = EPOLLERR | EPOLLHUP


@dataclass(slots=True, eq=False)
class _Connection:
    socket: socket.socket
    reader: RequestReader
    deadline: float  # when it is closed unless something happens
    used_at: float  # when it was accepted or last answered
    ticket: int = 0  # of the request that is being answered; 0: none
    request: Request | None = None
    unsent: bytes = b""
    ended: bool = False  # the client sends no more
    draining: bool = False  # the last reply was sent
    mask: int = EPOLLIN


class HttpApi:
    """Listens on ``host``. The shell drains ``requests``, (ticket, request), and answers with ``reply``."""

    def __init__(
        self,
        host: str,
        port: int,
        poller: epoll,
        *,
        max_body: int,
        max_connections: int,
        allowed_hosts: tuple[str, ...],
    ) -> None:
        self.requests: deque[tuple[int, Request]] = deque()
        self._poller = poller
        self._max_body = max_body
        self._max_connections = max_connections
        self._allowed_hosts = tuple(name.lower() for name in allowed_hosts)
        self._listeners = {listener.fileno(): listener for listener in _listen(host, port)}
        for descriptor in self._listeners:
            poller.register(descriptor, EPOLLIN)
        self.port: int = next(iter(self._listeners.values())).getsockname()[1]
        self._connections: dict[int, _Connection] = {}  # descriptor -> connection
        self._by_ticket: dict[int, _Connection] = {}
        self._ticket = 0
        self._sweep_at = 0.0
        self._resume_at = 0.0  # when accepting goes on, 0: it has not stopped
        self._date = (0, b"")

    @property
    def busy(self) -> bool:
        """Whether a request waits for its reply, or a reply for its client."""
        return any(connection.ticket or connection.unsent for connection in self._connections.values())

    def event(self, descriptor: int, mask: int, now: float) -> None:
        """Take what happened on ``descriptor``."""
        if descriptor in self._listeners:
            self._accept(self._listeners[descriptor], now)
            return
        connection = self._connections.get(descriptor)
        if connection is None:
            return
        if mask & _GONE:
            self._close(connection)
            return
        if mask & EPOLLOUT and not self._flush(connection, now):
            return
        if mask & EPOLLIN and not self._read(connection, now):
            return
        self._take_requests(connection, now)

    def reply(self, ticket: int, status: int, body: bytes, now: float) -> None:
        """Answer the request of ``ticket``; the next one its connection holds already joins ``requests``."""
        connection = self._by_ticket.pop(ticket, None)
        if connection is not None:
            request = connection.request
            assert request is not None
            connection.ticket, connection.request = 0, None
            keep = request.head.keep_alive and not connection.ended
            sent = self._send(connection, status, body, keep, request.method == b"HEAD", now)
            if sent and not connection.reader.idle:
                self._take_requests(connection, now)

    def tick(self, now: float) -> None:
        """Close what has had its time, and accept again after a pause."""
        if self._resume_at and now >= self._resume_at:
            self._resume_at = 0.0
            for descriptor in self._listeners:
                self._poller.modify(descriptor, EPOLLIN)
        if now >= self._sweep_at:
            self._sweep_at = now + _SWEEP_S
            for connection in list(self._connections.values()):
                if now >= connection.deadline:
                    self._expire(connection, now)

    def wake_at(self) -> float | None:
        """Return when ``tick`` has something to do next, or None."""
        if self._resume_at:
            return min(self._resume_at, self._sweep_at)
        return self._sweep_at if self._connections else None

    def stop_accepting(self) -> None:
        """Close the listening sockets."""
        for descriptor, listener in self._listeners.items():
            self._poller.unregister(descriptor)
            listener.close()
        self._listeners.clear()

    def close(self) -> None:
        """Close everything."""
        self.stop_accepting()
        for connection in list(self._connections.values()):
            self._close(connection)

    # -- connections --------------------------------------------------------------------------------

    def _accept(self, listener: socket.socket, now: float) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _OUT_OF_DESCRIPTORS:
                    # The client stays in the queue and the socket readable: waiting on it would spin.
                    self._resume_at = now + _PAUSE_S
                    for descriptor in self._listeners:
                        self._poller.modify(descriptor, 0)
                    self._close_idlest(now)
                    return
                continue  # this client has gone already
            if len(self._connections) >= self._max_connections and not self._close_idlest(now):
                client.close()
                continue
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = _Connection(client, RequestReader(self._max_body), now + _REQUEST_S, now)
            self._connections[client.fileno()] = connection
            self._poller.register(client.fileno(), EPOLLIN)

    def _close_idlest(self, now: float) -> bool:
        idle = [
            one
            for one in self._connections.values()
            if one.reader.idle and not one.ticket and one.used_at < now  # not one that is only just accepted
        ]
        if not idle:
            return False
        self._close(min(idle, key=lambda connection: connection.used_at))
        return True

    def _close(self, connection: _Connection) -> None:
        descriptor = connection.socket.fileno()
        if self._connections.pop(descriptor, None) is not None:
            self._by_ticket.pop(connection.ticket, None)
            self._poller.unregister(descriptor)
            connection.socket.close()

    def _expire(self, connection: _Connection, now: float) -> None:
        if connection.ticket:
            connection.deadline = now + _REQUEST_S  # ours to answer: the client is not to blame
        elif connection.reader.idle or connection.unsent or connection.draining:
            self._close(connection)
        else:
            self._send(connection, 408, b"", False, False, now)

    def _watch(self, connection: _Connection, mask: int) -> None:
        if connection.mask != mask:
            connection.mask = mask
            self._poller.modify(connection.socket.fileno(), mask)

    # -- bytes --------------------------------------------------------------------------------------

    def _read(self, connection: _Connection, now: float) -> bool:
        """Read what is there; False when the connection is of no more use."""
        try:
            data = connection.socket.recv(_READ_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            self._close(connection)
            return False
        if connection.draining:
            if not data:
                self._close(connection)
            return False
        if not data:
            return self._end(connection, now)
        reader = connection.reader
        if reader.idle and not connection.ticket:
            connection.deadline = now + _REQUEST_S
        reader.feed(data)
        if connection.ticket and len(reader) >= _READ_BYTES:
            self._watch(connection, 0)
        return True

    def _end(self, connection: _Connection, now: float) -> bool:
        if connection.ticket or connection.unsent:
            connection.ended = True  # it may still read the reply
            self._watch(connection, EPOLLOUT if connection.unsent else 0)
        elif connection.reader.idle:
            self._close(connection)
        else:
            self._send(connection, 400, b"", False, False, now)
        return False

    def _take_requests(self, connection: _Connection, now: float) -> None:
        while not connection.ticket and not connection.unsent and not connection.draining:
            try:
                request = connection.reader.next()
            except BadMessage as error:
                self._send(connection, error.status, b"", False, False, now)
                return
            if request is None:
                if connection.reader.wants_continue():
                    self._continue(connection)
                return
            refusal = self._refusal(request)
            if refusal is None:
                self._ticket += 1
                connection.ticket, connection.request = self._ticket, request
                self._by_ticket[self._ticket] = connection
                self.requests.append((self._ticket, request))
            else:
                keep = request.head.keep_alive and not connection.ended
                self._send(connection, *refusal, keep, request.method == b"HEAD", now)

    def _refusal(self, request: Request) -> tuple[int, bytes] | None:
        headers = request.head.headers
        host = headers.get(b"host")
        if host is None and request.head.first[3] == b"1":
            return 400, b""
        objection = hosts.objection(host or b"localhost", headers.get(b"origin"), self._allowed_hosts)
        if objection is not None:
            return 403, objection
        return (413, grape.PAYLOAD_SIZE) if request.too_large else None

    def _continue(self, connection: _Connection) -> None:
        try:
            connection.socket.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        except OSError:
            pass  # then the client sends its body a moment later, as without our consent

    def _send(
        self, connection: _Connection, status: int, body: bytes, keep: bool, head_only: bool, now: float
    ) -> bool:
        """Send a reply; False when the connection is of no more use or the client does not read."""
        keep = keep and status not in (400, 403, 408, 417, 431)
        second = int(now)
        if self._date[0] != second:
            text = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
            self._date = (second, text.encode())
        connection.unsent = http1.reply_bytes(
            status, self._date[1], KEEP_ALIVE_S if keep else 0, body, head_only
        )
        connection.draining = not keep
        return self._flush(connection, now)

    def _flush(self, connection: _Connection, now: float) -> bool:
        try:
            sent = connection.socket.send(connection.unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._close(connection)
            return False
        connection.unsent = connection.unsent[sent:]
        if connection.unsent:
            connection.deadline = now + _REQUEST_S
            self._watch(connection, EPOLLOUT)
            return False
        if connection.draining:
            # Closing with unread bytes would reset the connection and could take our reply with it.
            connection.deadline = now + _DRAIN_S
            try:
                connection.socket.shutdown(socket.SHUT_WR)
            except OSError:
                self._close(connection)
                return False
            if connection.ended:
                self._close(connection)
                return False
            self._watch(connection, EPOLLIN)
            return False
        connection.used_at = now
        connection.deadline = now + (_IDLE_S if connection.reader.idle else _REQUEST_S)
        self._watch(connection, EPOLLIN)
        return True


def _listen(host: str, port: int) -> list[socket.socket]:
    """Return listening sockets: IPv4, and the same of IPv6 where this machine has it.

    A client that is told ``localhost`` may try ``::1`` first, and a real Grape is there.
    """
    first = _listener(socket.AF_INET, host, port)
    listeners = [first]
    twin = {"127.0.0.1": "::1", "0.0.0.0": "::"}.get(host)
    if twin is not None and socket.has_ipv6:
        try:
            listeners.append(_listener(socket.AF_INET6, twin, first.getsockname()[1]))
        except OSError:
            pass  # no IPv6 here, or the port is another's there
    return listeners


def _listener(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.setblocking(False)
        listener.bind((host, port))
        listener.listen(256)
    except OSError as error:
        listener.close()
        if family == socket.AF_INET6:
            raise
        raise port_error("TCP", host, port, error) from None
    return listener
