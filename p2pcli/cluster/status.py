"""``p2px cluster status -o json``: what the supervisor and the nodes say, in one document. Pure.

The field names are a contract with programs; fields may be added, never renamed.
"""

from collections.abc import Mapping

import msgspec

from p2pcli.cluster.report import ChildReport, ClusterReport, ClusterState
from p2pcli.market.views import NodeStatus


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


class ClusterStatus(msgspec.Struct, frozen=True):
    """The whole document, in the order it is written."""

    cluster: str
    state: str  # ready, degraded or stopped
    log: str  # sqlite or etcd
    nodes: list[StatusOfNode]
    registry: list[StatusOfMember]
    supervisor: StatusOfSupervisor


def status_of(report: ClusterReport, answers: Mapping[str, NodeStatus], now: float) -> ClusterStatus:
    """Return the status of a running cluster at ``now`` on the monotonic clock.

    ``answers`` holds what each node that answered said. A cluster is ready when every process that is
    wanted runs, every running node answered, and each of its markets serves.
    """
    is_ready = report.state is ClusterState.READY
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
        [_node(child, answers.get(child.name), now) for child in report.nodes],
        [_member(child, now) for child in report.members],
        StatusOfSupervisor(report.supervisor),
    )


def status_of_stopped(cluster: str, log: str) -> ClusterStatus:
    """Return the status of a cluster that does not run."""
    return ClusterStatus(cluster, "stopped", log, [], [], StatusOfSupervisor(0))


def _node(child: ChildReport, answer: NodeStatus | None, now: float) -> StatusOfNode:
    markets = answer.markets if answer is not None else []
    return StatusOfNode(
        child.name,
        child.state.value,
        child.pid,
        child.addresses.get("rpc", ""),
        {market.symbol: market.sequence for market in markets},
        {market.symbol: market.digest.hex() for market in markets},
        sum(market.open_orders for market in markets),
        sum(market.trades for market in markets),
        child.restarts,
        round(child.uptime_s(now), 3),
        child.last_error,
        {market.symbol: market.problem for market in markets if market.problem},
    )


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
