"""``p2px cluster rotate``: a new secret and a new CA for a cluster that goes on meanwhile."""

import click

from p2pcli.cli.invocation import Invocation
from p2pcli.cli.reach import announced
from p2pcli.cli.verbs import Verb
from p2pcli.clock import now_ns
from p2pcli.cluster.control import Control
from p2pcli.cluster.folder import ClusterNotRunning, not_running
from p2pcli.cluster.report import ClusterReport, State
from p2pcli.cluster.rotate import Rotating, Standing
from p2pcli.errors import BadInput, Conflict
from p2pcli.node.rotation import Phase
from p2pcli.node.tls_folder import TlsFolder

NS = 10**9


class NotHere(BadInput):
    """The secret is replaced where the cluster began, where its CA's key is."""

    code = "not_here"


class NotSettled(Conflict):
    """A process of the cluster is between two states, in which it may or may not have read what is new."""

    code = "not_settled"


@click.command(
    "rotate",
    cls=Verb,
    examples=("p2px cluster rotate", "p2px cluster rotate --finish", "p2px cluster rotate -o json"),
)
@click.option(
    "--finish", is_flag=True, help="End the old ones: keys and tokens made with them are good no more."
)
@click.pass_obj
def rotate(invocation: Invocation, finish: bool) -> int:
    """Replace the cluster's secret, and its CA where it has one, while nodes serve.

    From the first run on the old and the new are both good, until --finish: meanwhile give out new keys
    (p2px keys create) and a new cluster file (p2px cluster init --out FILE). A machine that joined is given
    the new secret by a token, before all nodes use it: this says which, and goes on when it is run again.
    Broken off anywhere, the same command goes on.
    """
    folder = invocation.folder
    if folder.plan() is None:
        raise not_running(folder.name)
    if folder.authority() and not TlsFolder(folder.tls).can_sign:
        raise NotHere(
            f"the CA's key of cluster {folder.name} is not on this machine",
            hint="rotate on the machine that has it",
        )
    report = _report(invocation)
    own = [child.addresses["rpc"] for child in report.nodes if "rpc" in child.addresses] if report else []
    others = announced(invocation, report) if report else []
    rotating = Rotating(folder, own, others, invocation.tell)
    if finish:
        rotating.finish()
        return _show_finished(invocation)
    return _show(invocation, rotating.go_on(now_ns() // NS), is_running=report is not None)


def _report(invocation: Invocation) -> ClusterReport | None:
    """Return the processes of a cluster that runs. Raises ``NotSettled``."""
    try:
        with Control(invocation.folder) as control:
            report = control.report()
    except ClusterNotRunning:
        return None
    for child in report.nodes:
        if child.state not in (State.RUNNING, State.STOPPED):
            raise NotSettled(
                f"node {child.name} is {child.state.value}, and every node has to hear of this",
                hint="p2px cluster status; repeat this when it is running or stopped",
            )
    return report


def _show(invocation: Invocation, standing: Standing, *, is_running: bool) -> int:
    screen = invocation.screen
    is_waiting = bool(standing.waiting)
    if not screen.is_text:
        screen.document({"phase": standing.phase.value, "waiting": [node.name for node in standing.waiting]})
        return int(is_waiting)
    for node in standing.waiting:
        screen.note(f"node {node.name} at {node.address} has not been given the new secret")
    if is_waiting:
        screen.note("the nodes of this machine let in holders of a new secret too; the old one is in use")
        screen.hint(
            "on each machine: stop, p2px node join --token TOKEN, start; then p2px cluster rotate again"
        )
        return 1
    every = "every node uses" if is_running else "this machine uses"
    screen.lines([f"{every} the new secret; the old one is good until p2px cluster rotate --finish"])
    screen.note("before that, give out new keys: p2px keys create OWNER")
    if invocation.folder.authority():
        screen.note("and a new cluster file, with both CAs: p2px cluster init --out FILE")
    return 0


def _show_finished(invocation: Invocation) -> int:
    screen, phase = invocation.screen, Phase.FINISHED.value
    if not screen.is_text:
        screen.document({"phase": phase, "waiting": []})
        return 0
    screen.lines(["the old secret is good no more, nor is any key or token that was made with it"])
    if invocation.folder.authority():
        screen.note("nor is the old CA; a cluster file with the new one: p2px cluster init --out FILE")
    return 0
