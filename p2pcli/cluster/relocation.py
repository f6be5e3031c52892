"""Moves the log of a cluster to another place, step by step; each step may be the last one that happens.

The rules are in node/moving.py, one market's logs in node/mover.py. Here: all markets together, the plan of
this machine, which says where the log is, and its nodes. Whoever runs it again after any end goes on from
what the two places and the plan say; nothing else remembers a move.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from hashlib import blake2b
from typing import Protocol

import msgspec

from p2pcli.cluster.backup import node_folders
from p2pcli.cluster.briefing import log_url
from p2pcli.cluster.control import Control
from p2pcli.cluster.folder import ClusterFolder
from p2pcli.cluster.folder_lock import FolderLock
from p2pcli.cluster.plan import ClusterPlan
from p2pcli.cluster.requests import UseLog
from p2pcli.errors import Conflict
from p2pcli.node.mover import MarketMove
from p2pcli.node.moving import Step, check_abort, joint_step, next_step


class OtherMove(Conflict):
    """Another process is moving this cluster's log."""

    code = "other_move"


class Tell(Protocol):
    """Is told of each step before it is taken."""

    def __call__(self, step: Step, market: str) -> None: ...


def moved_plan(plan: ClusterPlan, target: ClusterPlan, secret: bytes) -> ClusterPlan:
    """Return the plan with the log of ``target``. Pure.

    The identity on etcd follows from the cluster's secret, so that each run of a move finds the same one.
    """
    identity = plan.log_identity or blake2b(secret, digest_size=8, person=b"p2px log").hexdigest()
    return msgspec.structs.replace(
        plan, log_url=target.log_url, log_access=target.log_access, log_identity=identity
    )


def move(folder: ClusterFolder, plan: ClusterPlan, target: ClusterPlan, tell: Tell, timeout: float) -> None:
    """Move the log from where ``plan`` says to where ``target`` says, or finish a move that was broken off.

    Running nodes answer "busy" meanwhile, and are restarted at the end; ``timeout`` seconds for that.
    Raises ``CannotMove``, ``OtherMove``, and what logs and supervisor raise: then nothing is lost, and the
    same call goes on from there.
    """
    with _only_one(folder), _markets(folder, plan, target) as markets:
        while True:
            standings = [market.look() for market in markets]
            steps = {one.symbol: next_step(one, target.log_url) for one in standings}
            step = joint_step(steps)
            if step is Step.DONE:
                break
            for market in markets:
                if steps[market.symbol] is step:
                    tell(step, market.symbol)
                    market.take(step)
    _switch(folder, target, timeout)


def abort(folder: ClusterFolder, plan: ClusterPlan, target: ClusterPlan) -> list[str]:
    """Let the log stay where ``plan`` says, and return the markets that were to be moved.

    Raises ``CannotMove`` once the log of any market has ended; then the move can only be finished.
    """
    with _only_one(folder), _markets(folder, plan, target) as markets:
        standings = [market.look() for market in markets]
        sealed = [one.symbol for one in standings if check_abort(one, target.log_url)]
        for market in markets:
            if market.symbol in sealed:
                market.unseal()
    return sealed


@contextmanager
def _markets(folder: ClusterFolder, plan: ClusterPlan, target: ClusterPlan) -> Iterator[Sequence[MarketMove]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                MarketMove(
                    market.symbol,
                    log_url(plan, folder),
                    log_url(target, folder),
                    target.log_url,
                    node_folders(folder),
                    durable=plan.durable,
                )
            )
            for market in plan.markets
        ]


@contextmanager
def _only_one(folder: ClusterFolder) -> Iterator[None]:
    lock = FolderLock(folder.moving_path)
    if not lock.take():
        raise OtherMove(f"the log of cluster {folder.name} is being moved by another process")
    try:
        yield
    finally:
        lock.release()


def _switch(folder: ClusterFolder, target: ClusterPlan, timeout: float) -> None:
    """Have this machine's plan say where the log is now, and its nodes use it."""
    request = UseLog(target.log_url, target.log_identity, target.log_access)
    lock = FolderLock(folder.lock_path)
    if lock.take():  # no supervisor, and none can start meanwhile
        try:
            folder.keep_plan(target)
        finally:
            lock.release()
        return
    with Control(folder) as control:
        control.use_log(request, timeout)
