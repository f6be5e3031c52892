"""``p2px bench``: how fast orders are answered, beside the disk's own sync time."""

import platform
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from p2pcli.cli.invocation import Invocation
from p2pcli.cli.options import market_option, node_option
from p2pcli.cli.render.table import Column, Table
from p2pcli.cli.verbs import Verb
from p2pcli.cli.words import market_named
from p2pcli.cluster.bench.figures import Result, ratios
from p2pcli.cluster.folder import ClusterNotRunning
from p2pcli.errors import BadInput
from p2pcli.node.client import ExchangeClient

if TYPE_CHECKING:
    from p2pcli.cluster.folder import ClusterFolder
    from p2pcli.cluster.report import ClusterReport

MODES = ("closed", "pipelined", "batched", "open")
PRICE = 1_000_000  # ticks around which orders are placed, unless the market's maximum is lower
TIMEOUT_S = 30.0


class BadResultFile(BadInput):
    """The file given to --compare is no result of p2px bench."""

    code = "bad_result_file"


@click.command(
    "bench",
    cls=Verb,
    examples=(
        "p2px bench",
        "p2px bench --mode batched --orders 200000 --clients 3",
        "p2px bench --mode open --rate 1000 --orders 60000",
        "p2px bench -o json > before.json && p2px bench --compare before.json",
    ),
)
@click.option(
    "--orders", default=20_000, show_default=True, type=click.IntRange(100, 10_000_000), metavar="N"
)
@click.option(
    "--window",
    default=256,
    show_default=True,
    type=click.IntRange(1, 5_000),
    metavar="N",
    help="Orders in flight of each client when pipelined.",
)
@click.option(
    "--clients", default=1, show_default=True, type=click.IntRange(1, 64), metavar="N", help="At once."
)
@click.option(
    "--rate",
    default=1000,
    show_default=True,
    type=click.IntRange(1, 1_000_000),
    metavar="N",
    help="Orders a second in the open loop.",
)
@click.option(
    "--mode",
    "modes",
    multiple=True,
    type=click.Choice(MODES),
    help="One order at a time (closed), one order a frame (pipelined), 100 orders a frame (batched), or at"
    " a fixed rate (open). Repeat for more; without it all four.",
)
@click.option(
    "--spread", is_flag=True, help="Clients take turns through the nodes; without it all use one node."
)
@click.option("--compare", metavar="FILE", help="An earlier result (-o json): print the ratios to it.")
@node_option
@market_option
@click.pass_obj
def bench(
    invocation: Invocation,
    orders: int,
    window: int,
    clients: int,
    rate: int,
    modes: Sequence[str],
    spread: bool,
    compare: str | None,
    node: str | None,
    market: str | None,
) -> None:
    """Measure orders a second and their latency, and the disk's own sync time beside them.

    Runs against the cluster that runs, with real orders in its book, or else against one of its own that
    is deleted afterwards. The clients share the machine with the nodes.
    """
    before = None if compare is None else _read(Path(compare))
    with ExitStack() as stack:
        folder, report = _arena(invocation, stack)
        names = [child.name for child in report.nodes] if spread else [node or report.nodes[0].name]
        connected = [
            stack.enter_context(_dial(folder, report, names[number % len(names)]))
            for number in range(clients)
        ]
        symbol = market_named(connected[0].instruments, market or invocation.config.client.market).symbol
        result = _measure(folder, report, connected, symbol, orders, window, rate, modes or MODES)
    screen = invocation.screen
    if not screen.is_text:
        screen.document(result)
        return
    screen.lines(
        [
            f"{result.market} on {result.nodes} nodes, {result.clients} clients"
            f"   disk: fdatasync {result.fdatasync_us:.0f} us"
        ]
    )
    screen.table(table(result))
    used = ", ".join(f"{name} {seconds:.1f}" for name, seconds in result.cpu_s.items())
    screen.lines([f"processor seconds: {used}"])
    if before is not None:
        screen.lines(
            f"{mode}: {rate_ratio:.2f} x the orders a second, {p50_ratio:.2f} x the p50 of {compare}"
            for mode, rate_ratio, p50_ratio in ratios(result, before)
        )


def table(result: Result) -> Table:
    """Return rates and latencies; p50 also as a multiple of the disk's own sync time."""
    titles = ("ORDERS/S", "P50", "P90", "P99", "P99.9", "MAX", "P50/SYNC")
    columns = (Column("MODE"), *(Column(title, right=True) for title in titles))
    rows = [
        (
            each.mode,
            f"{each.orders_per_s:,.0f}",
            *(f"{us / 1000:.2f} ms" for us in (each.p50, each.p90, each.p99, each.p99_9, each.max)),
            f"{each.p50 / result.fdatasync_us:.1f}",
        )
        for each in result.modes
    ]
    return Table(columns, [tuple(row) for row in rows])


def _measure(
    folder: "ClusterFolder",
    report: "ClusterReport",
    clients: Sequence[ExchangeClient],
    symbol: str,
    count: int,
    window: int,
    rate: int,
    modes: Sequence[str],
) -> Result:
    from p2pcli.cluster.bench.load import Load, cpu_seconds, fdatasync_us, orders

    instrument = clients[0].instruments[symbol]
    around = min(PRICE, instrument.max_price // 2)
    lots = max(1, min(1_000_000, instrument.max_quantity // 1000))
    load = Load(clients, symbol, window)
    pids = {child.name: child.pid for child in report.nodes}
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    load.run("closed", orders(200, 0, around, lots), rate)  # the first ones warm the path
    found = [
        load.run(mode, orders(_share(mode, count, rate), number, around, lots), rate)
        for number, mode in enumerate(modes, 1)
    ]
    return Result(
        symbol,
        len(report.nodes),
        len(clients),
        fdatasync_us(folder.path),
        found,
        {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()},
        {"system": platform.platform(), "python": platform.python_version(), "machine": platform.machine()},
    )


def _share(mode: str, count: int, rate: int) -> int:
    """One order at a time takes long, and a fixed rate as long as it takes: ten seconds are enough."""
    return min(count, 5_000) if mode == "closed" else min(count, 10 * rate) if mode == "open" else count


def _arena(invocation: Invocation, stack: ExitStack) -> "tuple[ClusterFolder, ClusterReport]":
    """Return the cluster to measure; one of our own is deleted when ``stack`` ends."""
    from p2pcli.cluster.control import Control

    folder = invocation.folder
    try:
        with Control(folder) as control:
            return folder, control.report()
    except ClusterNotRunning:
        from p2pcli.cluster.down import down
        from p2pcli.cluster.planning import plan_cluster
        from p2pcli.cluster.up import throw_away

        config = invocation.config
        with invocation.screen.one_line() as show:
            show("starting a cluster")
            own = throw_away(folder, "bench", plan_cluster(config), config.cluster.ready_timeout)
        stack.callback(down, own, wipe=True)
        with Control(own) as control:
            return own, control.report()


def _dial(folder: "ClusterFolder", report: "ClusterReport", name: str) -> ExchangeClient:
    host, _, port = report.child(name).addresses["rpc"].rpartition(":")
    return ExchangeClient(host, int(port), folder.credentials(), timeout=TIMEOUT_S)


def _read(path: Path) -> Result:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Result)
    except OSError as error:
        raise BadResultFile(f"cannot read {path}: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise BadResultFile(f"{path} is no result of p2px bench: {error}") from error
