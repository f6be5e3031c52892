"""Starts a cluster: a supervisor in a session of its own, then a wait until every process serves.

Whoever holds the folder's lock is the supervisor. So of many ``up`` at once one starts the cluster, and
all of them wait for it at the same place: the control socket.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from p2pcli.clock import monotonic
from p2pcli.cluster import birth
from p2pcli.cluster.control import Control, StillChanging
from p2pcli.cluster.down import wait_until_unlocked
from p2pcli.cluster.folder import ClusterFolder, ClusterNotRunning
from p2pcli.cluster.logs import SUPERVISOR, last_lines
from p2pcli.cluster.plan import ClusterPlan
from p2pcli.cluster.planning import PlanConflict, differences, plan_cluster
from p2pcli.cluster.report import ClusterReport, ClusterState, Failure, State
from p2pcli.cluster.requests import Refused, as_error
from p2pcli.config import Config
from p2pcli.errors import P2pxError, TimedOut

POLL_S = 0.02
END_S = 20.0  # how long the processes of a start that is given up may take to end

Progress = Callable[[ClusterReport], None]


class StartFailed(P2pxError):
    """A process of the cluster could not be started; nothing is left running."""

    code = "start_failed"

    def __init__(self, failure: Failure) -> None:
        lines = "".join(f"\n  {line}" for line in failure.tail)
        super().__init__(
            f"{failure.child} could not be started: {failure.reason}{lines}",
            hint=f"p2px cluster logs {failure.child} shows more",
        )
        self.failure = failure


class StartTimedOut(TimedOut):
    """Not every process served in time; nothing is left running."""

    code = "start_timed_out"


@dataclass(frozen=True, slots=True)
class Started:
    """A cluster that runs now."""

    report: ClusterReport
    already_running: bool
    differences: list[str] = field(default_factory=list)  # what the configuration would change


def up(
    config: Config,
    *,
    ephemeral: bool = False,
    timeout: float = 30.0,
    on_progress: Progress = lambda report: None,
) -> Started:
    """Have the cluster that ``config`` describes run, and return when every process serves.

    One that runs already is left as it is. When the start fails, takes longer than ``timeout`` seconds
    or is interrupted (``KeyboardInterrupt``), everything it started is stopped before this raises
    ``StartFailed``, ``StartTimedOut``, ``PlanConflict``, ``FolderUnusable`` or another ``P2pxError``.
    """
    folder = ClusterFolder(config.home, config.cluster.name)
    deadline = monotonic() + timeout
    is_ours = False
    while True:
        try:
            control = Control(folder)
        except ClusterNotRunning:
            if is_ours:
                raise StartFailed(_sudden_end(folder)) from None
            if monotonic() > deadline:
                raise StartTimedOut(f"cluster {folder.name} was not ready in {timeout:g} s") from None
            is_ours = launch(folder, plan_cluster(config, folder.plan(), ephemeral=ephemeral), deadline)
            if not is_ours:
                time.sleep(POLL_S)  # whoever holds the lock opens its socket any moment now
            continue
        with control:
            try:
                report = _ready(control, deadline, on_progress)
            except StillChanging:
                waiting_for = _abandon(folder) if is_ours else control.report()
                raise _timed_out(waiting_for, timeout) from None
            except KeyboardInterrupt:
                if is_ours:
                    _abandon(folder)
                raise
        if report is not None:
            return Started(report, not is_ours, [] if is_ours else _differences(folder, config, ephemeral))
        if is_ours:
            raise StartFailed(_sudden_end(folder))
        wait_until_unlocked(folder)  # it was being stopped; now it is our turn


def launch(folder: ClusterFolder, plan: ClusterPlan, deadline: float) -> bool:
    """Start a supervisor with that plan; return False when another one holds the folder.

    Returns when its control socket listens. Raises what keeps it from that: ``FolderUnusable``,
    ``PortTaken``, ``StartFailed``.
    """
    folder.prepare()
    with folder.output_path.open("ab") as output:
        process = subprocess.Popen(
            # -P: a module of the same name in the folder we are started from is not the one that is meant.
            [sys.executable, "-P", "-m", "p2pcli.cluster", str(folder.path.parent), folder.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            cwd="/",  # so that nobody's folder is held
            start_new_session=True,
            umask=0o077,
        )
    with process:
        try:
            said, _ = process.communicate(msgspec.json.encode(plan), max(1.0, deadline - monotonic()))
        except subprocess.TimeoutExpired:
            raise StartTimedOut(f"the supervisor of cluster {folder.name} was not ready in time") from None
    match birth.decode(said):
        case birth.Born():
            return True
        case Refused(code) if code == birth.AlreadyRuns.code:
            return False
        case Refused() as refused:
            raise as_error(refused)
        case None:
            raise StartFailed(_sudden_end(folder))


def _ready(control: Control, deadline: float, on_progress: Progress) -> ClusterReport | None:
    """Return the cluster once it is ready, None when it ends instead. Raises ``StartFailed``."""
    failure: Failure | None = None
    for report in control.watch(deadline):
        on_progress(report)
        failure = failure or report.failure
        if report.state in (ClusterState.READY, ClusterState.DEGRADED):
            return report
    if failure is not None:
        raise StartFailed(failure)
    return None


def _abandon(folder: ClusterFolder) -> ClusterReport:
    """Stop everything again; return the cluster as it was."""
    with Control(folder) as control:
        before = control.report()
        control.shut_down()
        for _ in control.watch(monotonic() + END_S):
            pass
    wait_until_unlocked(folder)
    return before


def _timed_out(report: ClusterReport, timeout: float) -> StartTimedOut:
    late = [child.name for child in report.children if child.state is not State.RUNNING]
    return StartTimedOut(
        f"cluster {report.cluster} was not ready in {timeout:g} s, waiting for {', '.join(late) or 'nobody'}",
        hint=f"p2px cluster logs {late[0] if late else SUPERVISOR}, or a longer --timeout",
    )


def _sudden_end(folder: ClusterFolder) -> Failure:
    return Failure(SUPERVISOR, "it ended while starting", tuple(last_lines(folder.output_path, 10)))


def _differences(folder: ClusterFolder, config: Config, ephemeral: bool) -> list[str]:
    running = folder.plan()
    if running is None:
        return []
    try:
        return differences(running, plan_cluster(config, running, ephemeral=ephemeral))
    except PlanConflict as error:
        return [error.message]
