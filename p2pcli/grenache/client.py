"""A client of any Grenache service: looked up at a registry, called over HTTP. Synchronous, thread-safe."""

import random
import socket
import threading
import uuid
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from p2pcli.clock import monotonic
from p2pcli.errors import P2pxError
from p2pcli.grenache.envelope import MAX_BODY, BadCall, call_bytes, parse_reply
from p2pcli.registry import http1
from p2pcli.registry.client import RegistryClient

Address = tuple[str, int]

TIMEOUT_S = 10.0
MAX_DESTINATIONS = 64  # of one map


class GrenacheError(P2pxError):
    """A call had no result. ``error`` is Grenache's code or the service's own text."""

    code = "grenache"

    def __init__(self, error: str, where: str) -> None:
        super().__init__(f"{where}: {error}")
        self.error = error


class Line:
    """One keep-alive connection to one service. One thread at a time."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.where = f"{address[0]}:{address[1]}"
        self._socket: socket.socket | None = None

    def call(self, key: str, payload: Any, timeout: float) -> Any:
        """Return the result. Raises ``GrenacheError``; a kept connection that died is opened anew once."""
        rid = str(uuid.uuid4())
        request = http1.request_bytes(self.where, "/", call_bytes(rid, key, payload))
        deadline = monotonic() + timeout
        was_kept = self._socket is not None
        try:
            reply = self._exchange(request, deadline)
        except ConnectionError as error:
            self.close()
            if not was_kept:
                raise GrenacheError(f"ERR_REQUEST_GENERIC: {error.strerror or error}", self.where) from error
            try:  # closed by the other side while idle, as HTTP allows; nothing of this call was answered
                reply = self._exchange(request, deadline)
            except OSError as again:
                raise self._failed(again) from again
        except OSError as error:
            raise self._failed(error) from error
        if reply.status != 200:
            raise GrenacheError(
                f"ERR_REQUEST_GENERIC: {reply.body[:200].decode('utf-8', 'replace')}", self.where
            )
        try:
            return parse_reply(reply.body, rid)
        except BadCall as error:
            raise GrenacheError(error.error, self.where) from error

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _failed(self, error: OSError) -> GrenacheError:
        self.close()
        if isinstance(error, TimeoutError):
            return GrenacheError("ERR_TIMEOUT", self.where)
        return GrenacheError(f"ERR_REQUEST_GENERIC: {error.strerror or error}", self.where)

    def _exchange(self, request: bytes, deadline: float) -> http1.Reply:
        sock = self._socket
        if sock is None:
            sock = self._socket = socket.create_connection(self.address, max(0.001, deadline - monotonic()))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(max(0.001, deadline - monotonic()))
        sock.sendall(request)
        reader = http1.ReplyReader(MAX_BODY)
        while True:
            sock.settimeout(max(0.001, deadline - monotonic()))
            data = sock.recv(65_536)
            if not data:
                raise ConnectionResetError("socket hang up")
            try:
                reply = reader.feed(data)
            except http1.BadMessage as error:
                self.close()
                raise GrenacheError("ERR_REPLY_EMPTY", self.where) from error
            if reply is not None:
                if not reply.keep_alive:
                    self.close()
                return reply


class GrenacheClient:
    """Calls services by name. ``registry`` lists HTTP addresses of Grapes, ours or real ones.

    Every call may raise ``GrenacheError`` (``ERR_GRAPE_LOOKUP_EMPTY``, ``ERR_TIMEOUT``,
    ``ERR_REQUEST_GENERIC: ...``, ``ERR_REPLY_EMPTY``, or the service's own text) and ``RegistryUnreachable``.
    """

    def __init__(self, registry: Sequence[str], timeout: float = TIMEOUT_S, rng: random.Random | None = None):
        self._registry = RegistryClient(registry)
        self._timeout = timeout
        self._rng = rng or random.Random()
        self._idle: dict[Address, list[Line]] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every idle connection."""
        with self._lock:
            lines = [line for kept in self._idle.values() for line in kept]
            self._idle.clear()
        for line in lines:
            line.close()
        self._registry.close()

    def lookup(self, key: str) -> list[Address]:
        """Return where the service is announced. Raises ``GrenacheError`` when nowhere."""
        found = self._registry.lookup(key)
        if not found:
            raise GrenacheError("ERR_GRAPE_LOOKUP_EMPTY", key)
        return found

    def request(self, key: str, payload: Any, timeout: float | None = None) -> Any:
        """Return one service's result; another one is tried when the first cannot be reached."""
        addresses = self.lookup(key)
        self._rng.shuffle(addresses)
        for turn, address in enumerate(addresses, 1):
            try:
                return self._call(address, key, payload, timeout)
            except GrenacheError as error:
                if turn == len(addresses) or "Connection refused" not in error.error:
                    raise
        raise AssertionError("the last address returned or raised")

    def map(
        self, key: str, payload: Any, timeout: float | None = None, limit: int = MAX_DESTINATIONS
    ) -> dict[Address, Any]:
        """Call every service of the name at once; return each one's result or ``GrenacheError``."""
        addresses = self.lookup(key)
        if len(addresses) > limit:
            addresses = self._rng.sample(addresses, limit)
        results: dict[Address, Any] = {}

        def call(address: Address) -> None:
            try:
                results[address] = self._call(address, key, payload, timeout)
            except GrenacheError as error:
                results[address] = error

        threads = [threading.Thread(target=call, args=(address,)) for address in addresses]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return {address: results[address] for address in addresses}

    def _call(self, address: Address, key: str, payload: Any, timeout: float | None) -> Any:
        with self._lock:
            kept = self._idle.get(address)
            line = kept.pop() if kept else Line(address)
        try:
            return line.call(key, payload, self._timeout if timeout is None else timeout)
        finally:
            with self._lock:
                self._idle.setdefault(address, []).append(line)
