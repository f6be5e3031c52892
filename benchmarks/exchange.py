"""The whole exchange as its users meet it: starting, one command, and orders through one node.

    python benchmarks/exchange.py [--orders N] [--runs N] [--json FILE]

Starts a fresh cluster in a temporary home on this disk, drives it through one node, takes it down.
Client, nodes, registry and supervisor share the machine. Prints medians with the disk's own sync time;
``p2px bench`` measures the orders alone, in more ways.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from p2pcli.cluster.bench.flow import orders
from p2pcli.cluster.bench.load import Load, Trader
from p2pcli.cluster.bench.machine import facts, fdatasync_us
from p2pcli.cluster.bench.run import dial
from p2pcli.cluster.folder import ClusterFolder
from p2pcli.node.client import ExchangeClient

MARKET = "BTC/USD"
WINDOW = 256
CLOSED_ORDERS = 2_000
AROUND, LOTS = 3_000_000, 1_000_000  # 30,000.00 and 0.01 at the default market's tick and lot


def p2px(*arguments: str, home: Path) -> float:
    """Run the command line once; returns its duration in seconds."""
    environment = {**os.environ, "P2PX_HOME": str(home)}
    began = time.perf_counter()
    subprocess.run(
        [str(Path(sys.executable).with_name("p2px")), *arguments],
        env=environment,
        check=True,
        cwd=home,
        capture_output=True,
    )
    return time.perf_counter() - began


def connect(home: Path, node: str) -> ExchangeClient:
    """Return a client of one node of the running cluster."""
    folder = ClusterFolder(home, "default")
    report = folder.report()
    assert report is not None, "the cluster is running"
    return dial(folder, report, node)


def measure(home: Path, count: int, runs: int) -> dict[str, float]:
    """Run everything against a fresh cluster in ``home``."""
    result: dict[str, float] = {"fdatasync_us": fdatasync_us(home)[0]}
    result["cluster_up_s"] = p2px("cluster", "up", "-n", "3", home=home)
    try:
        one_order = [p2px("order", "buy", "0.5@30000", "--node", "client1", home=home) for _ in range(7)]
        result["order_command_s"] = statistics.median(one_order)
        with connect(home, "client1") as client:
            load = Load([Trader(client, MARKET)], WINDOW)
            load.run("closed", orders(200, 0, AROUND, LOTS), 0)  # the first ones warm the path
            for mode, size in (("closed", CLOSED_ORDERS), ("pipelined", count), ("batched", count)):
                found = [load.run(mode, orders(size, seed, AROUND, LOTS), 0) for seed in range(runs)]
                result[f"{mode}_per_s"] = statistics.median(each.orders_per_s for each in found)
                result[f"{mode}_p50_us"] = statistics.median(each.p50 for each in found)
                result[f"{mode}_p99_us"] = statistics.median(each.p99 for each in found)
    finally:
        p2px("cluster", "down", home=home)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=40_000, help="orders in each throughput run")
    parser.add_argument("--runs", type=int, default=3, help="runs of which the median is shown")
    parser.add_argument("--json", type=Path, help="write the figures and the machine to this file as well")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        result = measure(Path(folder), given.orders, given.runs)
    sync = result["fdatasync_us"]
    for name, value in result.items():
        ratio = f"   {value / sync:5.1f} x fdatasync" if name.endswith("_us") else ""
        print(f"{name:24} {value:12,.3f}{ratio}" if value < 100 else f"{name:24} {value:12,.0f}{ratio}")
    if given.json:
        given.json.write_text(json.dumps({"machine": facts(), "figures": result}, indent=1) + "\n")


if __name__ == "__main__":
    main()
