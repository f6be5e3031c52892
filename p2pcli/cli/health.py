"""The state of a whole cluster: what its supervisor says of the processes, and each node of itself."""

from collections.abc import Iterator
from time import sleep
from typing import TYPE_CHECKING

import msgspec

from p2pcli.cli.reach import strangers
from p2pcli.clock import monotonic
from p2pcli.cluster.control import Control
from p2pcli.cluster.folder import ClusterNotRunning, not_running
from p2pcli.cluster.report import ChildReport, ClusterReport, ClusterState, State
from p2pcli.cluster.status import ClusterStatus, status_of
from p2pcli.errors import P2pxError
from p2pcli.market.views import NodeStatus
from p2pcli.node.client import ExchangeClient
from p2pcli.node.rotation import read_rotation

if TYPE_CHECKING:
    from p2pcli.cli.invocation import Invocation

REGISTRY_ANSWER_S = 1.0
NODE_ANSWER_S = 1.0  # a node that is slower is shown without its figures
WATCH_S = 1.0


def cluster_status(invocation: "Invocation") -> ClusterStatus:
    """Return the cluster as it is now; one that was stopped in order has all its processes stopped.

    On a machine without a supervisor these are the nodes that the registry knows. Raises
    ``ClusterNotRunning`` when there never was a cluster.
    """
    folder = invocation.folder
    try:
        with Control(folder) as control:
            report = control.report()
    except ClusterNotRunning:
        joined = folder.joined()
        others, problems = joined_answers(invocation, None) if joined is not None else ({}, [])
        if joined is None or not others:
            return status_of(_stopped(invocation), {}, monotonic())
        report = ClusterReport(folder.name, ClusterState.READY, joined.log.partition(":")[0], 0)
        return status_of(report, {}, monotonic(), others, problems, _rotation(invocation))
    return _status(invocation, report)


def _status(invocation: "Invocation", report: ClusterReport) -> ClusterStatus:
    answers, silent = node_answers(invocation, report)
    others, problems = joined_answers(invocation, report)
    status = status_of(report, answers, monotonic(), others, [*silent, *problems], _rotation(invocation))
    if status.state == ClusterState.READY.value and (why := no_registry(invocation, report)):
        invocation.tell(why)
        status = msgspec.structs.replace(status, state=ClusterState.DEGRADED.value)
    return status


def no_registry(invocation: "Invocation", report: ClusterReport) -> str:
    """Return why no registry outside answers a cluster that has none of its own; "" when one does."""
    plan = invocation.folder.plan()
    if report.members or plan is None or not plan.grapes:
        return ""
    from p2pcli.registry.client import RegistryClient, RegistryUnreachable

    with RegistryClient(plan.grapes, REGISTRY_ANSWER_S) as registry:
        try:
            registry.lookup(f"p2px:{plan.name}:node")
        except RegistryUnreachable as error:
            return error.message
        except P2pxError:
            return ""  # whatever it says, it answers
    return ""


def watched_status(invocation: "Invocation", control: Control) -> Iterator[ClusterStatus]:
    """Yield the cluster every second, until its supervisor ends."""
    while True:
        try:
            report = control.report()
        except ClusterNotRunning:
            return
        yield _status(invocation, report)
        sleep(WATCH_S)


def node_answers(invocation: "Invocation", report: ClusterReport) -> tuple[dict[str, NodeStatus], list[str]]:
    """Return what each running node says of itself, and why some do not."""
    credentials = invocation.credentials
    answers = {}
    problems = []
    for child in report.nodes:
        address = child.addresses.get("rpc")
        if child.state is not State.RUNNING or not address:
            continue
        host, _, port = address.rpartition(":")
        try:
            with ExchangeClient(host, int(port), credentials, timeout=NODE_ANSWER_S) as client:
                answers[child.name] = client.status()
        except P2pxError as error:
            problems.append(f"{child.name}: {error.message}")
    return answers, problems


def _rotation(invocation: "Invocation") -> str:
    """Return how far replacing the cluster's secret is on this machine; "" when that is not under way."""
    rotation = read_rotation(invocation.folder.secret_path)
    return rotation.phase.value if rotation is not None and rotation.is_under_way else ""


def joined_answers(
    invocation: "Invocation", report: ClusterReport | None
) -> tuple[dict[str, NodeStatus], list[str]]:
    """Return what nodes say that this machine's supervisor does not run, by address, and why some do not."""
    answers = {}
    found = strangers(invocation, report, NODE_ANSWER_S)
    for name, client in found.clients.items():
        try:
            answers[client.address] = client.status()
        except P2pxError as error:
            invocation.tell(f"{name}: {error.message}")
        finally:
            client.close()
    return dict(sorted(answers.items(), key=lambda item: item[1].name)), found.problems


def _stopped(invocation: "Invocation") -> ClusterReport:
    folder = invocation.folder
    plan = folder.plan()
    if plan is None and (joined := folder.joined()) is not None:
        return ClusterReport(folder.name, ClusterState.STOPPED, joined.log.partition(":")[0], 0)
    if plan is None:
        raise not_running(folder.name)
    children = tuple(ChildReport(name, kind, State.STOPPED) for name, kind in plan.kinds.items())
    return ClusterReport(folder.name, ClusterState.STOPPED, plan.engine, 0, children)
