"""Becoming a supervisor: take the folder's lock, settle ports, open the control socket, then say so."""

import os
import signal
import sys
import time
from pathlib import Path
from types import TracebackType

import msgspec

from p2pcli import logging as output
from p2pcli.clock import monotonic
from p2pcli.cluster import birth
from p2pcli.cluster.folder import ClusterFolder
from p2pcli.cluster.folder_lock import FolderLock
from p2pcli.cluster.logs import SUPERVISOR, log_folder
from p2pcli.cluster.plan import ClusterPlan
from p2pcli.cluster.ports import PortClaims, settle
from p2pcli.cluster.probe import answers
from p2pcli.cluster.program import redirect_output
from p2pcli.cluster.requests import as_refused
from p2pcli.cluster.supervisor import Supervisor
from p2pcli.errors import P2pxError

LEFTOVERS_S = 5.0  # how long to wait for children of a supervisor that was killed
POLL_S = 0.01
CRASHED = 70  # exit code; EX_SOFTWARE of sysexits.h


def main(home: str, name: str) -> None:
    """Be the supervisor of that cluster, with the plan on stdin, until it is shut down."""
    os.umask(0o077)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the terminal that started us may close
    folder = ClusterFolder(Path(home), name)
    lock = FolderLock(folder.lock_path)
    try:
        plan = msgspec.json.decode(sys.stdin.buffer.read(), type=ClusterPlan)
        if not lock.take():
            raise birth.AlreadyRuns(f"cluster {name} has a supervisor already")
        _wait_for_leftovers(folder)
        _discard_ephemeral(folder, plan)
        claims = PortClaims(plan.host)
        plan, warnings = settle(plan, claims)
        folder.keep_plan(plan)
        supervisor = Supervisor(
            folder, plan, lock, lambda addresses: answers(addresses, folder.credentials()), warnings
        )
    except P2pxError as error:
        sys.stdout.buffer.write(birth.encode(as_refused(error)))
        raise SystemExit(error.exit_code) from None
    logs = log_folder(folder, plan)
    with output.configure(
        SUPERVISOR,
        logs,
        plan.log_level,
        environment=plan.environment,
        file_size=plan.log_file_size,
        files=plan.log_files,
    ):
        sys.stdout.buffer.write(birth.encode(birth.Born()))
        sys.stdout.buffer.flush()
        redirect_output(folder.output_path)
        sys.excepthook = die_at_once
        supervisor.run()
    # The lock and the claims of ports end with the process, not before it.


def die_at_once(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """End the process after a bug, as sys.excepthook.

    An ordinary end would wait for the children (multiprocessing does), who wait for a supervisor that no
    longer listens. This way they end with it, and the next ``up`` begins anew.
    """
    sys.__excepthook__(kind, error, trace)
    os._exit(CRASHED)


def _wait_for_leftovers(folder: ClusterFolder) -> None:
    """Wait until no child of an earlier supervisor lives: each holds the children's lock while it does."""
    children = FolderLock(folder.children_lock_path)
    deadline = monotonic() + LEFTOVERS_S
    while not children.take():
        if monotonic() > deadline:
            raise birth.LeftoverProcesses(
                f"processes of an earlier run of cluster {folder.name} still live after {LEFTOVERS_S:g} s",
                hint=f"fuser {folder.children_lock_path} names them",
            )
        time.sleep(POLL_S)
    children.release()


def _discard_ephemeral(folder: ClusterFolder, plan: ClusterPlan) -> None:
    """Delete what an ephemeral cluster that was not brought down left behind."""
    former = folder.plan()
    if plan.ephemeral or (former is not None and former.ephemeral):
        folder.discard_data()
