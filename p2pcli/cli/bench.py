"""``p2px bench``: how fast orders are answered, beside the disk's own sync time."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from p2pcli.cli.invocation import Invocation
from p2pcli.cli.options import count_option, market_option, node_option, time_option
from p2pcli.cli.render.bench import bars, compared, heading, table, usage
from p2pcli.cli.verbs import Verb
from p2pcli.cli.words import listed, market_named
from p2pcli.cluster.bench.figures import Result, differences, ratios
from p2pcli.cluster.folder import ClusterNotRunning
from p2pcli.errors import BadInput

if TYPE_CHECKING:
    from p2pcli.cluster.folder import ClusterFolder
    from p2pcli.cluster.report import ClusterReport

MODES = ("closed", "pipelined", "batched", "open")


class BadResultFile(BadInput):
    """The file given to --compare is no result of p2px bench."""

    code = "bad_result_file"


@click.command(
    "bench",
    cls=Verb,
    examples=(
        "p2px bench",
        "p2px bench --mode batched --orders 200000 --clients 3 --spread",
        "p2px bench --mode open --rate 1000 --seconds 5m",
        "p2px bench -o json > before.json && p2px bench --compare before.json",
    ),
)
@count_option(
    "--orders",
    20_000,
    10_000_000,
    "In each mode; at most 5,000 in the closed loop, 10 s in the open one.",
    least=100,
)
@time_option("--seconds", None, "How long each mode takes, whatever number of orders that is.")
@count_option("--window", 256, 5_000, "Orders in flight of each client when pipelined.")
@count_option("--batch", 100, 1_000, "Orders in a frame when batched.")
@count_option("--clients", 1, 64, "Clients at once.")
@count_option("--rate", 1000, 1_000_000, "Orders a second in the open loop.")
@click.option(
    "--mode",
    "modes",
    multiple=True,
    type=click.Choice(MODES),
    help="One order at a time (closed), one order a frame and many frames in flight (pipelined), many orders"
    " a frame (batched), or at a fixed rate (open). Repeat for more; without it all four.",
)
@click.option(
    "--spread", is_flag=True, help="Clients take turns through the nodes; without it all use one node."
)
@click.option("--all-markets", is_flag=True, help="Clients take turns through the markets as well.")
@click.option(
    "--resting",
    default=0,
    type=click.IntRange(0, 10_000_000),
    metavar="N",
    help="Orders that rest in the book before, and stay there.",
)
@click.option("--histogram", is_flag=True, help="Show how the latencies are spread.")
@click.option("--compare", metavar="FILE", help="An earlier result (-o json): print the ratios to it.")
@node_option
@market_option
@click.pass_obj
def bench(
    invocation: Invocation,
    orders: int,
    seconds: float | None,
    window: int,
    batch: int,
    clients: int,
    rate: int,
    modes: Sequence[str],
    spread: bool,
    all_markets: bool,
    resting: int,
    histogram: bool,
    compare: str | None,
    node: str | None,
    market: str | None,
) -> None:
    """Measure orders a second and their latency, and the disk's own sync time beside them.

    Runs against the cluster that runs, or else against one of its own that is deleted afterwards. Its
    orders are real: they belong to bench1, bench2 ..., trade with what rests there, and are cancelled at
    the end. The clients share the machine with the nodes; what they use is shown as "bench".
    """
    from p2pcli.cluster.bench.load import Trader
    from p2pcli.cluster.bench.run import Setting, dial, measure

    if spread and node:
        raise BadInput(f"--spread uses every node, and --node {node} one", hint="leave one of them out")
    if seconds == 0:
        raise BadInput("--seconds 0s measures nothing", hint="leave --seconds out, or say 5s")
    before = None if compare is None else _read(Path(compare))
    screen = invocation.screen
    with ExitStack() as stack:
        folder, report = _arena(invocation, stack)
        nodes = [child.name for child in report.nodes]
        names = nodes if spread else [node or nodes[0]]
        connected = [
            stack.enter_context(dial(folder, report, names[number % len(names)], owner=f"bench{number + 1}"))
            for number in range(clients)
        ]
        known = connected[0].instruments
        symbol = market_named(known, market or invocation.config.client.market).symbol
        symbols = sorted(known) if all_markets else [symbol]
        traders = [Trader(client, symbols[number % len(symbols)]) for number, client in enumerate(connected)]
        watchers = {name: stack.enter_context(dial(folder, report, name)) for name in nodes}
        setting = Setting(modes or MODES, orders, seconds or 0.0, window, batch, rate, resting)
        with screen.one_line() as show:
            result = measure(folder, report, traders, watchers, setting, show)
    if not screen.is_text:
        screen.document(result if before is None else _beside(result, before, str(compare)))
        return
    screen.lines(heading(result))
    screen.table(table(result))
    screen.lines(line for each in result.modes for line in usage(each))
    if histogram:
        screen.lines(line for each in result.modes for line in bars(each))
    if before is not None:
        beside = ratios(result, before)
        screen.lines(f"{compared(ratio)} {compare}" for ratio in beside)
        if other := differences(result, before):
            screen.note(f"not the same as in {compare}: {'; '.join(other)}")
        if not beside:
            screen.note(
                f"{compare} has no mode of these: it has {listed(each.mode for each in before.modes)}"
            )


def _beside(result: Result, before: Result, path: str) -> dict[str, object]:
    """Return a result with its ratios to an earlier one, in which ``--compare`` finds the result again."""
    return {
        **msgspec.to_builtins(result),
        "compared_with": path,
        "ratios": [ratio._asdict() for ratio in ratios(result, before)],
        "differences": differences(result, before),
    }


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


_RESULT_HINT = "p2px bench -o json > before.json writes one"


def _read(path: Path) -> Result:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Result)
    except OSError as error:
        raise BadResultFile(f"cannot read {path}: {error.strerror}", hint=_RESULT_HINT) from error
    except msgspec.MsgspecError as error:
        raise BadResultFile(f"{path} is no result of p2px bench: {error}", hint=_RESULT_HINT) from error
