"""The other side of the control socket: how the command line talks to a running supervisor."""

import os
import signal
import socket
import struct
from collections.abc import Callable, Iterator

from p2pcli.clock import monotonic
from p2pcli.cluster.door import short_address
from p2pcli.cluster.folder import ClusterFolder, ClusterNotRunning, not_running, unusable
from p2pcli.cluster.report import ChildReport, ClusterReport, ClusterState, State
from p2pcli.cluster.requests import (
    MAX_ANSWER,
    REFUSALS,
    Kill,
    Refused,
    Report,
    Request,
    Restart,
    Scale,
    Shutdown,
    Start,
    Stop,
    UseLog,
    Watch,
    as_error,
    decode_answer,
    encode,
)
from p2pcli.errors import P2pxError, TimedOut

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


class Line:
    """One connection to a supervisor: requests one way, reports the other.

    Raises ``ClusterNotRunning`` when there is none, ``SupervisorSilent`` when it does not let us in.
    """

    def __init__(self, folder: ClusterFolder, answer_s: float = ANSWER_S) -> None:
        self._name = folder.name
        self._answer_s = answer_s
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._sock.settimeout(answer_s)
        try:
            with short_address(folder.path) as address:
                self._sock.connect(address)
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError, ConnectionResetError):
            self._sock.close()
            raise not_running(folder.name) from None
        except (TimeoutError, BlockingIOError):  # its queue of callers is full
            self._sock.close()
            raise self._silent() from None
        except OSError as error:
            self._sock.close()
            raise unusable(folder.path, error) from error

    def close(self) -> None:
        """Hang up. Repeating it is fine."""
        self._sock.close()

    def peer(self) -> int:
        """Return the pid of who listens: the kernel's word, so that no pid in a file need be believed."""
        credentials = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid: int = _CREDENTIALS.unpack(credentials)[0]
        return pid

    def send(self, request: Request) -> None:
        """Send a request. Raises ``SupervisorSilent``, ``ClusterNotRunning``."""
        self._sock.settimeout(self._answer_s)
        try:
            self._sock.send(encode(request))
        except TimeoutError:
            raise self._silent() from None
        except OSError:
            raise not_running(self._name) from None

    def answer(self) -> ClusterReport:
        """Return the answer to a request. Raises what was refused, and like ``send``."""
        try:
            report = self.receive(monotonic() + self._answer_s)
        except StillChanging:
            raise self._silent() from None
        if report is None:
            raise not_running(self._name)
        return report

    def receive(self, deadline: float | None) -> ClusterReport | None:
        """Return the next report, None when the supervisor has hung up. Raises ``StillChanging``."""
        self._sock.settimeout(None if deadline is None else max(deadline - monotonic(), 0.001))
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
                raise as_error(refused, REFUSALS)

    def _silent(self) -> SupervisorSilent:
        return SupervisorSilent(
            f"the supervisor of cluster {self._name} does not answer within {self._answer_s:g} s",
            hint=f"p2px cluster down --name {self._name} ends it",
        )


class Control:
    """Talks to the supervisor of a cluster. A context manager; for one thread.

    Raises ``ClusterNotRunning`` when there is none. One that does not answer a request within
    ``answer_s`` seconds hangs.
    """

    def __init__(self, folder: ClusterFolder, answer_s: float = ANSWER_S) -> None:
        self._folder = folder
        self._answer_s = answer_s
        self._line = Line(folder, answer_s)
        self.supervisor: int = self._line.peer()  # pid

    def __enter__(self) -> "Control":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up. Repeating it is fine."""
        self._line.close()

    def report(self) -> ClusterReport:
        """Return the cluster as it is now."""
        return self._ask(Report())

    def watch(self, deadline: float | None = None) -> Iterator[ClusterReport]:
        """Yield the cluster now and at every change, until the supervisor ends.

        Of changes in quick succession only the last may be shown. ``deadline`` is a moment on the
        monotonic clock; ``StillChanging`` is raised when it passes.
        """
        try:
            line = Line(self._folder, self._answer_s)  # of its own, or its reports would pass for answers
        except ClusterNotRunning:
            return
        try:
            line.send(Watch())
            while (report := line.receive(deadline)) is not None:
                yield report
        finally:
            line.close()

    def start_node(self, name: str, timeout: float = 30.0) -> ClusterReport:
        """Start a process that is stopped or waits to be tried again, and wait until it serves."""
        return self._change(Start(name), name, timeout)

    def stop_node(self, name: str, timeout: float = 30.0) -> ClusterReport:
        """Stop a process for good, and wait until it has ended."""
        return self._until(Stop(name), timeout, lambda report: report.child(name).state is State.STOPPED)

    def restart_node(self, name: str, timeout: float = 30.0) -> ClusterReport:
        """Stop and start a process, and wait until it serves again."""
        return self._change(Restart(name), name, timeout)

    def kill_node(self, name: str) -> ClusterReport:
        """Kill a process as a crash would, and wait until it is gone; the supervisor restarts it."""
        pid = self.report().child(name).pid
        return self._until(Kill(name), ANSWER_S, lambda report: report.child(name).pid != pid)

    def scale(
        self, count: int | None = None, timeout: float = 30.0, *, bots: int | None = None
    ) -> ClusterReport:
        """Have ``count`` nodes and so many ``bots``, None: as many as there are.

        Waits until the new ones serve and the surplus ones have ended.
        """

        def is_done(report: ClusterReport) -> bool:
            for child in report.nodes if bots is None else [*report.nodes, *report.bots]:
                _check(child)
            return (
                report.state is ClusterState.READY
                and count in (None, len(report.nodes))
                and bots in (None, sum(child.state is State.RUNNING for child in report.bots))
                and bots in (None, len(report.bots))
            )

        return self._until(Scale(count, bots), timeout, is_done)

    def use_log(self, request: UseLog, timeout: float) -> ClusterReport:
        """Have the nodes restarted on another log, and wait until all of them serve."""
        names = [child.name for child in self.report().nodes if child.state is not State.STOPPED]

        def is_done(report: ClusterReport) -> bool:
            return all(report.child(name).state is State.RUNNING for name in names)

        return self._until(request, timeout, is_done)

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
        answer = self._ask(request)  # already shows what the request began
        if is_done(answer):
            return answer
        for report in self.watch(monotonic() + timeout):
            if is_done(report):
                return report
        raise not_running(self._folder.name)

    def _ask(self, request: Request) -> ClusterReport:
        self._line.send(request)
        return self._line.answer()


def _check(child: ChildReport) -> None:
    if child.state is State.BACKOFF:
        raise ChildFailed(
            f"{child.name} is tried again: {child.last_error}", hint=f"p2px cluster logs {child.name}"
        )
