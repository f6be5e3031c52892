"""The other side of the control socket: how the command line talks to a running supervisor."""

import os
import signal
import socket
import struct
from collections.abc import Callable, Iterator

from p2pcli.clock import monotonic
from p2pcli.cluster.door import short_address
from p2pcli.cluster.folder import ClusterFolder, not_running
from p2pcli.cluster.report import ChildReport, ClusterReport, ClusterState, State
from p2pcli.cluster.requests import (
    MAX_ANSWER,
    Kill,
    Refused,
    Report,
    Request,
    Restart,
    Scale,
    Shutdown,
    Start,
    Stop,
    Watch,
    as_error,
    decode_answer,
    encode,
)
from p2pcli.errors import Conflict, P2pxError, TimedOut

ANSWER_S = 5.0  # a supervisor answers in milliseconds; later it hangs
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid: unix(7), SO_PEERCRED


class SupervisorSilent(TimedOut):
    """The supervisor is there and does not answer."""

    code = "supervisor_silent"


class ChildFailed(P2pxError):
    """A process ended instead of doing what was asked."""

    code = "child_failed"


class StillChanging(TimedOut):
    """What was asked is under way and was not finished in time."""

    code = "still_changing"


class Control:
    """One connection to the supervisor of a cluster. A context manager; for one thread.

    Raises ``ClusterNotRunning`` when there is none.
    """

    def __init__(self, folder: ClusterFolder) -> None:
        self._name = folder.name
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._sock.settimeout(ANSWER_S)
        try:
            with short_address(folder.path) as address:
                self._sock.connect(address)
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError, ConnectionResetError):
            self._sock.close()
            raise not_running(folder.name) from None
        except TimeoutError:
            self._sock.close()
            raise self._silent() from None
        except OSError as error:
            self._sock.close()
            raise Conflict(
                f"cannot reach the supervisor of cluster {folder.name}: {error.strerror}"
            ) from error
        # The kernel's word on who listens, so that a pid in a file need not be believed.
        credentials = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        self.supervisor: int = _CREDENTIALS.unpack(credentials)[0]

    def __enter__(self) -> "Control":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up. Repeating it is fine."""
        self._sock.close()

    def report(self) -> ClusterReport:
        """Return the cluster as it is now."""
        return self._ask(Report())

    def watch(self, deadline: float | None = None) -> Iterator[ClusterReport]:
        """Yield the cluster now and at every change, until the supervisor ends.

        Of changes in quick succession only the last may be shown. ``deadline`` is a moment on the
        monotonic clock; ``StillChanging`` is raised when it passes.
        """
        self._send(Watch())
        while (answer := self._receive(deadline)) is not None:
            yield answer

    def start_node(self, name: str, timeout: float = 30.0) -> ClusterReport:
        """Start a process that is stopped or was given up, and wait until it serves."""
        return self._change(Start(name), name, timeout)

    def stop_node(self, name: str, timeout: float = 30.0) -> ClusterReport:
        """Stop a process for good, and wait until it has ended."""
        return self._until(Stop(name), timeout, lambda report: report.child(name).state is State.STOPPED)

    def restart_node(self, name: str, timeout: float = 30.0) -> ClusterReport:
        """Stop and start a process, and wait until it serves again."""
        return self._change(Restart(name), name, timeout)

    def kill_node(self, name: str) -> ClusterReport:
        """Kill a process as a crash would, and return at once; the supervisor restarts it."""
        return self._ask(Kill(name))

    def scale(self, count: int, timeout: float = 30.0) -> ClusterReport:
        """Have ``count`` nodes, and wait until the new ones serve and the surplus ones have ended."""

        def is_done(report: ClusterReport) -> bool:
            for child in report.nodes:
                _check(child)
            return len(report.nodes) == count and report.state is ClusterState.READY

        return self._until(Scale(count), timeout, is_done)

    def shut_down(self) -> ClusterReport:
        """Ask for the end of everything, and return at once; ``watch`` shows it and then ends."""
        return self._ask(Shutdown())

    def signal_supervisor(self, number: signal.Signals) -> None:
        """Send the supervisor a signal: SIGTERM shuts down; after SIGKILL the children end too (child.py)."""
        try:
            os.kill(self.supervisor, number)
        except ProcessLookupError:
            pass

    def _change(self, request: Request, name: str, timeout: float) -> ClusterReport:
        def is_serving(report: ClusterReport) -> bool:
            child = report.child(name)
            _check(child)
            return child.state is State.RUNNING

        return self._until(request, timeout, is_serving)

    def _until(
        self, request: Request, timeout: float, is_done: Callable[[ClusterReport], bool]
    ) -> ClusterReport:
        deadline = monotonic() + timeout
        answer = self._ask(request)  # already shows what the request began
        if is_done(answer):
            return answer
        for report in self.watch(deadline):
            if is_done(report):
                return report
        raise not_running(self._name)

    def _ask(self, request: Request) -> ClusterReport:
        self._send(request)
        answer = self._receive(monotonic() + ANSWER_S)
        if answer is None:
            raise not_running(self._name)
        return answer

    def _send(self, request: Request) -> None:
        try:
            self._sock.send(encode(request))
        except TimeoutError:
            raise self._silent() from None
        except OSError:
            raise not_running(self._name) from None

    def _receive(self, deadline: float | None) -> ClusterReport | None:
        remaining = None if deadline is None else max(deadline - monotonic(), 0.001)
        self._sock.settimeout(remaining)
        try:
            data = self._sock.recv(MAX_ANSWER + 1)
        except TimeoutError:
            raise StillChanging(f"cluster {self._name} was not done in time") from None
        except ConnectionResetError:
            return None
        if not data:
            return None
        match decode_answer(data):
            case ClusterReport() as report:
                return report
            case Refused() as refused:
                raise as_error(refused)

    def _silent(self) -> SupervisorSilent:
        return SupervisorSilent(
            f"the supervisor of cluster {self._name} does not answer within {ANSWER_S:g} s",
            hint=f"p2px cluster down --name {self._name} ends it",
        )


def _check(child: ChildReport) -> None:
    if child.state in (State.BACKOFF, State.FATAL):
        again = "is tried again" if child.state is State.BACKOFF else "was given up"
        raise ChildFailed(f"{child.name} {again}: {child.last_error}", hint=f"p2px cluster logs {child.name}")
