"""The processes of a cluster: tables, documents and one-line summaries."""

from collections.abc import Mapping, Sequence
from typing import Any

from p2pcli.cli.render.ink import Paint, plain
from p2pcli.cli.render.quantities import age
from p2pcli.cli.render.table import Cell, Column, Table, aligned
from p2pcli.cluster.report import ClusterReport, State
from p2pcli.cluster.status import ClusterStatus, StatusOfNode

SHOWN_DIGEST = 8  # hex digits in a table; `verify` compares whole ones

STATE_STYLES = {
    "running": "good",
    "ready": "good",
    "starting": "warn",
    "stopping": "warn",
    "degraded": "warn",
    "backoff": "bad",
    "stopped": "dim",
}


def state_cell(state: str) -> Cell:
    """Return the state of a process or cluster in its colour."""
    return Cell(state, STATE_STYLES.get(state, ""))


def state_words(report: ClusterReport) -> str:
    """Return how far a cluster has come: ``starting: 3 of 5 processes serve``."""
    counted = report.exchange
    running = sum(child.state is State.RUNNING for child in counted)
    return f"{report.state.value}: {running} of {len(counted)} processes serve"


def processes_table(report: ClusterReport, now: float) -> Table:
    """Return one row a process, the supervisor last; ``now`` is a moment on the monotonic clock."""
    rows: list[tuple[str | Cell, ...]] = [
        (
            child.name,
            child.kind,
            state_cell(child.state.value),
            str(child.pid or "-"),
            _addresses(child.addresses),
            age(child.uptime_s(now)) if child.state is State.RUNNING else "-",
            str(child.restarts),
        )
        for child in report.children
    ]
    rows.append(("supervisor", "supervisor", state_cell("running"), str(report.supervisor), "-", "-", "-"))
    columns = (
        Column("NAME"),
        Column("KIND"),
        Column("STATE"),
        Column("PID", right=True),
        Column("ADDRESS", wraps=True),
        Column("UPTIME", right=True),
        Column("RESTARTS", right=True),
    )
    return Table(columns, rows)


def error_lines(report: ClusterReport, paint: Paint = plain) -> list[str]:
    """Return what each process last ended with, below the table: beside it there is no room in 80 columns."""
    return [
        f"{child.name}: {paint(child.last_error, 'bad')}" for child in report.children if child.last_error
    ]


def processes_document(report: ClusterReport, now: float) -> list[dict[str, Any]]:
    """Return one object a process, the supervisor left out: it is in ``cluster status``."""
    return [
        {
            "name": child.name,
            "kind": child.kind,
            "state": child.state.value,
            "pid": child.pid or None,
            "addresses": child.addresses,
            "restarts": child.restarts,
            "uptime_s": round(child.uptime_s(now), 3),
            "last_error": child.last_error or None,
        }
        for child in report.children
    ]


def status_tables(status: ClusterStatus) -> list[Table]:
    """Return the nodes, their markets where there are several, and the registry members."""
    has_one = max((len(node.sequence) for node in status.nodes), default=0) <= 1
    troubled = any(_trouble(node) for node in status.nodes)
    sequences = (Column("SEQUENCE", right=True), Column("DIGEST")) if has_one else ()
    nodes = Table(
        columns=(
            Column("NODE"),
            Column("STATE"),
            Column("ADDRESS"),
            *sequences,
            Column("OPEN", right=True),
            Column("TRADES", right=True),
            Column("RESTARTS", right=True),
            *((Column("LAST ERROR", wraps=True),) if troubled else ()),
        ),
        rows=[
            (
                node.name,
                state_cell(node.state),
                node.rpc or "-",
                *(_sequence_and_digest(node) if has_one else ()),
                str(node.open_orders),
                str(node.trades),
                str(node.restarts),
                *((Cell(_trouble(node), "bad"),) if troubled else ()),
            )
            for node in status.nodes
        ],
        empty="the cluster has no nodes",
    )
    members = Table(
        columns=(
            Column("REGISTRY"),
            Column("STATE"),
            Column("HTTP"),
            Column("DHT"),
            Column("PID", right=True),
        ),
        rows=[
            (
                member.name,
                state_cell(member.state),
                member.http or "-",
                member.dht or "-",
                str(member.pid or "-"),
            )
            for member in status.registry
        ],
        empty="the cluster has no registry members of its own",
    )
    tables = [nodes, members] if has_one else [nodes, _markets_table(status), members]
    if status.moving:
        tables.insert(1, _moving_table(status))
    if status.problems:
        columns = (Column("PROBLEM", wraps=True),)
        tables.insert(1, Table(columns, [(Cell(problem, "bad"),) for problem in status.problems]))
    return [*tables, _bots_table(status)] if status.bots else tables


def _trouble(node: StatusOfNode) -> str:
    """Return why a node does not serve, as far as that is known; "" for one that does."""
    return "" if node.rpc else node.last_error


def _moving_table(status: ClusterStatus) -> Table:
    """Return the markets that take no orders because their log is on its way elsewhere."""
    return Table(
        columns=(Column("MARKET"), Column("STATE"), Column("LOG MOVES TO", wraps=True)),
        rows=[(symbol, Cell("sealed", "warn"), place) for symbol, place in status.moving.items()],
    )


def _bots_table(status: ClusterStatus) -> Table:
    return Table(
        columns=(Column("BOT"), Column("STATE"), Column("PID", right=True), Column("RESTARTS", right=True)),
        rows=[
            (bot.name, state_cell(bot.state), str(bot.pid or "-"), str(bot.restarts)) for bot in status.bots
        ],
    )


def _markets_table(status: ClusterStatus) -> Table:
    symbols = dict.fromkeys(symbol for node in status.nodes for symbol in node.sequence)
    return Table(
        columns=(Column("MARKET"), Column("NODE"), Column("SEQUENCE", right=True), Column("DIGEST")),
        rows=[
            (symbol, node.name, str(node.sequence[symbol]), node.digest[symbol][:SHOWN_DIGEST])
            for symbol in symbols
            for node in status.nodes
            if symbol in node.sequence
        ],
    )


def _sequence_and_digest(node: StatusOfNode) -> tuple[str, str]:
    for symbol, sequence in node.sequence.items():
        return str(sequence), node.digest[symbol][:SHOWN_DIGEST]
    return "-", "-"


def status_title(status: ClusterStatus, paint: Paint = plain) -> str:
    """Return the cluster in one line."""
    state = paint(status.state, STATE_STYLES.get(status.state, ""))
    rotation = f"  secret being replaced: {status.rotation}" if status.rotation else ""
    return f"cluster {paint(status.cluster, 'head')}  {state}  log {status.log}{rotation}"


def status_lines(status: ClusterStatus, paint: Paint = plain) -> list[str]:
    """Return the whole status as lines, for a screen that is drawn again and again."""
    lines = [status_title(status, paint)]
    for table in status_tables(status):
        lines += ["", *(aligned(table, paint) if table.rows else [table.empty])]
    return lines


def clusters_table(rows: Sequence[tuple[str, str, str]]) -> Table:
    """Return one row a cluster: name, state, folder."""
    return Table(
        columns=(Column("CLUSTER"), Column("STATE"), Column("FOLDER", wraps=True)),
        rows=[(name, state_cell(state), folder) for name, state, folder in rows],
        empty="no clusters yet: p2px cluster up -n 3 makes one",
    )


def _addresses(addresses: Mapping[str, str]) -> str:
    known = [addresses[kind] for kind in ("rpc", "http", "dht") if kind in addresses]
    return "  ".join(known) or "-"
