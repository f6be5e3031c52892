"""The HTTP door to a node's metrics: GET /metrics and GET /health, one caller at a time, nothing else.

A caller has ``CALL_S`` for everything, so a slow one delays the next scrape by no more than that. Only
addresses of this machine are answered by name (``registry.hosts``), so no web page can read it.
"""

import logging
import socket
import threading
from collections.abc import Callable

from p2pcli.clock import monotonic
from p2pcli.errors import P2pxError
from p2pcli.node.metrics import CONTENT_TYPE
from p2pcli.registry.hosts import objection
from p2pcli.registry.http1 import BadMessage, Request, RequestReader
from p2pcli.rpc.tcp import Listener

CALL_S = 2.0  # for one request to arrive and its answer to leave
OUT_OF_DESCRIPTORS_S = 0.1
_PIECE = 4096

_REASONS = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    503: "Service Unavailable",
}

logger = logging.getLogger(__name__)


class MetricsDoor:
    """Serves ``page()`` at /metrics and ``problem()`` at /health: "" there means that the node is well."""

    def __init__(self, host: str, port: int, page: Callable[[], str], problem: Callable[[], str]) -> None:
        """Bind. Raises ``PortTaken``."""
        self._listener = Listener(host, port)
        self._page = page
        self._problem = problem
        self._stopping = threading.Event()
        self.address = f"{host}:{self._listener.port}"

    def run(self) -> None:
        """Answer until stopped."""
        while not self._stopping.is_set():
            try:
                caller = self._listener.accept()
            except OSError as error:
                logger.warning("cannot accept: %s", error.strerror)
                self._stopping.wait(OUT_OF_DESCRIPTORS_S)
                continue
            if caller is None:
                return
            with caller:
                try:
                    self._serve(caller)
                except OSError:
                    continue  # the caller left, or had its time

    def stop(self) -> None:
        """Let ``run`` return; from any thread."""
        self._stopping.set()
        self._listener.close()

    def _serve(self, caller: socket.socket) -> None:
        deadline = monotonic() + CALL_S
        reader = RequestReader(0)
        status, body = 400, ""
        try:
            while (request := reader.next()) is None:
                caller.settimeout(max(deadline - monotonic(), 0.001))
                data = caller.recv(_PIECE)
                if not data or monotonic() > deadline:
                    return
                reader.feed(data)
            status, body = self._answer(request)
        except BadMessage as error:
            body = f"{error.message}\n"
        head = (
            f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {CONTENT_TYPE}\r\n"
            f"Content-Length: {len(body.encode())}\r\nConnection: close\r\n\r\n"
        )
        caller.settimeout(max(deadline - monotonic(), 0.001))
        caller.sendall((head + body).encode())
        caller.shutdown(socket.SHUT_WR)

    def _answer(self, request: Request) -> tuple[int, str]:
        headers = request.head.headers
        refused = objection(headers.get(b"host", b"localhost"), headers.get(b"origin"), ())
        if refused is not None:
            return 403, refused.decode()
        target = request.target.partition(b"?")[0]
        if target not in (b"/metrics", b"/health"):
            return 404, "there is /metrics and /health\n"
        if request.method != b"GET":
            return 405, "only GET is answered\n"
        try:
            if target == b"/metrics":
                return 200, self._page()
            problem = self._problem()
        except P2pxError as error:  # the node found damage and is about to stop (S12)
            problem = error.message
        return (503, f"{problem}\n") if problem else (200, "ok\n")
