"""The inside of a child process until its program runs: it never outlives its supervisor.

Three things end it with the supervisor, because each has a gap the others close:

- PR_SET_PDEATHSIG: the kernel sends SIGKILL when the supervisor dies. SIGKILL, because a child that is
  paused or wedged ends as well, and nothing it acknowledged is lost by it (that is what the log is
  for). It covers nothing that happened before it was set ...
- ... so the parent is compared afterwards with the one that spawned us.
- The lifeline: a socket whose other end only the supervisor holds. Its end means stop, and a hard exit
  after ``GRACE_S``; it works where prctl does not, and it carries our news the other way.

The modules imported here are loaded by multiprocessing anyway (ctypes apart: 2 ms), so a child is armed
a few milliseconds after its interpreter starts, and no orphan lives through slow imports.
"""

import ctypes
import os
import select
import signal
import socket
import threading

GRACE_S = 1.0  # from the end of the lifeline to a hard exit
ORPHANED = 3  # exit code of a child whose supervisor is gone
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15  # linux/prctl.h


def run(supervisor: int, line: socket.socket, home: str, name: str, plan: bytes) -> None:
    """Be the child ``name`` of a plan: the target of the spawned process.

    ``supervisor`` is the pid of the only process that may be our parent, ``plan`` a ClusterPlan as JSON.
    """
    _end_with(supervisor)
    _call_itself(name)
    serving, stop = threading.Event(), threading.Event()
    alarm = _alarm()
    threading.Thread(target=_watch, args=(line, alarm, serving, stop), name="lifeline", daemon=True).start()
    from p2pcli.cluster.program import run_program  # only now: see above

    run_program(home, name, plan, line, serving, stop)


def _end_with(supervisor: int) -> None:
    """Have the kernel kill us when our parent dies; end at once if it already did."""
    _prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))
    if os.getppid() != supervisor:
        os._exit(ORPHANED)


def _call_itself(name: str) -> None:
    """Show up in ``ps -o comm`` and ``top`` as p2px:client1 (the kernel keeps 15 bytes)."""
    _prctl(_PR_SET_NAME, f"p2px:{name}".encode()[:15])


def _prctl(option: int, value: object) -> None:
    """Set an attribute of this process where the system has prctl(2); elsewhere the lifeline must do."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(option, value, 0, 0, 0)


def _alarm() -> socket.socket:
    """Return a socket that gets a byte when SIGTERM arrives. SIGINT and SIGHUP are the supervisor's to judge.

    Setting the stop event in a signal handler could deadlock: the handler interrupts the main thread, which
    may be holding the event's own lock in ``wait``.
    """
    alarm, bell = socket.socketpair()
    bell.setblocking(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: None)  # Python's C handler has written the byte by then
    signal.set_wakeup_fd(bell.detach(), warn_on_full_buffer=False)
    return alarm


def _watch(
    line: socket.socket, alarm: socket.socket, serving: threading.Event, stop: threading.Event
) -> None:
    """Set ``stop`` on SIGTERM; at the end of the lifeline also end the process if it does not."""
    poll = select.poll()
    poll.register(line, select.POLLIN)
    poll.register(alarm, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poll.poll()}
        is_orphan = line.fileno() in ready  # nothing is ever sent to us: this is its end
        if not is_orphan:
            alarm.recv(64)
        if not serving.is_set():
            os._exit(ORPHANED if is_orphan else 0)  # it answers nobody yet, and may be long in recovery
        stop.set()
        if is_orphan:
            threading.Event().wait(GRACE_S)
            os._exit(ORPHANED)
