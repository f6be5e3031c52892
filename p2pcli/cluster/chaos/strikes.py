"""Faults carried out: signals to real processes, and a look at how long it takes until each is back.

A process is held by a pidfd, never by its number, and only a child of the cluster's own supervisor is
touched: a number that the system has given to somebody else meanwhile is nobody's business here.
"""

import os
import select
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from p2pcli.clock import monotonic
from p2pcli.cluster.chaos.arena import POLL_S, SUPERVISOR, Arena, Process
from p2pcli.cluster.chaos.plan import Fault, Kind
from p2pcli.cluster.chaos.report import Strike, struck
from p2pcli.cluster.control import Control
from p2pcli.cluster.probe import member_answers
from p2pcli.errors import NotRunning, P2pxError, TimedOut

RECOVERY_S = 60.0  # after which a process counts as lost
BITE_S = 1.0  # longest wait for a request in flight before striking
FIND_S = 15.0  # longest wait for a process to be there at all
TRIES_TO_CATCH_A_WRITER = 400
PROBE_S = 0.5
EVERYTHING = "everything"


class NotStruck(P2pxError):
    """The fault could not be carried out."""

    code = "not_struck"


class Victim:
    """One process, held so that a signal cannot hit another. A context manager."""

    def __init__(self, process: Process) -> None:
        """Raises ``NotStruck`` when it is gone, or is no longer the process that was meant."""
        self.name = process.name
        self.pid = process.pid
        try:
            self._descriptor = os.pidfd_open(process.pid)
        except ProcessLookupError:
            raise NotStruck(f"{process.name} was gone before it was struck") from None
        if process.parent and _parent(process.pid) != process.parent:
            os.close(self._descriptor)
            raise NotStruck(f"{process.name} was replaced before it was struck")

    def __enter__(self) -> "Victim":
        return self

    def __exit__(self, *exc: object) -> None:
        os.close(self._descriptor)

    def signal(self, number: signal.Signals) -> None:
        try:
            signal.pidfd_send_signal(self._descriptor, number)
        except ProcessLookupError:
            pass

    def ended(self, timeout: float) -> bool:
        """Wait for its end; say whether it came."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(max(0, round(timeout * 1000))))


class Striker:
    """Carries out planned faults, each in a thread of its own, so that they overlap as planned."""

    def __init__(
        self,
        arena: Arena,
        faults: Sequence[Fault],
        in_flight: Callable[[str], bool],
        highest: Callable[[], int],
        stop: threading.Event,
    ) -> None:
        """``in_flight`` says whether a request is under way through a node ("": through any); ``highest``
        is the highest sequence acknowledged so far. ``stop`` ends pauses at once and strikes no more."""
        self.strikes: list[Strike] = []
        self._arena = arena
        self._faults = faults
        self._in_flight = in_flight
        self._highest = highest
        self._stop = stop
        self._threads: list[threading.Thread] = []
        self._dealing = threading.Thread(target=self._deal, name="strikes", daemon=True)

    def start(self) -> None:
        """Begin to strike, each fault when its time has come."""
        self._dealing.start()

    def join(self, timeout: float) -> None:
        """Wait, once ``stop`` is set, until every process that was struck is back or was given up."""
        deadline = monotonic() + timeout
        if self._dealing.ident is not None:
            self._dealing.join(timeout)
        for thread in self._threads:
            thread.join(max(0.0, deadline - monotonic()))

    def _deal(self) -> None:
        began = monotonic()
        for fault in self._faults:
            if self._stop.wait(max(0.0, began + fault.at - monotonic())):
                return
            thread = threading.Thread(target=self.strike, args=(fault,), name=fault.kind.value, daemon=True)
            self._threads.append(thread)
            thread.start()

    def strike(self, fault: Fault) -> Strike:
        """Carry out one fault now, and return when the process is back; ``trouble`` says when it is not."""
        strike = struck(fault, "")
        try:
            match fault.kind:
                case Kind.NODE_KILLED | Kind.REGISTRY_KILLED:
                    self._kill(strike, self._one(fault))
                case Kind.SUPERVISOR_KILLED | Kind.ALL_KILLED:
                    self._kill_supervisor(strike, fault.kind is Kind.ALL_KILLED)
                case Kind.WRITER_PAUSED:
                    self._pause_writer(strike)
                case _:
                    self._pause(strike, self._one(fault))
        except P2pxError as error:
            strike.trouble = error.message
        self.strikes.append(strike)
        return strike

    # -- choosing ---------------------------------------------------------------------------------

    def _processes(self) -> list[Process]:
        """Return every process, as soon as the supervisor says. Raises ``NotStruck``."""
        deadline = monotonic() + FIND_S
        while True:
            try:
                return self._arena.processes()
            except (NotRunning, TimedOut) as error:
                if monotonic() > deadline or self._stop.wait(POLL_S):
                    raise NotStruck(f"no process to strike: {error.message}") from error

    def _one(self, fault: Fault) -> Process:
        """Return the process that a fault chooses."""
        if fault.kind is Kind.SUPERVISOR_PAUSED:
            return self._processes()[0]
        is_member = fault.kind in (Kind.REGISTRY_KILLED, Kind.REGISTRY_PAUSED)
        found = self._children(is_member)
        return found[fault.choice % len(found)]

    def _children(self, is_member: bool) -> list[Process]:
        """Return the nodes, or the registry's members, as soon as there is one. Raises ``NotStruck``."""
        names = self._node_names()
        deadline = monotonic() + FIND_S
        while monotonic() < deadline and not self._stop.wait(POLL_S):
            found = [
                each
                for each in self._processes()
                if each.name != SUPERVISOR and (each.name not in names) == is_member
            ]
            if found:
                return found
        raise NotStruck("no process of that kind is there")

    def _node_names(self) -> set[str]:
        return {name for name, _ in self._arena.places()}

    def _await_bite(self, name: str) -> None:
        """Wait a moment for a request in flight, so that the fault meets one."""
        wanted = name if name in self._node_names() else ""
        deadline = monotonic() + BITE_S
        while not self._in_flight(wanted) and monotonic() < deadline and not self._stop.is_set():
            self._stop.wait(0.0002)

    # -- striking ---------------------------------------------------------------------------------

    def _kill(self, strike: Strike, process: Process) -> None:
        strike.process = process.name
        with Victim(process) as victim:
            self._await_bite(process.name)
            strike.at = monotonic()
            victim.signal(signal.SIGKILL)
            victim.ended(RECOVERY_S)
        self._await_return(strike, process)

    def _kill_supervisor(self, strike: Strike, everything: bool) -> None:
        strike.process = EVERYTHING if everything else SUPERVISOR
        processes = self._processes()
        victims = [Victim(process) for process in processes]
        try:
            self._await_bite("")
            strike.at = monotonic()
            for victim in victims if everything else victims[:1]:
                victim.signal(signal.SIGKILL)
            for victim in victims:
                victim.ended(RECOVERY_S)
            strike.orphans_gone = monotonic()
        finally:
            for victim in victims:
                victim.__exit__()
        # Also after ``stop``: whoever kills the supervisor brings the cluster up again.
        self._arena.bring_up(monotonic() + RECOVERY_S, threading.Event())
        strike.back = monotonic()
        for name in sorted(self._node_names()):
            self._catch_up(strike, name)

    def _pause(self, strike: Strike, process: Process) -> None:
        strike.process = process.name
        with Victim(process) as victim:
            self._await_bite(process.name)
            strike.at = monotonic()
            victim.signal(signal.SIGSTOP)
            self._sleep_through(strike, victim)
        self._await_return(strike, process)

    def _pause_writer(self, strike: Strike) -> None:
        """Pause whichever node holds the log's lock: stop one, look, let it go on if it does not."""
        lock = self._arena.folder.data / self._arena.market.replace("/", "-") / "lock"
        nodes = self._children(is_member=False)
        for attempt in range(TRIES_TO_CATCH_A_WRITER):
            process = nodes[attempt % len(nodes)]
            if self._stop.is_set():
                break
            try:
                victim = Victim(process)
            except NotStruck:  # met by another fault
                nodes = self._children(is_member=False)
                continue
            with victim:
                self._await_bite(process.name)
                at = monotonic()
                victim.signal(signal.SIGSTOP)
                if process.pid in lock_holders(lock):
                    strike.process, strike.at = process.name, at
                    self._sleep_through(strike, victim)
                    break
                victim.signal(signal.SIGCONT)
        if not strike.at:
            raise NotStruck(f"no node was met while it held {lock}")
        self._await_return(strike, process)

    def _sleep_through(self, strike: Strike, victim: Victim) -> None:
        """Let the pause last, unless the watchdog or the end of the run cuts it short."""
        until = strike.at + strike.pause
        try:
            while monotonic() < until and not self._stop.is_set():
                if victim.ended(min(0.1, max(0.0, until - monotonic()))):
                    strike.was_killed = True
                    return
        finally:
            victim.signal(signal.SIGCONT)

    # -- coming back ------------------------------------------------------------------------------

    def _await_return(self, strike: Strike, process: Process) -> None:
        """Note when the process, or the one in its place, answers again."""
        was_killed = strike.was_killed or strike.kind in (Kind.NODE_KILLED, Kind.REGISTRY_KILLED)
        deadline = monotonic() + RECOVERY_S
        pause = threading.Event()
        while not self._answers(process, was_killed):
            if monotonic() > deadline:
                strike.trouble = f"no answer for {RECOVERY_S:g} s"
                return
            pause.wait(POLL_S)
        strike.back = monotonic()
        if process.name in self._node_names():
            self._catch_up(strike, process.name)

    def _answers(self, process: Process, was_killed: bool) -> bool:
        try:
            if process.name == SUPERVISOR:
                with Control(self._arena.folder) as control:
                    control.report()
                return True
            if process.name in self._node_names():
                with self._arena.dial(process.name, PROBE_S) as client:
                    return not was_killed or client.status().pid != process.pid
            return member_answers(*self._arena.member_address(process.name), PROBE_S)
        except P2pxError:
            return False

    def _catch_up(self, strike: Strike, name: str) -> None:
        """Note when a node has everything that was acknowledged until now."""
        goal = self._highest()
        deadline = monotonic() + RECOVERY_S
        pause = threading.Event()
        while monotonic() < deadline:
            try:
                with self._arena.dial(name, PROBE_S) as client:
                    client.timeout = RECOVERY_S
                    client.book(self._arena.market, 1, goal)
                strike.caught_up = monotonic()
                return
            except P2pxError as error:  # another fault may have met it
                strike.trouble = error.message
            pause.wait(POLL_S)


def lock_holders(path: Path) -> set[int]:
    """Return the pids of the processes that hold an flock on a file, as /proc/locks says."""
    inode = str(path.stat().st_ino)
    holders = set()
    for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
        words = line.split()
        # 1: FLOCK ADVISORY WRITE 4711 fe:00:1234567 0 EOF; who waits has an arrow behind the number.
        if len(words) >= 6 and words[1] == "FLOCK" and words[5].rpartition(":")[2] == inode:
            holders.add(int(words[4]))
    return holders


def _parent(pid: int) -> int:
    """Return the pid of a process' parent, 0 when it is gone."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(status.rpartition(")")[2].split()[1])
