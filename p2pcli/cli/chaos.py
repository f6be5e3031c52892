"""``p2px chaos``: what survives when processes are killed and paused under load."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from p2pcli.cli.invocation import Invocation
from p2pcli.cli.options import count_option, market_option, time_option
from p2pcli.cli.render.table import Cell, Column, Table
from p2pcli.cli.verbs import Group
from p2pcli.cli.words import market_named
from p2pcli.cluster.chaos.plan import Kind
from p2pcli.cluster.chaos.report import Report, Spread
from p2pcli.cluster.control import Control
from p2pcli.cluster.folder import ClusterNotRunning

if TYPE_CHECKING:
    from p2pcli.cluster.folder import ClusterFolder

chaos = Group("chaos", help="Kill and pause processes under load, and see that nothing is lost.")


@chaos.command(
    "run",
    examples=(
        "p2px chaos run",
        "p2px chaos run --seed 7 --duration 2m --clients 16",
        "p2px chaos run --fault node-killed --every 10s -o json | jq .faults",
    ),
)
@click.option("--seed", type=click.IntRange(0), metavar="N", help="The same faults and orders again.")
@time_option("--duration", "30s", "Of the load.")
@count_option("--clients", 8, 64, "Clients at once.")
@count_option("--rate", 400, 100_000, "Orders a second, of all clients together.")
@time_option("--every", "2s", "Between two faults, on average; they may overlap.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    type=click.Choice([kind.value for kind in Kind]),
    help="Only this kind of fault; repeat for more.",
)
@market_option
@click.pass_obj
def run(
    invocation: Invocation,
    seed: int | None,
    duration: float,
    clients: int,
    rate: int,
    every: float,
    faults: Sequence[str],
    market: str | None,
) -> int:
    """Trade through every node while processes are killed and paused; then check every promise.

    Runs against the cluster that runs, with real orders in its book, or else against one of its own that
    is deleted afterwards. Exit code 1 when anything was lost, done twice or not recovered.
    """
    from p2pcli.cluster.chaos.run import Run, Settings, any_seed

    settings = Settings(
        any_seed() if seed is None else seed,
        duration,
        clients,
        rate,
        every,
        tuple(map(Kind, faults)) or tuple(Kind),
    )
    screen = invocation.screen
    folder, is_own = _arena(invocation)
    plan = folder.plan()
    assert plan is not None, "a cluster that runs has a plan"
    markets = {each.symbol: each for each in plan.markets}
    symbol = market_named(markets, market or invocation.config.client.market).symbol
    screen.note(f"chaos with seed {settings.seed} on cluster {folder.name}; Ctrl-C ends it early")
    try:
        with screen.one_line() as show, _ends_like_ctrl_c():
            report = Run(folder, symbol, settings).carry_out(show)
    except BaseException:
        if is_own:
            _delete(folder)
        raise
    if screen.is_text:
        _show(invocation, report)
    else:
        screen.document(report)
    if is_own and report.ok:
        _delete(folder)
    elif is_own:
        screen.note(f"the cluster is left as it is, for a closer look: {folder.path}")
    return 0 if report.ok else 1


def _arena(invocation: Invocation) -> "tuple[ClusterFolder, bool]":
    """Return the cluster to torment, and whether it is one of our own."""
    folder = invocation.folder
    try:
        Control(folder).close()
    except ClusterNotRunning:
        from p2pcli.cluster.planning import plan_cluster
        from p2pcli.cluster.up import throw_away

        config = invocation.config
        with invocation.screen.one_line() as show:
            show("starting a cluster")
            own = throw_away(folder, "chaos", plan_cluster(config), config.cluster.ready_timeout)
        return own, True
    return folder, False


@contextmanager
def _ends_like_ctrl_c() -> Iterator[None]:
    """Have a closing terminal and a ``kill`` end the run in order: a process that is paused must go on."""
    former = {
        number: signal.signal(number, signal.default_int_handler)
        for number in (signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _delete(folder: "ClusterFolder") -> None:
    from p2pcli.cluster.down import down

    down(folder, wipe=True)


def _show(invocation: Invocation, report: Report) -> None:
    screen = invocation.screen
    screen.lines(summary(report))
    screen.lines([""])
    screen.table(faults_table(report))
    screen.lines([""])
    paint = screen.paint
    if report.ok:
        screen.lines([f"{paint('nothing violated', 'good')}  {report.entries} entries of the log judged"])
    for violation in report.violations:
        screen.lines([f"{paint('violated', 'bad')}  {violation.guarantee}  {violation.what}"])


def summary(report: Report) -> list[str]:
    """Return what became of the orders, in a few lines."""
    orders = report.orders
    refusals = ", ".join(f"{count} {code}" for code, count in sorted(orders.refusals.items()))
    lines = [
        f"{report.market} on {report.nodes} nodes, {report.clients} clients, {report.load_s:.1f} s of load"
        f"{' (interrupted)' if report.interrupted else ''}, whole again {seconds(report.healed_s)} later",
        f"{orders.sent} sent ({orders.repeats} of them repeats), {orders.ok} ok, {orders.refused} refused"
        f"{f' ({refusals})' if refusals else ''}, {orders.unknown} unknown and resolved by a repeat",
        f"{orders.ok_per_s:.0f} ok a second, {report.trades} trades in all",
    ]
    if orders.latency is not None:
        lines.append(f"answered in {' / '.join(_spread(orders.latency))} (p50 / p99 / max)")
    return lines


def faults_table(report: Report) -> Table:
    """Return how long each kind of fault was felt: p50, p99 and max of every time."""
    columns = [Column("FAULT"), Column("TIMES", right=True), Column("IN FLIGHT", right=True)]
    for title in ("ORDERS OK AGAIN", "BACK", "CAUGHT UP"):
        columns += [Column(title, right=True), Column("P99", right=True), Column("MAX", right=True)]
    rows: list[tuple[str | Cell, ...]] = [
        (
            each.kind,
            str(each.struck),
            Cell(str(each.bit), "" if each.bit == each.struck else "warn"),
            *_spread(each.orders_ok),
            *_spread(each.back),
            *_spread(each.caught_up),
        )
        for each in report.faults
    ]
    return Table(tuple(columns), rows, "no fault was carried out")


def _spread(spread: Spread | None) -> tuple[str, str, str]:
    if spread is None:
        return "-", "-", "-"
    return seconds(spread.p50), seconds(spread.p99), seconds(spread.max)


def seconds(time: float) -> str:
    """Return a length of time with three digits that matter: 4.1 ms, 312 ms, 2.05 s."""
    if time >= 1:
        return f"{time:.2f} s"
    return f"{time * 1000:.0f} ms" if time >= 0.01 else f"{time * 1000:.1f} ms"
