"""Stops a cluster, and deletes it when that is wanted: only after the last process has ended."""

import signal
import time
from collections.abc import Callable

from p2pcli.clock import monotonic
from p2pcli.cluster.briefing import log_url
from p2pcli.cluster.control import ANSWER_S, Control, StillChanging, SupervisorSilent
from p2pcli.cluster.folder import BadPlanFile, ClusterFolder, ClusterNotRunning
from p2pcli.cluster.folder_lock import FolderLock
from p2pcli.cluster.report import ClusterReport
from p2pcli.cluster.requests import OtherSupervisor
from p2pcli.errors import P2pxError, TimedOut

UNLOCK_S = 5.0  # from the end of the control connection, or SIGKILL, to the end of the last process
POLL_S = 0.005


class StillHeld(TimedOut):
    """A process of the cluster does not end."""

    code = "still_held"


class LogNotDeleted(P2pxError):
    """A cluster was to be deleted, and its log is where nobody answers."""

    code = "log_not_deleted"


def down(
    folder: ClusterFolder,
    *,
    wipe: bool = False,
    timeout: float = 15.0,
    on_progress: Callable[[ClusterReport], None] = lambda report: None,
) -> bool:
    """Stop every process of a cluster; return whether it was running.

    What has not ended after ``timeout`` seconds is killed. ``wipe`` deletes the cluster's folder afterwards,
    as happens to an ephemeral cluster anyway, and before that its log when that is elsewhere. Raises
    ``StillHeld``, ``FolderUnusable``, ``LogNotDeleted``: then nothing is deleted.
    """
    was_running = _stop(folder, timeout, on_progress)
    if wipe or _is_ephemeral(folder):
        lock = FolderLock(folder.lock_path)
        if folder.path.exists() and _taken(lock, monotonic() + UNLOCK_S):
            try:
                _wipe_log(folder)
                folder.wipe()
            finally:
                lock.release()
    return was_running


def wait_until_unlocked(folder: ClusterFolder) -> None:
    """Return once no process of the cluster lives. Raises ``StillHeld``."""
    deadline = monotonic() + UNLOCK_S
    for path in (folder.lock_path, folder.children_lock_path):
        lock = FolderLock(path)
        if path.exists() and not _taken(lock, deadline):
            raise StillHeld(
                f"a process of cluster {folder.name} still lives after {UNLOCK_S:g} s",
                hint=f"fuser -v {path} names it",
            )
        lock.release()


def _stop(folder: ClusterFolder, timeout: float, on_progress: Callable[[ClusterReport], None]) -> bool:
    deadline = monotonic() + timeout
    try:
        control = Control(folder, min(timeout, ANSWER_S))
    except ClusterNotRunning:
        wait_until_unlocked(folder)  # children of a killed supervisor may be ending just now
        return False
    with control:
        try:
            control.shut_down()
            for report in control.watch(deadline):
                on_progress(report)
        except OtherSupervisor:
            control.signal_supervisor(signal.SIGTERM)  # which every version understands
        except (StillChanging, SupervisorSilent):
            control.signal_supervisor(signal.SIGKILL)
        except ClusterNotRunning:
            pass  # it ended while we asked
    wait_until_unlocked(folder)
    return True


def _wipe_log(folder: ClusterFolder) -> None:
    try:
        plan = folder.plan()
    except BadPlanFile:
        return  # where its log is nobody knows
    if plan is None or plan.engine == "sqlite":
        return
    from p2pcli.node.engine import wipe_log

    try:
        wipe_log(log_url(plan, folder))
    except P2pxError as error:
        raise LogNotDeleted(
            f"cluster {folder.name} is stopped but not deleted, its log is out of reach: {error.message}",
            hint=f"repeat when etcd answers; or delete the folder {folder.path} and, later, the keys",
        ) from error


def _is_ephemeral(folder: ClusterFolder) -> bool:
    try:
        plan = folder.plan()
    except BadPlanFile:
        return False
    return plan is not None and plan.ephemeral


def _taken(lock: FolderLock, deadline: float) -> bool:
    while not lock.take():
        if monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True
