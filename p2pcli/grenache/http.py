"""The HTTP server that Grenache clients call: one thread of sockets, a few clerks that answer.

The sockets are those of the registry's HTTP API (keep-alive, limits, Host and Origin checks); only what a
request means differs. A clerk waits for the node, so calls queue up to a limit and beyond it are refused.
"""

import os
import queue
import threading
from collections import deque
from collections.abc import Callable
from select import EPOLLIN, epoll

from p2pcli.clock import monotonic
from p2pcli.grenache.clerk import Clerk
from p2pcli.grenache.envelope import MAX_BODY, reply_bytes
from p2pcli.node.client import ExchangeClient
from p2pcli.registry.http1 import Request
from p2pcli.registry.http_api import HttpApi

CLERKS = 4
MAX_QUEUED = 256
CONNECTIONS = 256
TICK_S = 0.5
JOIN_S = 5.0


class Gateway:
    """Serves Grenache calls until stopped. ``connect`` opens a connection to the node."""

    def __init__(self, host: str, port: int, connect: Callable[[], ExchangeClient]) -> None:
        """Bind. Port 0 takes any free one. Raises ``PortTaken``."""
        self._connect = connect
        self._poller = epoll()
        self._api = HttpApi(
            host, port, self._poller, max_body=MAX_BODY, max_connections=CONNECTIONS, allowed_hosts=()
        )
        self.port = self._api.port
        self._calls: queue.Queue[tuple[int, Request] | None] = queue.Queue(MAX_QUEUED)
        self._replies: deque[tuple[int, bytes]] = deque()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poller.register(self._bell, EPOLLIN)
        self._stopping = threading.Event()

    def run(self) -> None:
        """Serve until stopped, then close everything."""
        clerks = [threading.Thread(target=self._clerk, name="clerk", daemon=True) for _ in range(CLERKS)]
        for clerk in clerks:
            clerk.start()
        while not self._stopping.is_set():
            for descriptor, mask in self._poller.poll(TICK_S):
                if descriptor == self._bell:
                    os.eventfd_read(self._bell)
                else:
                    self._api.event(descriptor, mask, monotonic())
            self._hand_over()
            self._api.tick(monotonic())
        for _ in clerks:
            self._calls.put(None)
        for clerk in clerks:
            clerk.join(JOIN_S)
        self._api.close()
        self._poller.close()
        os.close(self._bell)

    def stop(self) -> None:
        """Let ``run`` return; from any thread."""
        self._stopping.set()
        os.eventfd_write(self._bell, 1)

    def _hand_over(self) -> None:
        """Give replies to the sockets and calls to the clerks; a reply may uncover the next call."""
        while self._replies:
            ticket, body = self._replies.popleft()
            self._api.reply(ticket, 200, body, monotonic())
        while self._api.requests:
            ticket, request = self._api.requests.popleft()
            try:
                self._calls.put_nowait((ticket, request))
            except queue.Full:
                busy = reply_bytes(None, "ERR_BUSY", None, is_compressed=False)
                self._api.reply(ticket, 200, busy, monotonic())

    def _clerk(self) -> None:
        clerk = Clerk(self._connect)
        while (call := self._calls.get()) is not None:
            ticket, request = call
            self._replies.append((ticket, clerk.answer(request.body, request.head.headers)))
            os.eventfd_write(self._bell, 1)
        clerk.close()
