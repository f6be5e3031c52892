"""Restarting the nodes of a cluster one by one, so that clients who go to the next node lose nothing.

A node that stops first answers what it took. The next one is not touched before the last one serves again and
has applied all that the others had by then, so at any moment only one node is away.
"""

import time
from collections.abc import Iterator

from p2pcli.clock import monotonic
from p2pcli.cluster.control import Control
from p2pcli.cluster.folder import ClusterFolder
from p2pcli.cluster.report import ChildReport, State
from p2pcli.errors import P2pxError, TimedOut
from p2pcli.node.client import ExchangeClient

ANSWER_S = 2.0  # of each node that is asked
POLL_S = 0.05


class NotCaughtUpYet(TimedOut):
    """A node that was restarted did not reach the others in time; those after it were left alone."""

    code = "not_caught_up_yet"


def restart_one_by_one(folder: ClusterFolder, control: Control, timeout: float) -> Iterator[ChildReport]:
    """Restart every running node and yield each once it has caught up; ``timeout`` seconds for each.

    Stops at the first that does not come back, and leaves the rest as they are. Raises ``ChildFailed``,
    ``StillChanging``, ``NotCaughtUpYet``.
    """
    names = [child.name for child in control.report().nodes if child.state is State.RUNNING]
    for name in names:
        deadline = monotonic() + timeout
        restarted = control.restart_node(name, timeout).child(name)
        goal: dict[str, int] = {}
        for other in control.report().nodes:
            if other.name != name:
                for symbol, sequence in _sequences(folder, other).items():
                    goal[symbol] = max(sequence, goal.get(symbol, 0))
        while behind := _behind(_sequences(folder, restarted), goal):
            if monotonic() > deadline:
                raise NotCaughtUpYet(
                    f"node {name} is restarted and has not caught up within {timeout:g} s: {behind}",
                    hint=f"p2px cluster logs {name}",
                )
            time.sleep(POLL_S)
        yield restarted


def _sequences(folder: ClusterFolder, child: ChildReport) -> dict[str, int]:
    """Return where a node is in each of its markets; nothing when it does not answer."""
    host, _, port = child.addresses.get("rpc", "").rpartition(":")
    if not host:
        return {}
    try:
        with ExchangeClient(host, int(port), folder.credentials(), timeout=ANSWER_S) as client:
            return {market.symbol: market.sequence for market in client.status().markets}
    except P2pxError:
        return {}


def _behind(mine: dict[str, int], goal: dict[str, int]) -> str:
    """Return in words what is missing; "" when nothing is, of the markets that the node hosts."""
    if not mine:
        return "it does not answer"
    missing = (
        f"{symbol} at {sequence} of {goal[symbol]}"
        for symbol, sequence in mine.items()
        if sequence < goal.get(symbol, 0)
    )
    return ", ".join(missing)
