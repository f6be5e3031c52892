"""The supervisor's side of the control socket: accept, read requests, send answers; never wait.

A Unix-domain socket of datagrams with connections (SOCK_SEQPACKET), mode 0600 in a folder of mode 0700.
Everything is bounded: callers, bytes of a message, and what waits for a slow reader, which is at most
one report: a newer one replaces it.
"""

import os
import selectors
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from p2pcli.cluster.folder import unusable
from p2pcli.cluster.report import ClusterReport
from p2pcli.cluster.requests import (
    MAX_ANSWER,
    MAX_REQUEST,
    Answer,
    OtherSupervisor,
    Request,
    as_refused,
    decode_request,
    encode,
)

MAX_CALLERS = 32
CONTROL = "control"  # name of the socket in the cluster's folder


class Door:
    """Listens in a folder, and calls ``answer`` for each request.

    ``answer`` returns the answer, and whether its caller wants every later report as well. The loop that
    owns ``selector`` calls what is registered there: a function without arguments.
    """

    def __init__(
        self,
        folder: Path,
        selector: selectors.BaseSelector,
        answer: Callable[[Request], tuple[Answer, bool]],
    ) -> None:
        """Bind and listen. The caller holds the folder's lock: an old socket is removed.

        Raises ``FolderUnusable``.
        """
        self._selector = selector
        self._answer = answer
        self._callers: set[_Caller] = set()
        self._path = folder / CONTROL
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.setblocking(False)
        try:
            self._path.unlink(missing_ok=True)
            with short_address(folder) as address:
                self._listener.bind(address)
            self._path.chmod(0o600)
            self._bound = self._path.lstat()
            self._listener.listen(MAX_CALLERS)
        except OSError as error:
            self._listener.close()
            raise unusable(self._path, error) from error
        selector.register(self._listener, selectors.EVENT_READ, self._admit)

    def show(self, report: ClusterReport) -> None:
        """Send a report to everyone who watches."""
        data = encode(report)
        for caller in list(self._callers):
            if caller.is_watching:
                self._send(caller, data)

    def close(self) -> None:
        """Hang up on everybody and stop listening.

        The socket is removed, unless another supervisor's is in its place, because the folder was deleted
        under a running cluster and made again.
        """
        for caller in list(self._callers):
            self._hang_up(caller)
        self._selector.unregister(self._listener)
        with suppress(FileNotFoundError):
            # Before it is closed: while it is open, no other file gets its inode.
            if os.path.samestat(self._path.lstat(), self._bound):
                self._path.unlink()
        self._listener.close()

    def _admit(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return  # gone again, or out of descriptors: the next one may have more luck
        if len(self._callers) >= MAX_CALLERS:
            sock.close()
            return
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * MAX_ANSWER)
        caller = _Caller(sock)
        self._callers.add(caller)
        self._selector.register(sock, selectors.EVENT_READ, lambda: self._serve(caller))

    def _serve(self, caller: "_Caller") -> None:
        if caller.waiting is not None:
            data, caller.waiting = caller.waiting, None
            self._send(caller, data)
        try:
            data = caller.sock.recv(MAX_REQUEST + 1)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._hang_up(caller)
            return
        try:
            answer, wants_more = self._answer(decode_request(data))
        except OtherSupervisor as error:
            answer, wants_more = as_refused(error), False
        caller.is_watching = caller.is_watching or wants_more
        self._send(caller, encode(answer))

    def _send(self, caller: "_Caller", data: bytes) -> None:
        try:
            caller.sock.send(data)
        except BlockingIOError:
            caller.waiting = data
        except OSError:
            self._hang_up(caller)
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if caller.waiting is not None else 0)
        self._selector.modify(caller.sock, events, lambda: self._serve(caller))

    def _hang_up(self, caller: "_Caller") -> None:
        self._callers.discard(caller)
        self._selector.unregister(caller.sock)
        caller.sock.close()


class _Caller:
    """One connection: its socket, the answer that did not fit yet, and whether it watches."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.waiting: bytes | None = None
        self.is_watching = False


@contextmanager
def short_address(folder: Path) -> Iterator[str]:
    """Yield an address of the folder's socket that fits the 108 bytes of sun_path, however long the path."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{CONTROL}"
    finally:
        os.close(descriptor)
