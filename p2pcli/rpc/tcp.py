"""TCP sockets: a listener, and a connection that carries payloads. Nothing is decided here.

Sockets stay blocking; the kernel's own timeouts (SO_RCVTIMEO, SO_SNDTIMEO) wake them, which saves the
extra poll() that ``settimeout`` puts before every recv. TLS, where there is any, is a transform of the
bytes (``tls``): nothing here waits for it.
"""

import errno
import socket
import struct
import threading
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from p2pcli.clock import monotonic
from p2pcli.errors import Conflict, NotRunning, TimedOut
from p2pcli.rpc import auth
from p2pcli.rpc.frame import MAX_FRAME, MAX_FRAME_BEFORE_AUTH, FrameDecoder

if TYPE_CHECKING:
    from p2pcli.rpc.tls import Tls

RECEIVE_BYTES = 256 << 10
FRAME_S = 10.0  # a frame that has begun must be complete by then, or its thread is wanted elsewhere
TICK_S = 1.0  # how often a waiting thread looks at its deadlines
CALLER_TICK_S = 0.1  # the same for a caller, whose deadlines are shorter
SEND_S = 5.0  # a reader that takes nothing for this long is gone
MAX_OUTBOX = 16 << 20  # bytes waiting for one slow reader
BACKLOG = 512
USER_TIMEOUT_MS = 10_000  # unacknowledged data older than this closes the connection (RFC 5482)


class PeerUnreachable(NotRunning):
    """Nobody answers at that address."""

    code = "unreachable"


class HostUnreachable(PeerUnreachable):
    """Its machine is off, or the way there is cut: whoever is there may be as well as ever."""

    code = "host_unreachable"


class PortTaken(Conflict):
    """Another process listens there."""

    code = "port_taken"


class ConnectionLost(TimedOut):
    """The connection ended; what was under way may or may not have happened."""

    code = "connection_lost"


class NoAnswer(TimedOut):
    """The other side did not answer in time."""

    code = "no_answer"


class Connection:
    """One TCP connection that carries framed payloads both ways.

    One thread receives; any thread may send. A send never blocks its caller: what the kernel does not
    take at once waits in an outbox that a writer thread of its own empties, and a reader whose outbox
    is full or who takes nothing for ``SEND_S`` seconds is cut off.
    """

    def __init__(self, sock: socket.socket) -> None:
        """Take over a connected socket; until ``settle`` its frames are limited as a stranger's.

        Raises ``ConnectionLost`` when the other side is gone already.
        """
        self._sock = sock
        self._decoder = FrameDecoder(MAX_FRAME_BEFORE_AUTH)
        self._send_lock = threading.Lock()
        self._outbox: deque[bytes] = deque()
        self._outbox_bytes = 0
        self._room = threading.Condition(self._send_lock)
        self._writing = False
        self._closed = False
        self._tls: Tls | None = None
        self._early: list[bytes] = []  # payloads that came in one piece with the end of the TLS handshake
        try:
            host, port = sock.getpeername()[:2]
            _tune(sock)
        except OSError as error:  # reset since it was connected, by a process that was killed
            raise ConnectionLost(f"the other side is gone: {error.strerror}") from error
        self.address = f"{host}:{port}"
        self.session = ""  # what both ends call this conversation in their logs, from the handshake on

    # -- receiving --------------------------------------------------------------------------------

    def receive(self, idle_s: float | None = None) -> Iterator[list[bytes]]:
        """Yield the payloads of each piece that arrives, until the other side closes.

        Raises ``ConnectionLost``; ``NoAnswer`` when nothing at all comes for ``idle_s`` seconds or a
        frame stays incomplete for ``FRAME_S``; ``FrameTooLarge``.
        """
        decoder = self._decoder
        last = began = monotonic()
        while True:
            try:
                data = self._sock.recv(RECEIVE_BYTES)
            except (BlockingIOError, InterruptedError):  # SO_RCVTIMEO: time to look at the deadlines
                if idle_s is not None and monotonic() - last > idle_s:
                    raise NoAnswer(f"{self.address} sent nothing for {idle_s:g} s") from None
                self._check_frame(began)
                continue
            except OSError as error:
                raise ConnectionLost(f"connection to {self.address} broke: {error.strerror}") from error
            if not data:
                return
            last = monotonic()
            if self._tls is not None:
                data = self._opened(self._tls, data)
            if not decoder.is_mid_frame:
                began = last
            payloads = decoder.feed(data)
            if payloads:
                began = last
                yield payloads
            else:
                self._check_frame(began)  # a slow drip of bytes resets no deadline

    def _check_frame(self, began: float) -> None:
        if self._decoder.is_mid_frame and monotonic() - began > FRAME_S:
            raise NoAnswer(f"{self.address} did not finish a frame in {FRAME_S:g} s")

    def receive_some(self, deadline: float) -> list[bytes]:
        """Return the next payloads, at least one. For a caller who waits for an answer.

        Raises ``NoAnswer`` at ``deadline`` (monotonic), at most a tick late, and ``ConnectionLost`` when
        the other side closes.
        """
        if self._early:
            payloads, self._early = self._early, []
            return payloads
        while True:
            data = self._arrived(deadline)
            if self._tls is not None:
                data = self._opened(self._tls, data)
            if payloads := self._decoder.feed(data):
                return payloads
            if monotonic() >= deadline:
                raise NoAnswer(f"{self.address} did not answer in time")

    def _opened(self, tls: "Tls", data: bytes) -> bytes:
        try:
            return tls.open(data)
        except OSError as error:
            raise ConnectionLost(f"connection to {self.address} broke: {error.strerror}") from error

    def _arrived(self, deadline: float, flags: int = 0) -> bytes:
        """Return the next bytes on the socket, as ``receive_some``."""
        while True:
            try:
                data = self._sock.recv(RECEIVE_BYTES, flags)
            except (BlockingIOError, InterruptedError):
                if monotonic() >= deadline:
                    raise NoAnswer(f"{self.address} did not answer in time") from None
                continue
            except OSError as error:
                raise ConnectionLost(f"connection to {self.address} broke: {error.strerror}") from error
            if not data:
                raise ConnectionLost(f"{self.address} closed the connection")
            return data

    def receive_one(self, deadline: float) -> bytes:
        """Return the next payload, which must be the only one on its way. For conversations by turns."""
        payloads = self.receive_some(deadline)
        if len(payloads) > 1:
            raise auth.BadHandshake(f"{self.address} speaks out of turn")
        return payloads[0]

    def first_byte(self, deadline: float) -> int:
        """Return the first byte that the other side sends, and leave it there. Raises as ``receive_some``."""
        return self._arrived(deadline, socket.MSG_PEEK)[0]

    def skip(self, deadline: float) -> None:
        """Take what has arrived and forget it. Raises as ``receive_some``."""
        self._arrived(deadline)

    def begin_tls(self, tls: "Tls", deadline: float) -> None:
        """Carry out the TLS handshake; whatever is sent and received after it is sealed.

        Raises what ``Tls.shake`` raises, after telling the other side, and as ``receive_some``.
        """
        data = b""
        try:
            while True:
                records, is_over = tls.shake(data)
                if records:
                    self.send_blocking(records)
                if is_over:
                    break
                data = self._arrived(deadline)
            self._early = self._decoder.feed(self._opened(tls, b""))
        except Conflict:
            if records := tls.parting():
                self.send_blocking(records)
            raise
        self._tls = tls

    def settle(self, tick_s: float = TICK_S) -> None:
        """Leave the handshake behind: full-size frames, and waits that look at deadlines every tick."""
        self._decoder.limit = MAX_FRAME
        _receive_timeout(self._sock, tick_s)

    # -- sending ----------------------------------------------------------------------------------

    def send(self, frames: bytes) -> None:
        """Send framed bytes, at once or through the outbox. Raises ``ConnectionLost``."""
        with self._send_lock:
            if self._closed:
                raise ConnectionLost(f"connection to {self.address} is closed")
            try:
                if self._tls is not None:
                    frames = self._tls.seal(frames)
                if self._writing:
                    self._store(frames)
                    return
                sent = self._sock.send(frames, socket.MSG_DONTWAIT)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                raise ConnectionLost(f"connection to {self.address} broke: {error.strerror}") from error
            if sent < len(frames):
                self._store(frames[sent:])
                self._writing = True
                threading.Thread(target=self._write, name=f"write {self.address}", daemon=True).start()

    @property
    def is_behind(self) -> bool:
        """Say whether something waits in the outbox."""
        return self._writing

    def send_blocking(self, frames: bytes) -> None:
        """Send framed bytes and wait until the kernel has them all. Raises ``ConnectionLost``.

        For a thread that has nothing else to do, such as a peer's sender or a client; one at a time. What
        ``send`` has put into the outbox goes first.
        """
        if self._writing:
            with self._room:
                if not self._room.wait_for(lambda: not self._writing, SEND_S):
                    raise ConnectionLost(f"{self.address} took nothing for {SEND_S:g} s")
        try:
            if self._tls is not None:
                frames = self._tls.seal(frames)
            self._sock.sendall(frames)
        except BlockingIOError:
            raise ConnectionLost(f"{self.address} took nothing for {SEND_S:g} s") from None
        except OSError as error:
            raise ConnectionLost(f"connection to {self.address} broke: {error.strerror}") from error

    def _store(self, frames: bytes) -> None:
        if self._outbox_bytes + len(frames) > MAX_OUTBOX:
            self._shut()
            raise ConnectionLost(f"{self.address} reads too slowly: {MAX_OUTBOX} bytes wait for it")
        self._outbox.append(frames)
        self._outbox_bytes += len(frames)

    def _write(self) -> None:
        while True:
            with self._send_lock:
                if not self._outbox or self._closed:
                    self._writing = False
                    self._outbox.clear()
                    self._outbox_bytes = 0
                    self._room.notify_all()
                    return
                piece = self._outbox.popleft()
                self._outbox_bytes -= len(piece)
            try:
                self._sock.sendall(piece)
            except OSError:  # the receiving thread notices and reports; here the rest is only dropped
                self.close()

    # -- the end ----------------------------------------------------------------------------------

    def close(self) -> None:
        """Close from any thread; a thread waiting in ``receive`` wakes up. Repeating it is fine."""
        with self._send_lock:
            self._shut()

    def release(self) -> None:
        """Give the descriptor back. Only the receiving thread calls it, last."""
        self.close()
        self._sock.close()

    def _shut(self) -> None:
        if not self._closed:
            self._closed = True
            try:
                self._sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Listener:
    """A bound, listening socket."""

    def __init__(self, host: str, port: int) -> None:
        """Bind. Port 0 takes any free one. Raises ``PortTaken``."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
            sock.listen(BACKLOG)
        except OSError as error:
            sock.close()
            if error.errno == errno.EADDRINUSE:
                raise PortTaken(
                    f"port {port} on {host} is taken by another process",
                    hint="choose another port, or 0 for any",
                ) from error
            raise PortTaken(f"cannot listen on {host}:{port}: {error.strerror}") from error
        self._sock = sock
        self.host: str = host
        self.port: int = sock.getsockname()[1]

    def accept(self) -> socket.socket | None:
        """Return the next caller's socket, or None once closed.

        Raises ``OSError`` for everything that passes, such as running out of descriptors.
        """
        try:
            sock, _ = self._sock.accept()
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.EBADF):  # what close() does to a waiting accept()
                return None
            raise
        return sock

    def close(self) -> None:
        """Stop listening and wake a waiting ``accept``."""
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._sock.close()


def _tune(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 5), ("TCP_KEEPINTVL", 2), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
    _receive_timeout(sock, CALLER_TICK_S)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(SEND_S))


def _receive_timeout(sock: socket.socket, seconds: float) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(seconds))


def _timeval(seconds: float) -> bytes:
    whole = int(seconds)
    return struct.pack("ll", whole, max(1, int((seconds - whole) * 1_000_000)))
