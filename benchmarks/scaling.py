"""What many markets on many machines need: the tables of docs/scaling.md.

    python -m benchmarks.scaling                    print the tables, from the costs that were measured
    python -m benchmarks.scaling measure [--log URL] > benchmarks/scaling_costs.json

``measure`` runs ``p2px bench`` against a cluster of its own and solves for the cost of an order and of a
batch from two modes: with one order at a time a batch holds one, pipelined it holds hundreds. ``--log`` is
the etcd cluster that the log's own figures are taken from; without it they are those of SQLite on this disk.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.scaling_model import Case, Costs, most_orders, needs, simulate
from p2pcli.log.entry import Batch, Log
from p2pcli.node.engine import etcd_url, open_log, wipe_log

COSTS = Path(__file__).with_name("scaling_costs.json")
MARKETS, MACHINES = (10, 100, 1000), (3, 10, 30)
USUAL_RATE = 10.0  # orders a second of one market
SEED = 1
RESTING = 100_000  # orders put into a book to weigh them
LANES, LOG_S, BATCH_BYTES = 16, 5.0, 600  # ten orders a batch
P2PX = [sys.executable, "-P", "-m", "p2pcli.cli.main"]


class Measured(msgspec.Struct, frozen=True):
    """The costs and where they come from."""

    costs: Costs
    machine: dict[str, str]
    log: str  # engine of the log's own figures
    measured: str  # the day


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=("tables", "measure"), default="tables")
    parser.add_argument("--log", default="", metavar="URL", help="etcd://host:port,... (measure)")
    parser.add_argument("--today", default="", metavar="DAY", help="written beside the costs (measure)")
    asked = parser.parse_args()
    if asked.what == "measure":
        print(msgspec.json.format(msgspec.json.encode(measured(asked.log, asked.today)), indent=2).decode())
    else:
        print("\n".join(pages(msgspec.json.decode(COSTS.read_bytes(), type=Measured).costs)))


def pages(costs: Costs) -> Iterator[str]:
    """Yield the lines of all tables, as Markdown."""
    for name, table in (("costs", _costs(costs)), ("needs", _needs(costs)), ("bends", _bends(costs))):
        yield f"<!-- scaling: {name} -->"
        yield ""
        yield from table
        yield ""


def _costs(costs: Costs) -> Iterator[str]:
    yield from _head("cost", "measured")
    yield f"| an order, at the node it enters through | {costs.commit_order_us:.1f} us |"
    yield f"| a batch, there | {costs.commit_entry_us:.0f} us |"
    yield f"| an order, at every other node that hosts its market | {costs.apply_order_us:.1f} us |"
    yield f"| a batch, there | {costs.apply_entry_us:.0f} us |"
    yield f"| an append to the log, alone | {costs.log_ms:.1f} ms |"
    yield f"| appends a second that one log takes, of all markets | {costs.log_appends_per_s:,.0f} |"
    yield f"| an order, on the log's disk | {costs.log_bytes:.0f} bytes |"
    yield f"| an order, in the history of each host | {costs.history_bytes:.0f} bytes |"
    yield f"| a node process with empty books | {costs.node_mib:.0f} MiB |"
    yield f"| an order at rest, in the memory of each host | {costs.resting_bytes:.0f} bytes |"


def _needs(costs: Costs) -> Iterator[str]:
    yield from _head(
        "markets", "machines", "busiest core", "append", "orders a batch", "memory", "log a day",
        "most orders/s a market",
    )  # fmt: skip
    for markets in MARKETS:
        for machines in MACHINES:
            case = Case(markets=markets, machines=machines, orders_per_s=USUAL_RATE)
            need = needs(case, costs)
            most = most_orders(case, costs)
            yield (
                f"| {markets:,} | {machines} | {need.core_share:.1%} | {need.append_ms:,.0f} ms "
                f"| {need.orders_per_entry:.1f} | {need.memory_gib:.1f} GiB | {need.log_gib_a_day:.1f} GiB "
                f"| {most:,.0f} |"
            )


def _bends(costs: Costs) -> Iterator[str]:
    yield from _head(
        "markets", "orders/s of each", "logs", "p50", "p99", "orders a batch", "busiest core", "log busy"
    )
    for markets, rate, logs in (
        (10, 10, 1), (10, 100, 1), (10, 1000, 1), (10, 5000, 1),
        (100, 1, 1), (100, 10, 1), (100, 100, 1), (100, 100, 10),
        (1000, 1, 1), (1000, 10, 1), (1000, 10, 10), (1000, 10, 100),
    ):  # fmt: skip
        case = Case(markets=markets, machines=10, orders_per_s=rate, logs=logs)
        lanes_s = 3 * markets / logs / costs.log_appends_per_s  # one round of everybody's appends
        run = simulate(case, costs, max(2.0, 8 * lanes_s), SEED)
        times = "grows | grows" if run.grows else f"{run.p50_ms:,.1f} ms | {run.p99_ms:,.1f} ms"
        yield (
            f"| {markets:,} | {rate:,} | {logs} | {times} | {run.orders_per_entry:.1f} "
            f"| {run.core_share:.0%} | {run.log_share:.0%} |"
        )


def _head(*titles: str) -> Iterator[str]:
    yield "| " + " | ".join(titles) + " |"
    yield "| " + " | ".join("---" for _ in titles) + " |"


# -- measuring ------------------------------------------------------------------------------------


def measured(log: str, today: str) -> Measured:
    """Run the cluster and the log on this machine and return what they cost."""
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {"P2PX_HOME": home}
        closed, pipelined = _bench(
            environment, "--mode", "closed", "--mode", "pipelined", "--orders", "20000"
        )
        _run(environment, "cluster", "up", "-n", "3")
        try:
            before, empty = _bytes(Path(home)), _memory(environment)
            _bench(environment, "--mode", "batched", "--orders", "100", "--resting", str(RESTING))
            after, full = _bytes(Path(home)), _memory(environment)
        finally:
            machine = json.loads(
                _run(environment, "bench", "-o", "json", "--mode", "closed", "--orders", "100")
            )
            _run(environment, "cluster", "down", "--wipe")
    commit_order, commit_entry = _apart(closed, pipelined, ["client1"])
    apply_order, apply_entry = _apart(closed, pipelined, ["client2", "client3"])
    log_ms, appends = _log(log)
    costs = Costs(
        commit_order_us=commit_order,
        commit_entry_us=commit_entry,
        apply_order_us=apply_order,
        apply_entry_us=apply_entry,
        log_ms=log_ms,
        log_appends_per_s=appends,
        log_bytes=(after["log"] - before["log"]) / RESTING,
        history_bytes=(after["history"] - before["history"]) / RESTING / 3,
        node_mib=empty / 2**20,
        resting_bytes=(full - empty) / RESTING,
    )
    return Measured(costs, machine["machine"], log.partition(":")[0] or "sqlite", today)


def _apart(closed: dict[str, Any], pipelined: dict[str, Any], nodes: Sequence[str]) -> tuple[float, float]:
    """Return the microseconds of one order and of one batch, from one order a batch and from many."""
    one = sum(closed["cpu_us"][node] for node in nodes) / len(nodes)
    many = sum(pipelined["cpu_us"][node] for node in nodes) / len(nodes)
    entry = max(0.0, (one - many) / (1 - 1 / pipelined["orders_per_entry"]))
    return max(0.0, one - entry), entry


def _bench(environment: dict[str, str], *options: str) -> list[dict[str, Any]]:
    modes: list[dict[str, Any]] = json.loads(_run(environment, "bench", "-o", "json", *options))["modes"]
    return modes


def _run(environment: dict[str, str], *words: str) -> bytes:
    return subprocess.run([*P2PX, *words], env=environment, check=True, stdout=subprocess.PIPE).stdout


def _bytes(home: Path) -> dict[str, int]:
    """Return what logs and histories take on the disk."""
    files = {"log": "*/data/*/log.db*", "history": "*/nodes/*/*/history.db*"}
    return {name: sum(path.stat().st_size for path in home.glob(pattern)) for name, pattern in files.items()}


def _log(url: str) -> tuple[float, float]:
    """Return the milliseconds of an append alone, and the appends a second of LANES markets together."""
    with tempfile.TemporaryDirectory() as folder:
        url = etcd_url(url, "scaling", "", "", "", "", "", "") if url else f"sqlite://{folder}"
        try:
            alone = _appends(url, 1)
            together = _appends(url, LANES)
        finally:
            wipe_log(url)
    return 1000 / alone, together


def _appends(url: str, lanes: int) -> float:
    """Return appends a second over LOG_S seconds, each lane a market with a writer of its own."""
    batch = b"x" * BATCH_BYTES
    logs = [open_log(url, f"M{lanes}-{lane}", True) for lane in range(lanes)]
    end = time.monotonic() + LOG_S

    def write(log: Log) -> int:
        number = 0
        while time.monotonic() < end:
            number += 1
            log.append(Batch("bench", 1, number, batch), timeout=10)
        return number

    with ThreadPoolExecutor(lanes) as pool:
        total = sum(pool.map(write, logs))
    for log in logs:
        log.close()
    return total / LOG_S


def _memory(environment: dict[str, str]) -> float:
    """Return the bytes that one node process holds, on average."""
    nodes = json.loads(_run(environment, "cluster", "status", "-o", "json"))["nodes"]
    pages = [int(Path(f"/proc/{node['pid']}/statm").read_text().split()[1]) for node in nodes]
    return sum(pages) * os.sysconf("SC_PAGE_SIZE") / len(pages)


if __name__ == "__main__":
    main()
