"""The whole exchange: from a client's socket to a durable, replicated, answered order on three nodes.

    python benchmarks/exchange.py [--orders N] [--runs N] [--json FILE]

Starts a fresh cluster in a temporary home on this disk, drives it through one node, takes it down.
Client, nodes, registry and supervisor share the machine. Prints medians with the disk's own sync time.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from p2pcli.market.commands import Place, Side
from p2pcli.node.client import ExchangeClient
from p2pcli.node.requests import Answer

MARKET = "BTC/USD"
WINDOW = 256


def fdatasync_us(folder: Path, count: int = 300) -> float:
    """Return the median time of one fdatasync after a 4 KiB append, in microseconds."""
    path = folder / "sync-probe"
    times = []
    with path.open("wb", buffering=0) as file:
        for _ in range(count):
            file.write(bytes(4096))
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began)
    path.unlink()
    return statistics.median(times) * 1e6


def orders(count: int, seed: int) -> list[Place]:
    """Return a random flow around 30,000.00: about a third of the orders trade at once."""
    rng = random.Random(seed)
    flow = []
    for _ in range(count):
        side = Side.BUY if rng.random() < 0.5 else Side.SELL
        away = rng.randrange(-20, 40)
        price = 3_000_000 - away if side is Side.BUY else 3_000_000 + away
        flow.append(Place(side, rng.randrange(1, 100) * 1_000_000, price))
    return flow


def closed_loop(client: ExchangeClient, flow: list[Place]) -> dict[str, float]:
    """Send one order at a time; returns latencies in microseconds."""
    times = []
    for order in flow:
        began = time.perf_counter()
        client.submit(MARKET, [order])
        times.append((time.perf_counter() - began) * 1e6)
    times.sort()
    return {
        "p50_us": times[len(times) // 2],
        "p99_us": times[len(times) * 99 // 100],
        "max_us": times[-1],
        "per_s": len(times) / sum(times) * 1e6,
    }


def pipelined(client: ExchangeClient, flow: list[Place], frame: int, window: int) -> float:
    """Keep ``window`` frames of ``frame`` orders in flight; returns answered orders per second."""
    frames = [flow[start : start + frame] for start in range(0, len(flow), frame)]
    began = time.perf_counter()
    sent = answered = 0
    while answered < len(frames):
        while sent < len(frames) and sent - answered < window:
            client.send(MARKET, frames[sent])
            sent += 1
        reply = client.next_reply()
        assert isinstance(reply, Answer), reply
        answered += 1
    return len(flow) / (time.perf_counter() - began)


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
    from p2pcli.cluster.folder import ClusterFolder

    folder = ClusterFolder(home, "default")
    report = folder.report()
    assert report is not None, "the cluster is running"
    host, _, port = report.child(node).addresses["rpc"].rpartition(":")
    return ExchangeClient(host, int(port), folder.secret(), timeout=30)


def measure(home: Path, count: int, runs: int) -> dict[str, float]:
    """Run everything once against a fresh cluster in ``home``."""
    result: dict[str, float] = {"fdatasync_us": fdatasync_us(home)}
    result["cluster_up_s"] = p2px("cluster", "up", "-n", "3", home=home)
    try:
        one_order = [p2px("order", "buy", "0.5@30000", "--node", "client1", home=home) for _ in range(7)]
        result["order_command_s"] = statistics.median(one_order)
        with connect(home, "client1") as client:
            closed_loop(client, orders(200, 1))  # the first ones warm the path
            loops = [closed_loop(client, orders(2000, seed)) for seed in range(runs)]
            for name in loops[0]:
                result[f"closed_loop_{name}"] = statistics.median(loop[name] for loop in loops)
            shapes: list[tuple[str, Callable[[int], float]]] = [
                ("pipelined_per_s", lambda seed: pipelined(client, orders(count, seed), 1, WINDOW)),
                ("batched_100_per_s", lambda seed: pipelined(client, orders(count, seed), 100, 8)),
            ]
            for name, run in shapes:
                result[name] = statistics.median(run(seed) for seed in range(runs))
    finally:
        p2px("cluster", "down", home=home)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=40_000, help="orders in each throughput run")
    parser.add_argument("--runs", type=int, default=3, help="runs of which the median is shown")
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        result = measure(Path(folder), given.orders, given.runs)
    sync = result["fdatasync_us"]
    print(f"disk: median fdatasync of a 4 KiB append {sync:.0f} us")
    for name, value in result.items():
        ratio = f"   {value / sync:5.1f} x fdatasync" if name.endswith("_us") else ""
        print(f"{name:24} {value:12,.3f}{ratio}" if value < 100 else f"{name:24} {value:12,.0f}{ratio}")
    if given.json:
        given.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
