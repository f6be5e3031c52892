"""A result of ``p2px bench`` as lines and a table. Pure."""

from p2pcli.cli.render.table import Column, Table
from p2pcli.cluster.bench.figures import Figures, Ratios, Result

MAX_BARS = 40  # characters of the longest bar of a histogram


def heading(result: Result) -> list[str]:
    """Return what was measured, on what."""
    machine = result.machine
    synced = "" if result.durable else ", not synced"
    rests = f"   {result.resting:,} orders resting" if result.resting else ""
    where = f"{_many(result.nodes, 'node')}, {_many(result.clients, 'client')}"
    return [
        f"{', '.join(result.markets)} on {where}{rests}   log: {result.log}{synced}",
        f"disk: fdatasync {result.fdatasync_us:.0f} us, p99 {result.fdatasync_p99_us:.0f} us   "
        + " ".join(f"{name} {machine[name]}" for name in ("cores", "processor", "python") if name in machine),
    ]


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def table(result: Result) -> Table:
    """Return rates and latencies; p50 and p99 also as multiples of the disk's own median sync."""
    titles = ("ORDERS/S", "P50", "P90", "P99", "P99.9", "MAX", "P50/SYNC", "P99/SYNC", "AN ENTRY", "LAG")
    columns = (Column("MODE"), *(Column(title, right=True) for title in titles))
    rows = [
        (
            each.mode,
            f"{each.orders_per_s:,.0f}",
            *(f"{us / 1000:.2f} ms" for us in (each.p50, each.p90, each.p99, each.p99_9, each.max)),
            f"{each.p50 / result.fdatasync_us:.1f}",
            f"{each.p99 / result.fdatasync_us:.1f}",
            f"{each.orders_per_entry:.1f}",
            f"{each.slowest_node:.0f} ms",
        )
        for each in result.modes
    ]
    return Table(columns, [tuple(row) for row in rows])


def usage(figures: Figures) -> list[str]:
    """Return what the processes used, one line for the processor and one for memory."""
    spent = figures.cpu_us
    shown = ", ".join(f"{name} {used:.1f}" for name, used in spent.items() if used >= 0.05)
    grown = ", ".join(
        f"{name} {now:.0f} ({round(now - was):+})" for name, (was, now) in figures.memory_mib.items()
    )
    return [
        f"{figures.mode}: {sum(spent.values()):.1f} us of processor an order: {shown}",
        f"{figures.mode}: MiB of memory: {grown}",
    ]


def bars(figures: Figures) -> list[str]:
    """Return the histogram of one mode as a line for each power of two."""
    most = max(figures.histogram.values())
    return [f"{figures.mode}: frames answered within"] + [
        f"  {int(below) / 1000:>9.3f} ms {count:>9,} {'#' * -(-MAX_BARS * count // most)}"
        for below, count in figures.histogram.items()
    ]


def compared(ratio: Ratios) -> str:
    """Return one line of the comparison, up to the name of the file."""
    cpu = f", {ratio.cpu:.2f} x the processor time an order" if ratio.cpu else ""
    return (
        f"{ratio.mode}: {ratio.orders_per_s:.2f} x the orders a second, {ratio.p50:.2f} x the p50,"
        f" {ratio.p99:.2f} x the p99{cpu} of"
    )
