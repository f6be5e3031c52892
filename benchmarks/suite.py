"""Every benchmark one after the other, kept in one file with the facts of the machine.

    python -m benchmarks.suite [--quick] [--only NAME] [--folder DIR] [--compare FILE]

``make bench`` runs it; results go to ``bench-results/``, which git ignores. With --compare, the ratios of the
whole exchange to those in an earlier file.
"""

import argparse
import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from p2pcli.cluster.bench.figures import Result, ratios
from p2pcli.cluster.bench.machine import facts, fdatasync_us

ROOT = Path(__file__).parents[1]
# What each is called with, in full and in a hurry. Those that print JSON say so; of others the text is kept.
BENCHMARKS: dict[str, tuple[list[str], list[str], list[str]]] = {
    "book": (["benchmarks/book.py"], [], ["--parts", "speed,single", "--orders", "20000", "--runs", "1"]),
    "log": (["-m", "benchmarks.log", "--json"], [], ["--seconds", "0.3", "--repeat", "1"]),
    "wire": (["-m", "benchmarks.wire", "--json"], [], ["--rounds", "3"]),
    "registry": (["benchmarks/registry.py", "--only", "ours"], [], ["--seconds", "0.2", "--rounds", "1"]),
    "restart": (["-m", "benchmarks.restart", "--json"], [], ["--commands", "50000"]),
    "exchange": (["-m", "benchmarks.exchange", "--json"], [], ["--quick"]),
}


def run(name: str, quick: bool) -> Any:
    """Run one benchmark, showing what it says; return its JSON documents, or its lines when it has none."""
    command, full, hurried = BENCHMARKS[name]
    print(f"-- {name}", flush=True)
    process = subprocess.Popen(
        [sys.executable, *command, *(hurried if quick else full)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip())
        if not line.startswith("{"):
            print(line, end="", flush=True)
    if process.wait():
        raise SystemExit(f"error: {name} ended with {process.returncode}")
    documents = [json.loads(line) for line in lines if line.startswith("{")]
    if name != "exchange":
        for document in documents:
            print(json.dumps(document, indent=1))
    return (documents[0] if len(documents) == 1 else documents) if documents else lines


def compare(now: dict[str, Any], before: dict[str, Any]) -> None:
    """Print now / before for every case of the whole exchange that both have."""
    for case, result in now.get("exchange", {}).items():
        earlier = before.get("exchange", {}).get(case)
        if earlier is None or "modes" not in result:
            continue
        for ratio in ratios(msgspec.convert(result, Result), msgspec.convert(earlier, Result)):
            print(
                f"{case:28} {ratio.mode:10} {ratio.orders_per_s:5.2f} x orders/s  {ratio.p50:5.2f} x p50"
                f"  {ratio.p99:5.2f} x p99  {ratio.cpu:5.2f} x processor time"
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="about a minute: to see that everything runs")
    parser.add_argument("--only", action="append", choices=list(BENCHMARKS), help="repeat for more")
    parser.add_argument("--folder", type=Path, default=ROOT / "bench-results")
    parser.add_argument("--compare", type=Path, metavar="FILE")
    given = parser.parse_args()
    before = json.loads(given.compare.read_bytes()) if given.compare else None
    given.folder.mkdir(exist_ok=True)
    began = datetime.now(UTC)
    median, p99 = fdatasync_us(given.folder)
    machine = facts() | {
        "fdatasync_us": f"{median:.0f}",
        "fdatasync_p99_us": f"{p99:.0f}",
        "commit": _commit(),
    }
    result: dict[str, Any] = {"at": began.isoformat(timespec="seconds"), "machine": machine}
    for name, value in machine.items():
        print(f"{name:18} {value}")
    for name in given.only or BENCHMARKS:
        start = time.monotonic()
        result[name] = run(name, given.quick)
        result.setdefault("took_s", {})[name] = round(time.monotonic() - start, 1)
    path = given.folder / f"{began:%Y%m%d-%H%M%S}{'-quick' if given.quick else ''}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    if before is not None:
        compare(result, before)
    print(f"kept in {path}")


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
