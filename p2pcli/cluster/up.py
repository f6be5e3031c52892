"""Starts a cluster: a supervisor in a session of its own, then a wait until every process serves.

Whoever holds the folder's lock is the supervisor. So of many ``up`` at once one starts the cluster, and
all of them wait for it at the same place: the control socket.
"""

import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from p2pcli.clock import monotonic
from p2pcli.cluster import birth
from p2pcli.cluster.briefing import log_url
from p2pcli.cluster.control import Control, StillChanging, SupervisorSilent
from p2pcli.cluster.down import down, wait_until_unlocked
from p2pcli.cluster.folder import ClusterFolder, ClusterNotRunning
from p2pcli.cluster.logs import SUPERVISOR, last_lines
from p2pcli.cluster.plan import ClusterPlan
from p2pcli.cluster.planning import PlanConflict, differences, plan_cluster
from p2pcli.cluster.report import ClusterReport, ClusterState, Failure, State
from p2pcli.cluster.requests import Refused, as_error
from p2pcli.config import Config
from p2pcli.errors import Conflict, P2pxError, TimedOut
from p2pcli.node.engine import check_access
from p2pcli.node.rotation import read_rotation
from p2pcli.rpc.certificates import fingerprint, have_common
from p2pcli.rpc.exposure import check_protected

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


class OtherAuthority(Conflict):
    """The settings are those of a cluster with another CA than the one here."""

    code = "other_authority"


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
    _check_authority(folder, config.cluster.ca)
    return bring_up(
        folder, lambda former: plan_cluster(config, former, ephemeral=ephemeral), timeout, on_progress
    )


def bring_up(
    folder: ClusterFolder,
    wanted: Callable[[ClusterPlan | None], ClusterPlan],
    timeout: float,
    on_progress: Progress,
) -> Started:
    """Have the plan that ``wanted`` makes of the former one run; otherwise like ``up``."""
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
            is_ours = launch(folder, identified(wanted(folder.plan())), deadline)
            if not is_ours:
                time.sleep(POLL_S)  # whoever holds the lock opens its socket any moment now
            continue
        with control:
            report = _await(control, folder, is_ours, timeout, deadline, on_progress)
        if report is not None:
            return Started(report, not is_ours, [] if is_ours else _differences(folder, wanted))
        if is_ours:
            raise StartFailed(_sudden_end(folder))
        # It was being stopped; now it is our turn.


def identified(plan: ClusterPlan) -> ClusterPlan:
    """Return the plan with a name for its log that no other cluster has, where others may be."""
    if plan.engine != "etcd" or plan.log_identity:
        return plan
    return msgspec.structs.replace(plan, log_identity=secrets.token_hex(8))


def throw_away(home: ClusterFolder, purpose: str, planned: ClusterPlan, timeout: float) -> ClusterFolder:
    """Start a cluster that is only for this: planned as the user's would be, under a name of its own.

    Its caller takes it down. It is a durable one, for an ephemeral one forgets when its supervisor dies.
    """
    folder = ClusterFolder(home.path.parent, f"{purpose}-{secrets.token_hex(3)}")
    wanted = msgspec.structs.replace(planned, name=folder.name, ephemeral=False, logs="", bots=0)
    bring_up(folder, lambda former: former or wanted, timeout, lambda report: None)
    return folder


def _await(
    control: Control,
    folder: ClusterFolder,
    is_ours: bool,
    timeout: float,
    deadline: float,
    on_progress: Progress,
) -> ClusterReport | None:
    """Return the cluster once it is ready, None when it ends; stop what is ours otherwise."""
    last: ClusterReport | None = None
    failure: Failure | None = None
    try:
        for last in control.watch(deadline):
            on_progress(last)
            failure = failure or last.failure
            if last.state in (ClusterState.READY, ClusterState.DEGRADED):
                return last
    except ClusterNotRunning:  # killed after it had taken our call
        return None
    except (StillChanging, SupervisorSilent):
        if is_ours:
            down(folder, timeout=END_S)
        raise _timed_out(folder, last, timeout) from None
    except KeyboardInterrupt:
        if is_ours:
            down(folder, timeout=END_S)
        raise
    wait_until_unlocked(folder)
    if failure is not None:
        raise StartFailed(failure)
    return None


def launch(folder: ClusterFolder, plan: ClusterPlan, deadline: float) -> bool:
    """Start a supervisor with that plan; return False when another one holds the folder.

    Returns when its control socket listens. Raises what keeps it from that: ``FolderUnusable``,
    ``PortTaken``, ``BadAccessFile``, ``StartFailed``.
    """
    check_protected(f"cluster {folder.name}", plan.host, has_tls=bool(folder.authority()))
    check_access(log_url(plan, folder))
    folder.check_restored()
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
            raise as_error(refused, birth.REFUSALS)
        case None:
            raise StartFailed(_sudden_end(folder))


def _check_authority(folder: ClusterFolder, wanted: str) -> None:
    """Raise ``OtherAuthority`` unless the CA that the settings name, if any, is the folder's own."""
    if not wanted:
        return
    here = folder.authority()
    if wanted == here or is_replaced_authority(folder, wanted):
        return
    if not here or not have_common(wanted, here):
        has = "has another CA" if here else "has no CA"
        raise OtherAuthority(
            f"the settings name a CA (cluster.ca), and cluster {folder.name} on this machine {has}",
            hint="a machine joins with p2px node join; p2px cluster init begins a cluster of its own",
        )


def is_replaced_authority(folder: ClusterFolder, ca: str) -> bool:
    """Say whether the CA that settings name (PEM, "": none) is one that this cluster had before."""
    rotation = read_rotation(folder.secret_path) if ca else None
    return rotation is not None and fingerprint(ca) in rotation.retired_cas


def _timed_out(folder: ClusterFolder, last: ClusterReport | None, timeout: float) -> StartTimedOut:
    children = last.exchange if last is not None else []
    late = [child for child in children if child.state is not State.RUNNING]
    names = [child.name for child in late] or [SUPERVISOR]
    why = next((f": {child.last_error}" for child in late if child.last_error), "")
    return StartTimedOut(
        f"cluster {folder.name} was not ready in {timeout:g} s, waiting for {', '.join(names)}{why}",
        hint=f"p2px cluster logs {names[0]}, or a longer --timeout",
    )


def _sudden_end(folder: ClusterFolder) -> Failure:
    return Failure(SUPERVISOR, "it ended while starting", tuple(last_lines(folder.output_path, 10)))


def _differences(folder: ClusterFolder, wanted: Callable[[ClusterPlan | None], ClusterPlan]) -> list[str]:
    running = folder.plan()
    if running is None:
        return []
    try:
        return differences(running, wanted(running))
    except PlanConflict as error:
        return [error.message]
