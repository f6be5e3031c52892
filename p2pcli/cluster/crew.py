"""The children of one cluster: does to processes what each one's supervision decides, and hears them.

Everything happens in the supervisor's one thread: ``carry_out`` after each turn of its loop, the rest as
calls of the selector. The processes are in process.py, the decisions in supervision.py.
"""

import logging
import selectors
import signal
import socket
from collections.abc import Callable, Mapping
from functools import partial

import msgspec

from p2pcli.clock import monotonic
from p2pcli.cluster import pulse
from p2pcli.cluster.folder import ClusterFolder
from p2pcli.cluster.logs import last_words, log_folder
from p2pcli.cluster.news import Failed, Serving, Waiting, exit_text
from p2pcli.cluster.plan import ClusterPlan, with_node_count, with_node_port
from p2pcli.cluster.ports import is_free
from p2pcli.cluster.process import ChildProcess
from p2pcli.cluster.report import BOT, NODE, ChildReport, Failure, State, no_such_child
from p2pcli.cluster.supervision import Action, Policy, Supervision

Probe = Callable[[Mapping[str, str]], bool]  # does the process at these addresses answer?

logger = logging.getLogger(__name__)


class Child:
    """One child: its life, and the process it has now, if any."""

    def __init__(self, name: str, kind: str, policy: Policy) -> None:
        self.name = name
        self.kind = kind
        self.life = Supervision(policy)
        self.process: ChildProcess | None = None
        self.pulse: pulse.Pulse | None = None
        self.addresses: dict[str, str] = {}
        self.said = ""  # the reason the process gave for its end
        self.output_from = 0  # where this process' part of its output file begins
        self.failure: Failure | None = None  # how it last ended too soon
        self.is_leaving = False  # scaled away: forgotten once it has ended

    def report(self) -> ChildReport:
        """Return what others may know of it."""
        is_running = self.life.state is State.RUNNING
        return ChildReport(
            self.name,
            self.kind,
            self.life.state,
            self.process.pid if self.process is not None else 0,
            self.addresses if is_running else {},
            max(0, self.life.spawns - 1),
            self.life.serving_since if is_running else 0.0,
            self.life.waits_for or self.life.last_error,
        )


class Crew:
    """All children of a plan, which is kept up to date with the ports they settle on."""

    def __init__(
        self, folder: ClusterFolder, plan: ClusterPlan, selector: selectors.BaseSelector, probe: Probe
    ) -> None:
        self.plan = plan
        self._folder = folder
        self._selector = selector
        self._probe = probe
        self._policy = Policy(ready_within=plan.ready_timeout, stop_within=plan.stop_timeout)
        self._children = {name: Child(name, kind, self._policy) for name, kind in plan.kinds.items()}
        self._bots_may_run = False  # the exchange first
        self._beats, self._pulses = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._beats.setblocking(False)
        self._pulses.setblocking(False)
        selector.register(self._beats, selectors.EVENT_READ, self._feel)

    # -- what people want -------------------------------------------------------------------------

    def start_all(self) -> None:
        """Have every child run: registry members first, for a node wants to announce itself to one."""
        for child in sorted(self._children.values(), key=lambda child: child.kind == NODE):
            if child.kind != BOT:
                child.life.start(monotonic())
                self._carry_out(child)

    def start_bots(self) -> None:
        """Have the bots run as well, from now on: once the exchange serves, so that it starts undisturbed."""
        self._bots_may_run = True
        for child in self._children.values():
            if child.kind == BOT:
                child.life.start(monotonic())

    def stop_all(self, *, at_once: bool = False) -> None:
        """Have every child end; ``at_once`` kills those that are taking their time."""
        for child in self._children.values():
            child.life.stop(monotonic())
            if at_once:
                child.life.hurry(monotonic())

    def child(self, name: str) -> Child:
        """Return the child of that name. Raises ``NoSuchChild``."""
        if name not in self._children:
            raise no_such_child(name, self.plan.name, self._children)
        return self._children[name]

    def scale(self, count: int | None, bots: int | None) -> None:
        """Have so many nodes and bots (None: as now): start new ones, stop those with the highest numbers."""
        if count is not None:
            self.plan = with_node_count(self.plan, count)
        if bots is not None:
            self.plan = msgspec.structs.replace(self.plan, bots=bots)
        kinds = self.plan.kinds
        for name, kind in kinds.items():
            child = self._children.setdefault(name, Child(name, kind, self._policy))
            if child.is_leaving or child.life.spawns == 0:
                child.is_leaving = False
                if kind != BOT or self._bots_may_run:
                    child.life.start(monotonic())
        for child in self._children.values():
            if child.name not in kinds:
                child.is_leaving = True
                child.life.stop(monotonic())

    def restart_nodes(self) -> None:
        """Have every node end and run again, but those that somebody has stopped."""
        for child in self._children.values():
            if child.kind == NODE and child.life.state is not State.STOPPED:
                child.life.restart(monotonic())

    # -- one turn of the loop ---------------------------------------------------------------------

    def carry_out(self) -> None:
        """Do everything that is due."""
        for child in list(self._children.values()):
            self._carry_out(child)

    def wake_at(self) -> float | None:
        """Return when something will be due if nothing happens before; None: never."""
        moments = [child.life.wake_at() for child in self._children.values()]
        return min((moment for moment in moments if moment is not None), default=None)

    def report(self) -> tuple[ChildReport, ...]:
        """Return what others may know of each child, in the order of the plan."""
        order = {name: position for position, name in enumerate(self.plan.kinds)}
        children = sorted(self._children.values(), key=lambda child: order.get(child.name, len(order)))
        return tuple(child.report() for child in children)

    def first_failure(self) -> Failure | None:
        """Return how some child ended too soon, None when none did."""
        return next((child.failure for child in self._children.values() if child.failure is not None), None)

    def close(self) -> None:
        """Let go of what is not a process. Every child must have ended."""
        self._selector.unregister(self._beats)
        self._beats.close()
        self._pulses.close()

    # -- processes --------------------------------------------------------------------------------

    def _carry_out(self, child: Child) -> None:
        while (action := child.life.act(monotonic())) is not None:
            if action is Action.SPAWN:
                self._spawn(child)
            elif child.process is not None and action is Action.TERMINATE:
                child.process.terminate()
            elif child.process is not None:
                logger.warning("killing %s, pid %d", child.name, child.process.pid)
                child.process.kill()
        if child.is_leaving and child.life.state is State.STOPPED:
            del self._children[child.name]

    def _spawn(self, child: Child) -> None:
        output = log_folder(self._folder, self.plan) / f"{child.name}.out"
        child.output_from = output.stat().st_size if output.exists() else 0
        child.said = ""
        try:
            process = ChildProcess(self._folder.path.parent, child.name, self._plan_for(child))
        except OSError as error:
            child.life.on_exit(monotonic(), f"could not be started: {error.strerror}")
            return
        child.process = process
        self._selector.register(process.line, selectors.EVENT_READ, partial(self._hear, child))
        self._selector.register(process.sentinel, selectors.EVENT_READ, partial(self._bury, child))
        logger.info("started %s, pid %d", child.name, process.pid)

    def _plan_for(self, child: Child) -> bytes:
        """The plan, with any free port for a node whose former one now belongs to somebody else."""
        plan = self.plan
        for node in plan.nodes:
            if (
                node.name == child.name
                and node.port
                and not is_free(plan.host, node.port, socket.SOCK_STREAM)
            ):
                plan = with_node_port(plan, node.name, 0)
        return msgspec.json.encode(plan)

    def _hear(self, child: Child) -> None:
        """Take in what a child has said."""
        if child.process is None:
            return
        heard = child.process.news()
        if not heard:  # its end of the line is closed; how it ended is told by _bury
            self._forget(child.process.line)
        for news in heard:
            match news:
                case Serving(addresses) if child.life.state is State.STARTING:
                    self._welcome(child, addresses)
                case Waiting(message):
                    if not child.life.waits_for:
                        logger.warning("%s cannot serve yet: %s", child.name, message)
                    child.life.on_waiting(monotonic(), message)
                    child.failure = Failure(child.name, message)  # ends a first start; later it waits
                case Failed(message):
                    child.said = message

    def _welcome(self, child: Child, addresses: dict[str, str]) -> None:
        child.life.on_ready(monotonic())
        child.addresses = addresses
        logger.info("%s serves at %s", child.name, ", ".join(addresses.values()))
        if child.kind == NODE and "rpc" in addresses:
            self.plan = with_node_port(self.plan, child.name, int(addresses["rpc"].rpartition(":")[2]))
        child.pulse = pulse.Pulse(
            child.name,
            child.life.spawns,
            partial(self._probe, addresses),
            self.plan.health_check_s,
            self._pulses,
        )

    def _feel(self) -> None:
        """Take in what health checks found."""
        while True:
            try:
                beat = pulse.decode(self._beats.recv(pulse.MAX_BEAT))
            except BlockingIOError:
                return
            child = self._children.get(beat.name)
            if child is None or beat.spawn != child.life.spawns:
                continue  # about a process that is no more
            if beat.answered:
                child.life.on_answer()
            else:
                logger.warning("%s did not answer a health check", child.name)
                child.life.on_miss()

    def _bury(self, child: Child) -> None:
        """Take note of the end of a child's process, and of its last words."""
        process = child.process
        if process is None or (code := process.exit_code()) is None:
            return
        self._hear(child)
        self._forget(process.sentinel)
        self._forget(process.line)
        process.close()
        child.process = None
        child.addresses = {}
        if child.pulse is not None:
            child.pulse.stop()
            child.pulse = None
        was_asked = child.life.state is State.STOPPING
        child.life.on_exit(monotonic(), child.said or exit_text(code))
        if was_asked:
            logger.info("%s has stopped: %s", child.name, exit_text(code))
            return
        logger.error("%s ended unasked: %s", child.name, child.life.last_error)
        if child.life.failures and code != -signal.SIGKILL:  # a kill says nothing about the child itself
            words = last_words(
                log_folder(self._folder, self.plan), child.name, process.pid, child.output_from
            )
            child.failure = Failure(child.name, child.life.last_error, words)

    def _forget(self, source: int | socket.socket) -> None:
        if source in self._selector.get_map():
            self._selector.unregister(source)
