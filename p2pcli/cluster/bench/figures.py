"""Latencies into percentiles and a histogram, and one result beside an earlier one. Pure."""

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import msgspec

PERCENTILES = (0.50, 0.90, 0.99, 0.999)

Positive = Annotated[float, msgspec.Meta(gt=0)]  # whoever writes a file by hand is told; ratios divide by it


class Figures(msgspec.Struct, frozen=True):
    """One way of sending orders. Latencies in microseconds, of a frame from send to answer."""

    mode: str
    orders: int
    seconds: float
    orders_per_s: Positive
    p50: Positive
    p90: Positive
    p99: Positive
    p99_9: Positive
    max: Positive
    histogram: dict[str, int]  # frames by power of two of microseconds: "512" means below 512 us
    orders_per_entry: float = 0.0  # how many shared one place in the log, and so one sync
    cpu_us: dict[str, float] = {}  # processor time of each process for one order, in microseconds
    memory_mib: dict[str, tuple[float, float]] = {}  # resident memory of each, before and after
    lag_ms: dict[str, float] = {}  # longest that a node took to show what was answered before

    @property
    def slowest_node(self) -> float:
        """Return the longest lag of any node in milliseconds, 0 when none was measured."""
        return max(self.lag_ms.values(), default=0.0)


class Result(msgspec.Struct, frozen=True):
    """One run of ``p2px bench``."""

    markets: list[str]
    nodes: int
    clients: int
    log: str  # URL of the engine
    durable: bool
    batch: int  # orders in a frame when batched
    window: int  # frames in flight of each client when pipelined
    resting: int  # orders put into the book before
    fdatasync_us: float  # the disk's own median, the yardstick of every latency here
    fdatasync_p99_us: float
    modes: list[Figures]
    machine: dict[str, str]
    rate: int = 0  # orders a second in the open loop; 0: not known


_COMPARED = ("nodes", "clients", "log", "durable", "batch", "window", "resting", "rate")


class Ratios(NamedTuple):
    """One mode of two results, as now / before."""

    mode: str
    orders_per_s: float
    p50: float
    p99: float
    cpu: float  # of all processes together, for an order; 0: not known


def figures(mode: str, orders: int, seconds: float, latencies_s: Sequence[float]) -> Figures:
    """Return the figures of one run; ``latencies_s`` must not be empty."""
    ordered = sorted(latency * 1e6 for latency in latencies_s)
    last = len(ordered) - 1
    p50, p90, p99, p99_9 = (ordered[min(last, int(share * len(ordered)))] for share in PERCENTILES)
    rate = orders / seconds
    return Figures(mode, orders, seconds, rate, p50, p90, p99, p99_9, ordered[last], _histogram(ordered))


def _histogram(ordered: Sequence[float]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for latency in ordered:
        below = str(1 << max(0, int(latency).bit_length()))
        counted[below] = counted.get(below, 0) + 1
    return counted


def ratios(now: Result, before: Result) -> list[Ratios]:
    """Return one line for each mode that both results have."""
    earlier = {each.mode: each for each in before.modes}
    return [
        Ratios(
            each.mode,
            each.orders_per_s / then.orders_per_s,
            each.p50 / then.p50,
            each.p99 / then.p99,
            _share(sum(each.cpu_us.values()), sum(then.cpu_us.values())),
        )
        for each in now.modes
        if (then := earlier.get(each.mode)) is not None
    ]


def differences(now: Result, before: Result) -> list[str]:
    """Return what makes two results hard to compare, each like ``clients 1, was 3``."""
    old, new = _circumstances(before), _circumstances(now)
    return [f"{name} {new[name]}, was {old[name]}" for name in new if old.get(name, new[name]) != new[name]]


def _circumstances(result: Result) -> dict[str, str]:
    facts = {name: str(getattr(result, name)) for name in _COMPARED}
    if not result.rate:
        del facts["rate"]
    return facts | {"markets": ", ".join(result.markets)} | result.machine


def _share(now: float, before: float) -> float:
    return now / before if before else 0.0
