"""``p2px cluster status -o json``: what the supervisor and the nodes say, in one document. Pure.

The field names are a contract with programs; fields may be added, never renamed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from p2pcli.cluster.report import ChildReport, ClusterReport, ClusterState
from p2pcli.market.views import MarketStatus, NodeStatus


class StatusOfNode(msgspec.Struct, frozen=True):
    """One node. Without an answer of its own, the figures of its markets are missing or 0."""

    name: str
    state: str
    pid: int  # 0: there is no process
    rpc: str  # host:port; "": it does not serve
    sequence: dict[str, int]  # by market
    digest: dict[str, str]  # by market, in hex, at that sequence
    open_orders: int  # over all markets
    trades: int
    restarts: int
    uptime_s: float
    last_error: str
    problems: dict[str, str]  # markets that do not serve here, and why


class StatusOfMember(msgspec.Struct, frozen=True):
    """One registry member."""

    name: str
    pid: int
    http: str
    dht: str
    state: str
    restarts: int
    uptime_s: float
    last_error: str


class StatusOfSupervisor(msgspec.Struct, frozen=True):
    """The process that looks after the others; pid 0: there is none."""

    pid: int


class StatusOfBot(msgspec.Struct, frozen=True):
    """One example client that runs with the cluster."""

    name: str
    pid: int
    state: str
    restarts: int
    uptime_s: float
    last_error: str


class ClusterStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """The whole document, in the order it is written."""

    cluster: str
    state: str  # ready, degraded or stopped
    log: str  # sqlite or etcd
    nodes: list[StatusOfNode]
    registry: list[StatusOfMember]
    supervisor: StatusOfSupervisor
    bots: list[StatusOfBot] = []  # left out when there are none
    problems: list[str] = []  # why nodes that run or are announced do not answer; left out: none
    rotation: str = ""  # how far replacing the secret is: begun or switched; left out: it is not
    moving: dict[str, str] = {}  # sealed markets, and where each log goes; left out: none


JOINED = "joined"  # the state of a node that runs without this machine's supervisor


def status_of(
    report: ClusterReport,
    answers: Mapping[str, NodeStatus],
    now: float,
    joined: Mapping[str, NodeStatus] | None = None,
    problems: Sequence[str] = (),
    rotation: str = "",
) -> ClusterStatus:
    """Return the status of a running cluster at ``now`` on the monotonic clock.

    ``answers`` holds what each node that answered said, ``joined`` what nodes said that the supervisor does
    not run, by address, ``problems`` why others of those could not be asked. A cluster is ready when every
    process that is wanted runs, every running node answered, and each of its markets serves, not sealed.
    """
    others = dict(joined or {})
    moving = {
        market.symbol: market.moves_to
        for answer in (*answers.values(), *others.values())
        for market in answer.markets
        if market.moves_to
    }
    is_ready = report.state is ClusterState.READY and not moving and not problems
    if any(market.problem for answer in others.values() for market in answer.markets):
        is_ready = False
    for child in report.nodes:
        answer = answers.get(child.name)
        if child.addresses and (answer is None or any(market.problem for market in answer.markets)):
            is_ready = False
    runs = "ready" if is_ready else "degraded"
    state = "stopped" if report.state is ClusterState.STOPPED else runs
    return ClusterStatus(
        report.cluster,
        state,
        report.log,
        [
            *(_node(child, answers.get(child.name), now) for child in report.nodes),
            *(_joined(address, answer) for address, answer in others.items()),
        ],
        [_member(child, now) for child in report.members],
        StatusOfSupervisor(report.supervisor),
        [_bot(child, now) for child in report.bots],
        list(problems),
        rotation,
        moving,
    )


def status_of_stopped(cluster: str, log: str) -> ClusterStatus:
    """Return the status of a cluster that does not run."""
    return ClusterStatus(cluster, "stopped", log, [], [], StatusOfSupervisor(0))


def _node(child: ChildReport, answer: NodeStatus | None, now: float) -> StatusOfNode:
    return _with_markets(
        answer.markets if answer is not None else [],
        name=child.name,
        state=child.state.value,
        pid=child.pid,
        rpc=child.addresses.get("rpc", ""),
        restarts=child.restarts,
        uptime_s=round(child.uptime_s(now), 3),
        last_error=child.last_error,
    )


def _joined(address: str, answer: NodeStatus) -> StatusOfNode:
    return _with_markets(
        answer.markets,
        name=answer.name,
        state=JOINED,
        pid=answer.pid,
        rpc=address,
        restarts=0,
        uptime_s=round(answer.uptime_s, 3),
        last_error="",
    )


def _with_markets(markets: Sequence[MarketStatus], **process: Any) -> StatusOfNode:
    return StatusOfNode(
        sequence={market.symbol: market.sequence for market in markets},
        digest={market.symbol: market.digest.hex() for market in markets},
        open_orders=sum(market.open_orders for market in markets),
        trades=sum(market.trades for market in markets),
        problems={market.symbol: market.problem for market in markets if market.problem},
        **process,
    )


def _bot(child: ChildReport, now: float) -> StatusOfBot:
    uptime_s = round(child.uptime_s(now), 3)
    return StatusOfBot(child.name, child.pid, child.state.value, child.restarts, uptime_s, child.last_error)


def _member(child: ChildReport, now: float) -> StatusOfMember:
    return StatusOfMember(
        child.name,
        child.pid,
        child.addresses.get("http", ""),
        child.addresses.get("dht", ""),
        child.state.value,
        child.restarts,
        round(child.uptime_s(now), 3),
        child.last_error,
    )
