"""The supervisor: one loop that looks after the children, answers callers, and says what changed.

One thread waits on everything at once (children's news and ends, health checks, callers, signals), so
there is nothing to lock. Each turn does what is due, tells whoever watches when something changed, and
sleeps until the next event or deadline.
"""

import logging
import os
import selectors
import signal
import socket

import msgspec

from p2pcli.clock import monotonic
from p2pcli.cluster.crew import Crew, Probe
from p2pcli.cluster.door import Door
from p2pcli.cluster.folder import ClusterFolder, FolderUnusable
from p2pcli.cluster.folder_lock import FolderLock
from p2pcli.cluster.plan import MAX_BOTS, MAX_NODES, ClusterPlan, LogAccess
from p2pcli.cluster.report import BOT, ClusterReport, ClusterState, Failure, State, state_of
from p2pcli.cluster.requests import (
    Answer,
    BadCount,
    IsEnding,
    Kill,
    NothingToKill,
    Report,
    Request,
    Restart,
    Scale,
    Shutdown,
    Start,
    Stop,
    UseLog,
    Watch,
    as_refused,
)
from p2pcli.errors import P2pxError

FOLDER_CHECK_S = 1.0  # how often to see whether the folder is still there

logger = logging.getLogger(__name__)


class Supervisor:
    """Runs one plan in one folder until it is told to shut down. The caller holds the folder's ``lock``."""

    def __init__(
        self,
        folder: ClusterFolder,
        plan: ClusterPlan,
        lock: FolderLock,
        probe: Probe,
        warnings: tuple[str, ...] = (),
    ) -> None:
        """Open the control socket; start nothing yet. Raises ``FolderUnusable``."""
        self._folder = folder
        self._kept_plan = plan
        self._lock = lock
        self._warnings = warnings
        self._was_ready = False
        self._is_ending = False
        self._is_lost = False  # the folder is gone
        self._failure: Failure | None = None
        self._shown: ClusterReport | None = None
        self._selector = selectors.DefaultSelector()
        self._crew = Crew(folder, plan, self._selector, probe)
        self._door = Door(folder.path, self._selector, self._answer)
        self._alarm, self._bell = socket.socketpair()
        self._alarm.setblocking(False)
        self._bell.setblocking(False)
        self._selector.register(self._alarm, selectors.EVENT_READ, self._on_signal)

    def run(self) -> None:
        """Start everything and look after it; return when every child has ended, as was asked.

        To be called in the main thread, once.
        """
        signal.set_wakeup_fd(self._bell.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)  # Python's C handler has rung the bell by then
        self._crew.start_all()
        next_look = monotonic() + FOLDER_CHECK_S
        while True:
            self._crew.carry_out()
            report = self._take_stock()
            if report.state is ClusterState.STOPPED:
                break
            self._sleep(next_look)
            if monotonic() >= next_look:
                self._look_for_folder()
                next_look = monotonic() + FOLDER_CHECK_S
        self._close()

    def _sleep(self, until: float) -> None:
        wake_at = self._crew.wake_at()
        until = until if wake_at is None else min(until, wake_at)
        for key, _ in self._selector.select(max(0.0, until - monotonic())):
            # An earlier call of this round may have closed what a later one is about.
            present = self._selector.get_map().get(key.fd)
            if present is not None and present.fileobj == key.fileobj:
                present.data()

    # -- what it looks like -----------------------------------------------------------------------

    def _take_stock(self) -> ClusterReport:
        """Notice the start's success or failure; show and keep what changed."""
        report = self._report()
        if report.state is ClusterState.STARTING:
            states = {child.state for child in report.exchange}
            if states <= {State.RUNNING, State.STOPPED}:
                self._was_ready = True
                logger.info("cluster %s is ready", report.cluster)
                self._crew.start_bots()
                self._crew.carry_out()
            elif (failure := self._crew.first_failure()) is not None:
                # Nobody is served yet, so there is nothing to lose by giving up, and a clear error to gain.
                self._failure = failure
                logger.error("the start failed: %s: %s", failure.child, failure.reason)
                self._end()
            report = self._report()
        if report != self._shown:
            self._shown = report
            self._keep(report)  # first: whoever is shown it may read the file next
            self._door.show(report)
        return report

    def _report(self) -> ClusterReport:
        children = self._crew.report()
        # Bots are no part of the exchange: only its end waits for theirs.
        counted = [child.state for child in children if self._is_ending or child.kind != BOT]
        state = state_of(counted, was_ready=self._was_ready, is_ending=self._is_ending)
        plan = self._crew.plan
        return ClusterReport(
            plan.name, state, plan.engine, os.getpid(), children, self._failure, self._warnings
        )

    def _keep(self, report: ClusterReport) -> None:
        """Write the state for readers, and the plan when the children have settled on other ports."""
        if self._is_lost:
            return
        try:
            self._folder.keep_report(report)
            is_settled = all(child.state is not State.STARTING for child in report.children)
            if is_settled and self._crew.plan != self._kept_plan:
                self._folder.keep_plan(self._crew.plan)
                self._kept_plan = self._crew.plan
        except FolderUnusable as error:
            # The children do not depend on these files; the next change tries again.
            logger.error("the state of the cluster is not written: %s", error)

    def _look_for_folder(self) -> None:
        if not self._lock.is_in_place() and not self._is_lost:
            self._is_lost = True
            logger.error("the folder %s was removed; the cluster stops", self._folder.path)
            self._end()

    # -- what is asked of it ----------------------------------------------------------------------

    def _answer(self, request: Request) -> tuple[Answer, bool]:
        try:
            self._obey(request)
        except P2pxError as error:
            return as_refused(error), False
        self._crew.carry_out()
        return self._take_stock(), isinstance(request, Watch)

    def _obey(self, request: Request) -> None:
        if self._is_ending and not isinstance(request, Report | Watch | Shutdown):
            raise IsEnding(f"cluster {self._folder.name} is being stopped", hint="p2px cluster up")
        match request:
            case Start(name):
                self._crew.child(name).life.start(monotonic())
            case Stop(name):
                self._crew.child(name).life.stop(monotonic())
            case Restart(name):
                self._crew.child(name).life.restart(monotonic())
            case Kill(name):
                child = self._crew.child(name)
                if child.process is None:
                    raise NothingToKill(
                        f"{name} does not run, it is {child.life.state.value}",
                        hint=f"p2px cluster start {name}",
                    )
                child.process.kill()
            case Scale(count, bots):
                if count is not None and not 1 <= count <= MAX_NODES:
                    raise BadCount(f"a cluster has 1 to {MAX_NODES} nodes, not {count}")
                if bots is not None and not 0 <= bots <= MAX_BOTS:
                    raise BadCount(f"a cluster has 0 to {MAX_BOTS} bots, not {bots}")
                self._crew.scale(count, bots)
            case UseLog(url, identity, access):
                self._use_log(url, identity, access)
            case Shutdown():
                self._end()
        if not isinstance(request, Report | Watch):
            logger.info("asked to %s", request)

    def _use_log(self, url: str, identity: str, access: LogAccess) -> None:
        """Keep the plan first: a node that begins on the new log must never begin on the old one again."""
        plan = msgspec.structs.replace(self._crew.plan, log_url=url, log_identity=identity, log_access=access)
        self._folder.keep_plan(plan)
        self._kept_plan = self._crew.plan = plan
        self._crew.restart_nodes()

    def _on_signal(self) -> None:
        """The first signal stops everything in order, another one at once."""
        self._alarm.recv(64)
        logger.info("stopping on a signal")
        if self._is_ending:
            self._crew.stop_all(at_once=True)
        self._end()

    def _end(self) -> None:
        if not self._is_ending:
            self._is_ending = True
            self._crew.stop_all()

    def _close(self) -> None:
        logger.info("every process has ended")
        if not self._is_lost:
            self._folder.forget_report()
        signal.set_wakeup_fd(-1)
        self._door.close()
        self._crew.close()
        self._selector.close()
        self._alarm.close()
        self._bell.close()
