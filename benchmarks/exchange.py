"""The whole exchange as its users meet it: starting, one command, doing nothing, and orders in many ways.

    python -m benchmarks.exchange [--json] [--quick]

Starts fresh clusters in a temporary home on this disk, drives them with ``p2px bench``, takes them down.
Clients, nodes, registry and supervisor share the machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from p2pcli.cluster.bench.machine import usage
from p2pcli.cluster.folder import ClusterFolder

IDLE_S = 5.0
TEN_MARKETS = tuple(f"M{number}/USD" for number in range(10))
ONE_BY_ONE = ("--mode", "pipelined", "--mode", "batched")

# What `p2px bench` is told, by what it measures; orders for a full and a quick run.
CASES: dict[str, tuple[tuple[str, ...], tuple[int, int]]] = {
    "one client": ((), (200_000, 10_000)),
    "three clients, one node": ((*ONE_BY_ONE, "--clients", "3"), (300_000, 15_000)),
    "three clients, three nodes": ((*ONE_BY_ONE, "--clients", "3", "--spread"), (300_000, 15_000)),
    "many orders at rest": ((*ONE_BY_ONE, "--resting", "1000000"), (200_000, 10_000)),
}
MARKETS: dict[str, tuple[tuple[str, ...], tuple[int, int]]] = {
    "ten clients, one market": (
        (*ONE_BY_ONE, "--clients", "10", "--spread", "--market", "M0/USD"),
        (300_000, 20_000),
    ),
    "ten clients, ten markets": (
        (*ONE_BY_ONE, "--clients", "10", "--spread", "--all-markets"),
        (300_000, 20_000),
    ),
}
QUICK_RESTING = "20000"  # instead of a million


def p2px(*arguments: str, home: Path) -> tuple[float, str]:
    """Run the command line once; return its duration in seconds and what it said."""
    environment = {**os.environ, "P2PX_HOME": str(home)}
    began = time.perf_counter()
    command = [str(Path(sys.executable).with_name("p2px")), *arguments]
    done = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"error: {' '.join(command)} ended with {done.returncode}: {done.stderr}")
    return time.perf_counter() - began, done.stdout


def idle(home: Path) -> dict[str, float]:
    """Return the share of one processor that each process uses while nobody asks, and its memory in MiB."""
    report = ClusterFolder(home, "default").report()
    assert report is not None, "the cluster is running"
    pids = {child.name: child.pid for child in report.children} | {"supervisor": report.supervisor}
    before = usage(pids)
    time.sleep(IDLE_S)
    after = usage(pids)
    found: dict[str, float] = {}
    for name in pids:
        found[f"{name}_share"] = (after[name].cpu_s - before[name].cpu_s) / IDLE_S
        found[f"{name}_mib"] = after[name].memory_mib
    return found


def measure(base: Path, quick: bool) -> dict[str, Any]:
    """Return every figure: ``start`` of seconds, ``idle``, and one result of ``p2px bench`` for each case."""
    found: dict[str, Any] = {}
    home = base / "three"
    home.mkdir()
    ups = []
    for _ in range(1 if quick else 5):
        ups.append(p2px("cluster", "up", "-n", "3", home=home)[0])
        if len(ups) < 5 and not quick:
            p2px("cluster", "down", home=home)
    try:
        order = ("order", "buy", "0.5@30000", "--node", "client1")
        commands = [p2px(*order, home=home)[0] for _ in range(3 if quick else 7)]
        found["start"] = {
            "cluster_up_s": statistics.median(ups),
            "order_command_s": statistics.median(commands),
        }
        found["idle"] = idle(home)
        _print(found["start"] | found["idle"])
        for name, (arguments, sizes) in CASES.items():
            found[name] = bench(name, arguments, sizes[quick], home, quick)
    finally:
        p2px("cluster", "down", home=home)
    home = base / "markets"
    home.mkdir()
    markets = [word for symbol in TEN_MARKETS for word in ("--market", symbol)]
    p2px("cluster", "up", "-n", "3", *markets, home=home)
    try:
        for name, (arguments, sizes) in MARKETS.items():
            found[name] = bench(name, arguments, sizes[quick], home, quick)
    finally:
        p2px("cluster", "down", home=home)
    return found


def bench(name: str, arguments: Sequence[str], orders: int, home: Path, quick: bool) -> Any:
    """Return the result of one ``p2px bench``."""
    given = [QUICK_RESTING if quick and word == "1000000" else word for word in arguments]
    _, said = p2px("bench", "--orders", str(orders), *given, "-o", "json", home=home)
    result = json.loads(said)
    for each in result["modes"]:
        cpu, lag = sum(each["cpu_us"].values()), max(each["lag_ms"].values())
        print(
            f"{name:28} {each['mode']:10} {each['orders_per_s']:9,.0f}/s  p50 {each['p50'] / 1000:7.2f} ms"
            f"  p99 {each['p99'] / 1000:7.2f} ms  {cpu:7.1f} us of processor an order  lag {lag:4.0f} ms",
            file=sys.stderr,
            flush=True,
        )
    return result


def _print(figures: dict[str, float]) -> None:
    for name, value in figures.items():
        print(f"{name:28} {value:10.3f}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print everything as one JSON object as well")
    parser.add_argument("--quick", action="store_true", help="few orders: to see that it runs")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        found = measure(Path(folder), given.quick)
    if given.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
