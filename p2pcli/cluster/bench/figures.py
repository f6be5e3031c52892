"""Latencies into percentiles and a histogram, and one result beside an earlier one. Pure."""

from collections.abc import Sequence

import msgspec

PERCENTILES = (("p50", 0.50), ("p90", 0.90), ("p99", 0.99), ("p99_9", 0.999))


class Figures(msgspec.Struct, frozen=True):
    """One way of sending orders. Latencies in microseconds, of a frame from send to answer."""

    mode: str
    orders: int
    seconds: float
    orders_per_s: float
    p50: float
    p90: float
    p99: float
    p99_9: float
    max: float
    histogram: dict[str, int]  # frames by power of two of microseconds: "512" means below 512 us


class Result(msgspec.Struct, frozen=True):
    """One run of ``p2px bench``."""

    market: str
    nodes: int
    clients: int
    fdatasync_us: float  # the disk's own median, the yardstick of every latency here
    modes: list[Figures]
    cpu_s: dict[str, float]  # processor seconds of each process during the run
    machine: dict[str, str]


def figures(mode: str, orders: int, seconds: float, latencies_s: Sequence[float]) -> Figures:
    """Return the figures of one run; ``latencies_s`` must not be empty."""
    ordered = sorted(latency * 1e6 for latency in latencies_s)
    last = len(ordered) - 1
    found = {name: ordered[min(last, int(share * len(ordered)))] for name, share in PERCENTILES}
    return Figures(
        mode, orders, seconds, orders / seconds, max=ordered[last], histogram=_histogram(ordered), **found
    )


def _histogram(ordered: Sequence[float]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for latency in ordered:
        below = str(1 << max(0, int(latency).bit_length()))
        counted[below] = counted.get(below, 0) + 1
    return counted


def ratios(now: Result, before: Result) -> list[tuple[str, float, float]]:
    """Return for each mode in both results: its name, orders a second and p50, as now / before."""
    earlier = {each.mode: each for each in before.modes}
    return [
        (each.mode, each.orders_per_s / earlier[each.mode].orders_per_s, each.p50 / earlier[each.mode].p50)
        for each in now.modes
        if each.mode in earlier
    ]
