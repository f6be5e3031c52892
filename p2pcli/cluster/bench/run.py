"""One run of ``p2px bench``: fills the book if asked, warms up, then measures one mode after the other."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from msgspec.structs import replace

from p2pcli.cluster.bench import flow, machine
from p2pcli.cluster.bench.figures import Figures, Result
from p2pcli.cluster.bench.lag import LagProbe
from p2pcli.cluster.bench.load import FRAME, BenchFailed, Load, Trader
from p2pcli.cluster.folder import ClusterFolder
from p2pcli.cluster.report import ClusterReport
from p2pcli.errors import P2pxError
from p2pcli.market.commands import CancelAll, ClientCommand
from p2pcli.node.client import ExchangeClient

FLOW = 20_000  # commands of each client that are made ahead and sent again and again
CLOSED_ORDERS = 5_000  # one order at a time takes long
OPEN_S = 10  # and a fixed rate as long as it takes
RESTING_OWNER = "resting"  # their orders are nobody's to sweep away


@dataclass(frozen=True, slots=True)
class Setting:
    """What to measure. Limits are the command line's."""

    modes: Sequence[str]
    orders: int
    seconds: float  # of each mode; 0: as long as the orders take
    window: int
    batch: int
    rate: int  # orders a second in the open loop
    resting: int


def measure(
    folder: ClusterFolder,
    report: ClusterReport,
    traders: Sequence[Trader],
    watchers: Mapping[str, ExchangeClient],
    setting: Setting,
    show: Callable[[str], None],
) -> Result:
    """Run every mode of ``setting`` and return the figures. Raises ``BenchFailed``.

    ``watchers``: a client of every node, to see how far behind it is. ``show`` is told what happens now.
    """
    plan = folder.plan()
    assert plan is not None, "a cluster that runs has a plan"
    sync_us, sync_p99_us = machine.fdatasync_us(folder.path)
    load = Load(traders, setting.window, setting.batch)
    pids = {child.name: child.pid for child in report.children} | {"supervisor": report.supervisor}
    found = []
    try:
        show("warming up")
        load.run("closed", _flow(traders, 200, 0), 1)
        if setting.resting:
            show(f"putting {setting.resting:,} orders into the book")
            _rest(folder, report, traders, setting.resting)
        for number, mode in enumerate(setting.modes, 1):
            show(mode)
            found.append(_mode(mode, number, load, traders, watchers, pids, setting))
    finally:
        with suppress(P2pxError):  # a cluster that failed meanwhile is told of already
            _tidy(folder, report, traders)
    return Result(
        sorted({trader.market for trader in traders}),
        len(report.nodes),
        len(traders),
        plan.log_url,
        plan.durable,
        setting.batch,
        setting.window,
        setting.resting,
        sync_us,
        sync_p99_us,
        found,
        machine.facts(),
        setting.rate,
    )


def _mode(
    mode: str,
    number: int,
    load: Load,
    traders: Sequence[Trader],
    watchers: Mapping[str, ExchangeClient],
    pids: Mapping[str, int],
    setting: Setting,
) -> Figures:
    count = _share(mode, setting)
    made = _flow(traders, min(count, FLOW * len(traders)), number)
    watcher, market = next(iter(watchers.values())), traders[0].market
    before, entries = machine.usage(pids), watcher.book(market, levels=1).sequence
    with LagProbe(watchers, market, lambda: load.acknowledged) as probe:
        figures = load.run(mode, made, setting.rate, count, setting.seconds)
    after = machine.usage(pids)
    for name, used in after.items():
        if not used.memory_mib:
            raise BenchFailed(
                f"{mode}: {name} ended while it was measured", hint=f"p2px cluster logs {name} shows why"
            )
    entries = watcher.book(market, levels=1, at_least=load.acknowledged).sequence - entries
    own = sum(1 for trader in traders if trader.market == market) / len(traders)  # of the orders
    return replace(
        figures,
        orders_per_entry=own * figures.orders / max(1, entries),
        cpu_us={name: 1e6 * (after[name].cpu_s - before[name].cpu_s) / figures.orders for name in after},
        memory_mib={name: (before[name].memory_mib, after[name].memory_mib) for name in after},
        lag_ms=probe.longest_ms,
    )


def _tidy(folder: ClusterFolder, report: ClusterReport, traders: Sequence[Trader]) -> None:
    """Cancel what is left of the traders' orders; theirs alone, for they trade under names of their own."""
    for trader in traders:
        trader.client.close()  # after an interruption they are still sending
    for trader in traders:
        with dial(folder, report, trader.client.node, owner=trader.client.owner) as client:
            while client.orders(trader.market, trader.client.owner, limit=1):  # others may be on their way
                client.submit(trader.market, [CancelAll()])


def _share(mode: str, setting: Setting) -> int:
    if setting.seconds:
        return 1 << 40  # time ends it, not their number
    most = {"closed": CLOSED_ORDERS, "open": OPEN_S * setting.rate}.get(mode, setting.orders)
    return min(setting.orders, most)


def _flow(traders: Sequence[Trader], count: int, seed: int) -> list[ClientCommand]:
    price, lots = flow.around(traders[0].client.instruments[traders[0].market])
    return flow.swept(flow.orders(count, seed, price, lots))


def _rest(folder: ClusterFolder, report: ClusterReport, traders: Sequence[Trader], count: int) -> None:
    """Put orders that stay into the first trader's market, under a name of their own."""
    market = traders[0].market
    price, lots = flow.around(traders[0].client.instruments[market])
    with dial(folder, report, report.nodes[0].name, owner=RESTING_OWNER) as client:
        Load([Trader(client, market)], window=1, batch=FRAME).run(
            "batched", flow.resting(min(count, FLOW), price, lots), 1, count
        )


def dial(folder: ClusterFolder, report: ClusterReport, name: str, owner: str = "") -> ExchangeClient:
    """Return a client of one node of a running cluster."""
    host, _, port = report.child(name).addresses["rpc"].rpartition(":")
    return ExchangeClient(host, int(port), folder.credentials(), owner=owner, timeout=30.0)
