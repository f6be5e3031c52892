"""A client of the HTTP API, of our members or of real Grapes: who announced what, and announcing.

Plain sockets and no ``http.client``: importing that takes 33 ms, and every ``p2px order`` asks the registry.
Connections are kept and used again; several threads may call at once, each then has its own connection.
"""

import json
import select
import socket
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from p2pcli.clock import monotonic
from p2pcli.errors import NotRunning, P2pxError
from p2pcli.registry import http1
from p2pcli.registry.compact import Address, BadAddress, parse_address
from p2pcli.registry.operations import ALL_FAILED, NO_NODES

_MAX_REPLY = 1 << 20
_MAX_KEPT = 8  # idle connections


class RegistryUnreachable(NotRunning):
    """No address of the registry gave an answer."""

    code = "registry_unreachable"


class RegistryRefused(P2pxError):
    """The registry answered with an error; ``error`` is its text, such as ``ERR_GRAPE_LOOKUP``."""

    code = "registry_refused"

    def __init__(self, error: str, where: str) -> None:
        super().__init__(f"the registry at {where} refused: {error}")
        self.error = error


class _NoAnswer(Exception):
    """Why one address gave no answer; the next one is tried."""


class _HungUp(_NoAnswer):
    """The other side ended the connection without an answer."""


class RegistryClient:
    """Asks the first of ``addresses`` (``host:port``) that answers, beginning with the one that did last.

    ``timeout`` is seconds for each address. Raises ``BadAddress`` for an address that is none. Every call
    raises ``RegistryUnreachable`` when none answers and ``RegistryRefused`` when one answers with an error.
    """

    def __init__(self, addresses: Sequence[str], timeout: float = 2.5) -> None:
        self._addresses = [_split(address) for address in addresses]
        self._timeout = timeout
        self._lock = threading.Lock()
        self._first = 0  # index of the address that answered last
        self._kept: list[tuple[int, socket.socket]] = []  # index of the address, idle connection
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def lookup(self, name: str) -> list[Address]:
        """Return the addresses announced under ``name``, sorted; none when nobody announced it."""
        answer = self._ask("lookup", name)
        if not isinstance(answer, list):
            raise _nonsense("a lookup", answer)
        try:
            return sorted({parse_address(address) for address in answer if isinstance(address, str)})
        except BadAddress:
            raise _nonsense("a lookup", answer) from None

    def announce(self, name: str, port: int) -> int:
        """Announce ``name`` at ``port`` of the host the registry runs on; return how many members hold it.

        An announce is forgotten after 80 to 160 seconds: repeat it well within that.
        """
        answer = self._ask("announce", [name, port])
        if not isinstance(answer, int):
            raise _nonsense("an announce", answer)
        return answer

    def put(self, item: str | Mapping[str, object]) -> str:
        """Store a text or an item; return its key, 40 hex digits.

        An item is ``{"v", "k"?, "sig"?, "seq"?, "salt"?, "cas"?}``, key and signature in hex digits.
        """
        answer = self._ask("put", item if isinstance(item, str) else dict(item))
        if not isinstance(answer, str):
            raise _nonsense("a put", answer)
        return answer

    def get(self, key: str | Mapping[str, object]) -> dict[str, Any] | None:
        """Return the item under ``key``, None when nobody has it.

        A key is 40 hex digits or ``{"hash", "salt"?, "cache"?}``.
        """
        answer = self._ask("get", key if isinstance(key, str) else dict(key))
        if answer is not None and not isinstance(answer, dict):
            raise _nonsense("a get", answer)
        return answer

    def close(self) -> None:
        """Close the kept connections. Calls under way finish."""
        with self._lock:
            self._closed = True
            kept, self._kept = self._kept, []
        for _, connection in kept:
            connection.close()

    # -- one question -------------------------------------------------------------------------------

    def _ask(self, what: str, data: object) -> Any:
        body = json.dumps({"rid": what, "data": data}).encode()
        count = len(self._addresses)
        failures = []
        refused: RegistryRefused | None = None
        first = self._first
        for turn in range(count):
            index = (first + turn) % count
            host, port = self._addresses[index]
            where = f"{host}:{port}"
            try:
                reply = self._exchange(index, http1.request_bytes(where, f"/{what}", body))
                answer = _answer(what, reply, where)
            except _NoAnswer as reason:
                failures.append(f"{where} ({reason})")
            except RegistryRefused as error:
                if error.error not in (ALL_FAILED, NO_NODES):
                    raise
                refused = error  # this member is cut off; another may not be
            else:
                self._first = index
                return answer
        if refused is not None:
            raise refused
        tried = ", ".join(failures) or "no address was given"
        raise RegistryUnreachable(f"no registry answers: {tried}", "p2px cluster status")

    def _exchange(self, index: int, request: bytes) -> http1.Reply:
        deadline = monotonic() + self._timeout
        kept = self._take(index)
        if kept is not None:
            try:
                return self._converse(index, kept, request, deadline)
            except _HungUp:  # while it was idle, as HTTP allows; every question here may be asked twice
                pass
        try:
            connection = socket.create_connection(self._addresses[index], self._timeout)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except TimeoutError:
            raise _NoAnswer(f"no answer within {self._timeout:g} s") from None
        except OSError as error:
            raise _NoAnswer(error.strerror or str(error)) from None
        return self._converse(index, connection, request, deadline)

    def _converse(
        self, index: int, connection: socket.socket, request: bytes, deadline: float
    ) -> http1.Reply:
        """Send a request and read its reply. The connection is kept, or closed when there is no reply."""
        reader = http1.ReplyReader(_MAX_REPLY)
        reply = None
        try:
            connection.settimeout(self._timeout)
            connection.sendall(request)
            while reply is None:
                connection.settimeout(max(0.001, deadline - monotonic()))
                data = connection.recv(65_536)
                if not data:
                    raise _HungUp("closed the connection")
                reply = reader.feed(data)
        except TimeoutError:
            connection.close()
            raise _NoAnswer(f"no answer within {self._timeout:g} s") from None
        except OSError as error:
            connection.close()
            raise _HungUp(error.strerror or str(error)) from None
        except (_NoAnswer, http1.BadMessage) as error:
            connection.close()
            raise error if isinstance(error, _NoAnswer) else _NoAnswer(str(error)) from None
        self._keep(index, connection, reply.keep_alive)
        return reply

    def _take(self, index: int) -> socket.socket | None:
        """Return a kept connection that the other side has not closed meanwhile, or None."""
        while True:
            with self._lock:
                at = next((i for i, (kept, _) in enumerate(self._kept) if kept == index), None)
                if at is None:
                    return None
                _, connection = self._kept.pop(at)
            readable, _, _ = select.select([connection], [], [], 0)
            if not readable:
                return connection
            connection.close()  # closed by the other side, or it says something nobody asked for

    def _keep(self, index: int, connection: socket.socket, keep_alive: bool) -> None:
        with self._lock:
            if keep_alive and not self._closed and len(self._kept) < _MAX_KEPT:
                self._kept.append((index, connection))
                return
        connection.close()


def _nonsense(question: str, answer: object) -> RegistryUnreachable:
    return RegistryUnreachable(f"what answers is no registry: to {question} it said {str(answer)[:80]!r}")


def _answer(what: str, reply: http1.Reply, where: str) -> Any:
    if reply.status == 200 and not reply.body:
        return None  # a get of something unknown
    text = reply.body.decode("utf-8", "replace")
    try:
        answer = json.loads(text)
    except ValueError:
        if reply.status == 200:
            raise _NoAnswer(f"is no registry: {text[:40]!r}") from None
        answer = text
    if reply.status == 200 and not (isinstance(answer, str) and (what != "put" or not _is_key(answer))):
        return answer
    raise RegistryRefused(str(answer) or f"HTTP {reply.status}", where)


def _is_key(text: str) -> bool:
    return len(text) == 40 and all(character in "0123456789abcdef" for character in text)


def _split(address: str) -> Address:
    text = address.removeprefix("http://").rstrip("/")
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise BadAddress(
            f"{address[:60]!a} is not the address of a registry: HOST:PORT with a port from 1 to 65535",
            hint="p2px registry show --registry 127.0.0.1:30001",
        )
    return host, int(port)
