"""When to start, kill or try a child again: a state machine whose only clock is a parameter.

States and their meaning are supervisord's, with two differences: none is given up for good, and a child is
RUNNING when it says that it serves, not when it has lived for a while, and it is stable a while after that.

    STOPPED --start--> BACKOFF(now) --spawn--> STARTING --ready--> RUNNING
       ^                    ^                     |                   |
       |                    +----- too soon ------+---- ended --------+
       +------ ended ------ STOPPING <----------- stop -- (any)

The shell (supervisor.py) tells what happened (``on_...``), asks what to do (``act``) until there is
nothing left to do, and sleeps until ``wake_at``.
"""

from dataclasses import dataclass
from enum import Enum

from p2pcli.cluster.report import MAX_ERROR_TEXT, State


@dataclass(frozen=True, slots=True)
class Policy:
    """How patient to be. Times in seconds."""

    ready_within: float = 120.0  # from spawn to serving; a node may have a long log to read
    stable_after: float = 1.0  # a child that served this long did not fail at start
    first_delay: float = 0.1
    longest_delay: float = 4.0
    stop_within: float = 10.0  # from SIGTERM to SIGKILL
    misses: int = 5  # health checks in a row without an answer


class Action(Enum):
    """What the shell must do now."""

    SPAWN = "spawn"
    TERMINATE = "terminate"  # SIGTERM
    KILL = "kill"  # SIGKILL


class Supervision:
    """One child's life. Every method is O(1); times are moments on one monotonic clock."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.state = State.STOPPED
        self.spawns = 0
        self.failures = 0  # in a row
        self.serving_since = 0.0  # meaningful while RUNNING
        self.last_error = ""
        self.waits_for = ""  # why it cannot serve yet, while it is starting
        self._deadline: float | None = None  # of BACKOFF, STARTING or STOPPING
        self._order: Action | None = None  # to be carried out now
        self._start_again = False  # once STOPPING is over
        self._misses = 0
        self._killed_for = ""  # why this machine had the present process killed

    # -- what people want -------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """Have the child run. Nothing happens to one that runs or is about to."""
        match self.state:
            case State.STOPPED | State.BACKOFF:
                self.failures = 0
                self._wait(until=now)
            case State.STOPPING:
                self._start_again = True

    def stop(self, now: float) -> None:
        """Have the child end: SIGTERM, and SIGKILL ``stop_within`` seconds later."""
        self._start_again = False
        match self.state:
            case State.STARTING | State.RUNNING:
                self.state = State.STOPPING
                self._order = Action.TERMINATE
                self._deadline = now + self._policy.stop_within
            case State.BACKOFF:
                self.state = State.STOPPED
                self._deadline = None

    def restart(self, now: float) -> None:
        """Have the child end if there is one, and then run."""
        self.stop(now)
        self.start(now)

    def hurry(self, now: float) -> None:
        """Have a child that is ending be killed now."""
        if self.state is State.STOPPING:
            self._deadline = now

    # -- what happened ----------------------------------------------------------------------------

    def on_ready(self, now: float) -> None:
        """Take note that the child serves. Late news of a child being stopped is ignored."""
        if self.state is State.STARTING:
            self.state = State.RUNNING
            self.serving_since = now
            self.waits_for = ""
            self._deadline = None
            self._misses = 0

    def on_waiting(self, now: float, why: str) -> None:
        """Take note that the child tries to start and cannot yet: it has all its time again."""
        if self.state is State.STARTING:
            self.waits_for = f"waits: {why}"[:MAX_ERROR_TEXT]
            self._deadline = now + self._policy.ready_within

    def on_answer(self) -> None:
        """Take note that a health check was answered."""
        self._misses = 0

    def on_miss(self) -> None:
        """Take note that a health check was not answered.

        Checks are counted and not timed: after a pause of the supervisor itself every child would
        look silent by the clock, but at most one check was missed.
        """
        if self.state is not State.RUNNING:
            return
        self._misses += 1
        if self._misses == self._policy.misses:
            self._kill(f"did not answer {self._misses} health checks in a row")

    def on_exit(self, now: float, error: str) -> None:
        """Take note that the process is gone, or could not be spawned; ``error`` says how."""
        self._order = None
        self._deadline = None
        self.waits_for = ""
        match self.state:
            case State.STOPPING:
                self.state = State.STOPPED
                if self._start_again:
                    self._start_again = False
                    self.start(now)
            case State.RUNNING if now - self.serving_since >= self._policy.stable_after:
                self.failures = 0
                self._blame(error)
                self._wait(until=now)
            case State.STARTING | State.RUNNING:
                self._blame(error)
                self._fail(now)

    # -- what to do -------------------------------------------------------------------------------

    def act(self, now: float) -> Action | None:
        """Return what is to be done now, each thing once; None when there is nothing."""
        if self._order is not None:
            order, self._order = self._order, None
            return order
        if self._deadline is None or now < self._deadline:
            return None
        self._deadline = None
        match self.state:
            case State.BACKOFF:
                self.state = State.STARTING
                self.spawns += 1
                self._killed_for = ""
                self._deadline = now + self._policy.ready_within
                return Action.SPAWN
            case State.STARTING:
                self._kill(f"did not serve within {self._policy.ready_within:g} s")
                return self.act(now)
            case State.STOPPING:
                return Action.KILL
        return None

    def wake_at(self) -> float | None:
        """Return when ``act`` next has something to do if nothing happens before; None: never."""
        return 0.0 if self._order is not None else self._deadline

    def _kill(self, why: str) -> None:
        self._killed_for = why
        self._order = Action.KILL
        self._deadline = None

    def _blame(self, error: str) -> None:
        self.last_error = (self._killed_for or error)[:MAX_ERROR_TEXT]

    def _fail(self, now: float) -> None:
        self.failures += 1
        # Never given up, for what is wrong may pass, as a full disk does. The exponent is bounded, because
        # 2**n would be infinite one day.
        delay = self._policy.first_delay * 2.0 ** min(self.failures - 1, 30)
        self._wait(until=now + min(delay, self._policy.longest_delay))

    def _wait(self, until: float) -> None:
        self.state = State.BACKOFF
        self._deadline = until
