"""``p2px cluster``: start, watch and stop the processes of a cluster."""

from collections.abc import Callable, Sequence

import click

from p2pcli.cli.failure import Usage
from p2pcli.cli.health import cluster_status, no_registry, watched_status
from p2pcli.cli.invocation import Invocation
from p2pcli.cli.options import as_seconds, complete_processes
from p2pcli.cli.render.processes import (
    clusters_table,
    error_lines,
    processes_document,
    processes_table,
    state_words,
    status_lines,
    status_tables,
    status_title,
)
from p2pcli.cli.verbs import Group
from p2pcli.clock import monotonic
from p2pcli.cluster.control import Control
from p2pcli.cluster.folder import ClusterFolder, clusters, not_running
from p2pcli.cluster.plan import MAX_BOTS, MAX_NODES, ClusterPlan
from p2pcli.cluster.report import ClusterReport, ClusterState
from p2pcli.errors import BadInput, P2pxError

FIRST_STEPS = (
    "p2px order sell 1.5@30000 --node {second}",
    "p2px order buy 0.5@30000 --node {first}",
    "p2px book show",
    "p2px trades tail",
)

cluster = Group(
    "cluster",
    help="Start, watch and stop the processes of a cluster.",
    rooms={
        "init": ("p2pcli.cli.cluster_init", "init", "Make the certificates for nodes that others can reach."),
        "rotate": ("p2pcli.cli.cluster_rotate", "rotate", "Replace the cluster's secret and its CA."),
        "token": (
            "p2pcli.cli.cluster_token",
            "token",
            "Create, list and revoke tokens to join with.",
        ),
        "logs": ("p2pcli.cli.logs", "logs", "Show what the processes wrote about themselves."),
    },
    order=(
        *("up", "down", "status", "ps", "ls", "logs"),
        *("restart", "stop", "start", "kill", "scale"),
        *("init", "rotate", "token"),
    ),
)


@cluster.command(
    "up",
    examples=(
        "p2px cluster up -n 3",
        "p2px cluster up -f p2px.yaml --attach",
        "p2px cluster up --bots 3",
        "p2px cluster up --name test --market BTC/USD --market ETH/USD --ephemeral",
    ),
)
@click.option(
    "-n", "--nodes", type=click.IntRange(1, MAX_NODES), metavar="COUNT", help="Nodes: client1, client2, ..."
)
@click.option(
    "--bots",
    type=click.IntRange(0, MAX_BOTS),
    metavar="COUNT",
    help="Example clients that keep trading: bot1, bot2, ...",
)
@click.option("-f", "--file", type=click.Path(dir_okay=False), metavar="FILE", help="The same as --config.")
@click.option(
    "--market", "markets", multiple=True, metavar="BASE/QUOTE", help="A market to trade; repeat for more."
)
@click.option("--host", metavar="ADDRESS", help="Address to listen at; others than loopback need TLS.")
@click.option("--log", metavar="URL", help="Where the shared log is: sqlite, or etcd://HOST:PORT,...")
@click.option("--grape", "grapes", multiple=True, metavar="URL", help="A registry that is there already.")
@click.option("--ephemeral", is_flag=True, help="A throw-away cluster: no fsync, deleted when it stops.")
@click.option("--attach", is_flag=True, help="Stay, and show what the processes log; Ctrl-C stops them.")
@click.option(
    "--timeout", callback=as_seconds, metavar="TIME", help="How long to wait until it is ready: 30s."
)
@click.pass_obj
def up(
    invocation: Invocation,
    nodes: int | None,
    bots: int | None,
    file: str | None,
    markets: Sequence[str],
    host: str | None,
    log: str | None,
    grapes: Sequence[str],
    ephemeral: bool,
    attach: bool,
    timeout: float | None,
) -> int:
    """Start a cluster and return when it is ready; it goes on in the background.

    When it runs already, nothing happens. State is kept: orders and trades are there again after
    down and up.
    """
    from p2pcli.cluster.up import up as start

    invocation.config_file = file or invocation.config_file
    config = invocation.config_with(
        {
            "cluster.nodes": nodes,
            "cluster.bots": bots,
            "cluster.host": host,
            "markets": tuple(markets),
            "log.url": log,
            "registry.grapes": tuple(
                url.removeprefix("http://").rstrip("/") for urls in grapes for url in urls.split(",")
            ),
            "registry.members": 0 if grapes else None,
        }
    )
    screen = invocation.screen
    before = invocation.folder_of(config).plan()
    with screen.one_line() as show:
        started = start(
            config,
            ephemeral=ephemeral,
            timeout=timeout or config.cluster.ready_timeout,
            on_progress=lambda report: show(state_words(report)),
        )
    report = started.report
    for warning in report.warnings:
        screen.note(f"note: {warning}")
    for difference in started.differences:
        screen.note(f"note: {difference}")
    if started.differences:
        screen.hint("p2px cluster scale changes the number of nodes or bots; down and up the rest")
    _tell_what_is_out_of_date(invocation, before)
    trouble = no_registry(invocation, report)
    if trouble:
        screen.note(f"{screen.message_paint('warning:', 'warn')} {trouble}; others cannot find the nodes")
        screen.hint("nodes announce themselves once it answers; p2px cluster status tells")
    if screen.is_text:
        screen.note(_up_words(report, started.already_running, is_whole=not trouble))
        _show(invocation, report)
        if not attach:
            _show_first_steps(invocation, report)
    else:
        screen.document(cluster_status(invocation))
    if attach:
        from p2pcli.cli.logs import attach as follow

        follow(invocation)
    return 1 if trouble else 0


def _tell_what_is_out_of_date(invocation: Invocation, before: ClusterPlan | None) -> None:
    """Say so when settings name a CA that was replaced, and when keys are older than a market."""
    from p2pcli.cluster.up import is_replaced_authority

    screen = invocation.screen
    if is_replaced_authority(invocation.folder, invocation.config.cluster.ca):
        screen.note("note: the settings name a CA (cluster.ca) that was replaced; clients cannot use them")
        screen.hint("p2px --config FILE cluster init --out NEWFILE writes them with the new one")
    plan = invocation.folder.plan()
    known = {market.symbol for market in before.markets} if before is not None else set()
    added = [market.symbol for market in plan.markets if market.symbol not in known] if plan else []
    if not known or not added or invocation.config.key is not None:
        return
    from p2pcli.cli.keys import is_key_missing

    if is_key_missing(invocation):
        screen.note(f"note: keys that were given out before are not good in {', '.join(added)}")
        screen.hint("p2px keys grant")


def _up_words(report: ClusterReport, already: bool, *, is_whole: bool) -> str:
    counts = f"{_count(report.nodes, 'node')}, {_count(report.members, 'registry member')}"
    if report.bots:
        counts += f", {_count(report.bots, 'bot')}"
    runs = "was running already" if already else "is ready" if is_whole else "runs, degraded"
    return f"cluster {report.cluster} {runs}: {counts}"


def _count(things: Sequence[object], what: str) -> str:
    return f"{len(things)} {what}{'' if len(things) == 1 else 's'}"


def _show_first_steps(invocation: Invocation, report: ClusterReport) -> None:
    names = [child.name for child in report.nodes]
    suffix = "" if report.cluster == "default" else f" --name {report.cluster}"
    invocation.screen.note("try:")
    for step in FIRST_STEPS:
        invocation.screen.note(
            f"  {step.format(first=names[0], second=names[min(1, len(names) - 1)])}{suffix}"
        )


@cluster.command("down", examples=("p2px cluster down", "p2px cluster down --wipe"))
@click.option("--wipe", is_flag=True, help="Delete its orders, trades and logs as well.")
@click.option(
    "--timeout", callback=as_seconds, default="15s", show_default=True, metavar="TIME", help="At most."
)
@click.pass_obj
def down(invocation: Invocation, wipe: bool, timeout: float) -> None:
    """Stop a cluster. Its orders and trades are kept, unless --wipe."""
    from p2pcli.cluster.down import down as stop

    screen, name = invocation.screen, invocation.folder.name
    with screen.one_line() as show:
        was_running = stop(
            invocation.folder,
            wipe=wipe,
            timeout=timeout,
            on_progress=lambda report: show(state_words(report)),
        )
    done = "stopped" if was_running else "was not running"
    if screen.is_text:
        screen.note(f"cluster {name} {done}" + (", its data is deleted" if wipe else ""))
    else:
        screen.document({"cluster": name, "state": "stopped", "was_running": was_running, "wiped": wipe})


@cluster.command(
    "status", examples=("p2px cluster status", "p2px cluster status -w", "p2px cluster status -o json")
)
@click.option("-w", "--watch", is_flag=True, help="Go on showing it as it changes, until Ctrl-C.")
@click.pass_obj
def status(invocation: Invocation, watch: bool) -> int:
    """Show nodes, registry members, sequences and digests. Exit code 1 when degraded, 3 when stopped."""
    screen = invocation.screen
    if watch:
        with Control(invocation.folder) as control, screen.redrawn() as draw:
            for state in watched_status(invocation, control):
                if screen.is_text:
                    draw(status_lines(state, screen.paint))
                else:
                    screen.document(state)
                    screen.flush()
        return 0
    state = cluster_status(invocation)
    if not screen.is_text:
        screen.document(state)
    else:
        if state.state == ClusterState.STOPPED.value:
            raise not_running(invocation.folder.name)
        screen.lines([status_title(state, screen.paint)])
        for table in status_tables(state):
            screen.lines([""])
            screen.table(table)
    return {"ready": 0, "stopped": 3}.get(state.state, 1)


@cluster.command("ps", examples=("p2px cluster ps",))
@click.pass_obj
def ps(invocation: Invocation) -> None:
    """List the processes: nodes, registry members and their supervisor."""
    with Control(invocation.folder) as control:
        _show(invocation, control.report())


@cluster.command("ls", examples=("p2px cluster ls",))
@click.pass_obj
def ls(invocation: Invocation) -> None:
    """List the clusters of this user, running or not."""
    found = [(folder.name, _state(folder), str(folder.path)) for folder in clusters(invocation.config.home)]
    screen = invocation.screen
    if screen.is_text:
        screen.table(clusters_table(found))
    else:
        screen.objects({"cluster": name, "state": state, "folder": path} for name, state, path in found)


def _state(folder: ClusterFolder) -> str:
    try:
        with Control(folder) as control:
            return control.report().state.value
    except P2pxError:
        return ClusterState.STOPPED.value


def _process_command(name: str, text: str, act: Callable[[Control, str], ClusterReport]) -> None:
    """Add a command that has the supervisor do something to one process and shows what came of it."""

    @cluster.command(name, help=text, examples=(f"p2px cluster {name} client2",))
    @click.argument("process", metavar="NODE", shell_complete=complete_processes)
    @click.pass_obj
    def command(invocation: Invocation, process: str) -> None:
        with Control(invocation.folder) as control:
            _show(invocation, act(control, process))


@cluster.command("restart", examples=("p2px cluster restart client2", "p2px cluster restart --rolling"))
@click.argument("process", metavar="[NODE]", required=False, shell_complete=complete_processes)
@click.option(
    "--rolling", is_flag=True, help="Every node, one after the other, each caught up before the next."
)
@click.option(
    "--timeout", callback=as_seconds, default="60s", show_default=True, metavar="TIME", help="For each node."
)
@click.pass_obj
def restart(invocation: Invocation, process: str | None, rolling: bool, timeout: float) -> None:
    """Stop a process and start it again, or all nodes one by one.

    A node answers what it took before it stops, and clients go on through the others: with --rolling a new
    version of p2px is taken into use without an order lost.
    """
    if rolling is (process is not None):
        raise Usage(
            "name a process, or give --rolling for all nodes one by one",
            hint="p2px cluster restart --rolling",
        )
    with Control(invocation.folder) as control:
        if process is not None:
            _show(invocation, control.restart_node(process, timeout))
            return
        from p2pcli.cluster.rolling import restart_one_by_one

        for child in restart_one_by_one(invocation.folder, control, timeout):
            invocation.screen.note(f"{child.name} is restarted and has caught up")
        _show(invocation, control.report())


_process_command("stop", "Stop a process; it stays stopped until start or up.", Control.stop_node)
_process_command("start", "Start a process that was stopped or has failed.", Control.start_node)
_process_command("kill", "Kill a process as a crash would; it is started again.", Control.kill_node)


@cluster.command("scale", examples=("p2px cluster scale 5", "p2px cluster scale --bots 3"))
@click.argument("count", type=click.IntRange(1, MAX_NODES), required=False)
@click.option(
    "--bots", type=click.IntRange(0, MAX_BOTS), metavar="COUNT", help="Have so many bots: bot1, bot2, ..."
)
@click.pass_obj
def scale(invocation: Invocation, count: int | None, bots: int | None) -> None:
    """Have COUNT nodes: start new ones, or stop those with the highest numbers."""
    if count is None and bots is None:
        raise BadInput("say how many nodes to have, or --bots", hint="p2px cluster scale 5")
    with Control(invocation.folder) as control:
        _show(invocation, control.scale(count, bots=bots))


def _show(invocation: Invocation, report: ClusterReport) -> None:
    screen = invocation.screen
    if screen.is_text:
        screen.table(processes_table(report, monotonic()))
        screen.lines(error_lines(report, screen.paint))
    else:
        screen.objects(processes_document(report, monotonic()))
