"""How a log moves to another place without two places ever taking orders: the rules. Pure.

The old log decides, because it is the one order that everybody reads. Four entries do it, each alone in its
batch (``market.commands.Move``), each of effect only after the one before it:

    old log   ... 41 | SEAL 42 | 43, not carried out | END 44 |  (45: LogMoved, nobody applies it)
    new log   ... 41 | SEAL 42 | 43, not carried out | END 44 | BEGIN 45 | 46 ...

| state | entry | then | orders |
| --- | --- | --- | --- |
| open | SEAL to B | sealed for B | "busy": in the log perhaps, and certainly not carried out |
| sealed for B | UNSEAL, END to B | open again; ended for B | the first of the two that is in the log counts |
| ended for B | BEGIN at B | open, in the new log | anything else: LogMoved, and nothing changes |

Everything else changes nothing. So the old log carries out nothing after SEAL unless it is unsealed, and it
cannot be unsealed once it has ended; the new one carries out nothing before BEGIN, which is written to it
alone, and only after END is durable in the old one. Whoever was interrupted reads both logs and goes on:
``next_step`` says with what.
"""

from collections.abc import Iterable
from enum import Enum

import msgspec

from p2pcli.errors import Conflict
from p2pcli.log.entry import Entry
from p2pcli.market.commands import Move, MoveStep
from p2pcli.node.body import Body, decode_body

PRODUCER = "log move"  # who appends the steps; no node can be called so


class LogMoved(Conflict):
    """The log has ended here and goes on in another place."""

    code = "log_moved"


class CannotMove(Conflict):
    """The log is not in a state in which it can be moved there, or be left where it is."""

    code = "cannot_move"


def step_of(body: Body) -> Move | None:
    """Return the step that a body is, None when it is none: a step is alone in its body."""
    if len(body.groups) != 1 or len(body.groups[0].commands) != 1:
        return None
    command = body.groups[0].commands[0]
    return command if type(command) is Move else None


def moved(state: Move | None, step: Move) -> Move | None:
    """Return the state after a step: the last one of effect, None when the log is open."""
    before = state.step if state is not None else None
    if state is not None and state.log != step.log:
        return state
    match before, step.step:
        case None, MoveStep.SEAL:
            return step
        case MoveStep.SEAL, MoveStep.UNSEAL:
            return None
        case MoveStep.SEAL, MoveStep.END:
            return step
        case MoveStep.END, MoveStep.BEGIN:
            return None
    return state


def check_follows(state: Move, sequence: int, body: Body) -> None:
    """Raise ``LogMoved`` for an entry after the end of a log that is not the beginning of the new one."""
    if state.step is MoveStep.END and step_of(body) != Move(MoveStep.BEGIN, state.log):
        check_here(state, sequence - 1)


def check_here(state: Move | None, sequence: int) -> None:
    """Raise ``LogMoved`` when the log ended with entry ``sequence``."""
    if state is not None and state.step is MoveStep.END:
        raise LogMoved(
            f"the log ended at sequence {sequence} and went to {state.log}",
            hint=f"p2px log move {state.log} finishes that; elsewhere set log.url to it and start again",
        )


def ended(entries: Iterable[Entry]) -> LogMoved | None:
    """Return what to say when the end of a log is among these entries of it, None when it is not."""
    found = None
    for entry in entries:
        if entry.batch.producer == PRODUCER:
            state = step_of(decode_body(entry.batch.body))
            try:
                check_here(state, entry.sequence)
            except LogMoved as moved_away:
                found = moved_away
    return found


class Step(Enum):
    """What is to be done next about one market."""

    SEAL = "seal"
    COPY = "copy"  # bring the new log to where the old one is
    END = "end"
    BEGIN = "begin"
    DONE = "done"


class Standing(msgspec.Struct, frozen=True):
    """One market, as both places show it."""

    symbol: str
    state: Move | None  # of the old log
    last: int  # its last entry that counts: not after its end
    copied: int  # the new log's last entry; 0: it is empty
    is_copy: bool  # the new log's entries up to ``last`` are the old one's


def next_step(standing: Standing, target: str) -> Step:
    """Return what to do next to move this market's log to ``target``. Raises ``CannotMove``."""
    state, symbol = standing.state, standing.symbol
    if state is not None and state.log != target:
        verb = "ended and went" if state.step is MoveStep.END else "is being moved"
        raise CannotMove(
            f"the log of {symbol} {verb} to {state.log}",
            hint=f"p2px log move {state.log} finishes that, p2px log move {state.log} --abort gives it up",
        )
    if standing.copied and (state is None or not standing.is_copy):
        raise CannotMove(
            f"the place {target} has a log of {symbol} already, with {standing.copied} entries",
            hint="name a place that is empty",
        )
    if state is None:
        return Step.SEAL
    if standing.copied < standing.last:
        return Step.COPY
    if state.step is MoveStep.SEAL:
        return Step.END
    return Step.BEGIN if standing.copied == standing.last else Step.DONE


def joint_step(steps: dict[str, Step]) -> Step:
    """Return what to do next about all markets: the earliest step that any of them needs.

    So no market's log ends before every one is copied, and until the first ends all can go back.
    """
    order = list(Step)
    return min(steps.values(), key=order.index, default=Step.DONE)


def check_abort(standing: Standing, target: str) -> bool:
    """Return whether this market's log is to be unsealed. Raises ``CannotMove`` when it is too late."""
    state = standing.state
    if state is None or state.log != target:
        return False
    if state.step is MoveStep.END:
        raise CannotMove(
            f"the log of {standing.symbol} has ended already and goes on in {target}",
            hint=f"p2px log move {target} finishes the move",
        )
    return True
