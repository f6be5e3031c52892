"""How long a node takes to serve again: from a log of so many commands alone, and from a snapshot.

    python -m benchmarks.restart [--json] [--commands N] [--batch N]

The log is written as a node writes it, only not synced. "First" has no history file and writes it anew;
"again" has one; "snapshot" has a snapshot as well, as a node takes it every 100,000 commands.
"""

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from p2pcli.cluster.bench.flow import orders, swept
from p2pcli.log.entry import MAX_NUMBER, Batch, new_epoch
from p2pcli.log.sqlite import SqliteLog
from p2pcli.market.instrument import UNITS, Instrument, as_define
from p2pcli.node.body import encode_body
from p2pcli.node.hosted import HostedMarket
from p2pcli.node.plan import NodePlan
from p2pcli.node.requests import encode

BTC = Instrument("BTC/USD", 1, UNITS // 100, 1, 10**9, 10**13)
FLOW = 20_000
STEP_NS = 1_000_000  # between two entries


def write_log(folder: Path, commands: int, batch: int) -> int:
    """Write a log of that many commands; return how many entries it has."""
    epoch = new_epoch(0, 1)
    flow = swept(orders(FLOW, 1, 3_000_000, 1_000_000))
    flow += flow[:batch]
    with SqliteLog(folder, durable=False) as log:

        def append(number: int, these: list) -> None:
            raw = msgspec.Raw(encode(these))
            body = encode_body(number * STEP_NS, [("client1", raw)])
            log.append(Batch("client1", epoch, number, body), 5)

        append(1, [as_define(BTC)])
        for number in range(commands // batch):
            start = number * batch % FLOW
            append(number + 2, flow[start : start + batch])
        return log.last()


def recovered(plan: NodePlan) -> tuple[float, HostedMarket]:
    """Return the seconds until the market could serve, and the market."""
    began = time.perf_counter()
    market = HostedMarket(plan, BTC, _thread)
    market.recover(_nobody, threading.Event())
    return time.perf_counter() - began, market


def _thread(name: str, loop: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=loop, name=name, daemon=True)
    thread.start()
    return thread


def _nobody(symbol: str) -> bytes:
    raise AssertionError(f"the log of {symbol} begins at 1: no peer is asked")


def measure(commands: int, batch: int) -> dict[str, float]:
    """Return the figures of one log."""
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as name:
        folder = Path(name)
        log = f"sqlite://{folder}/log"
        found: dict[str, float] = {"commands": commands, "batch": batch}
        found["entries"] = write_log(folder / "log" / "BTC-USD", commands, batch)
        plan = NodePlan(
            "bench", "client1", str(folder / "client1"), log, [BTC], "", durable=False, long_log=MAX_NUMBER
        )
        found["first_s"], market = recovered(plan)
        sequence, state = market.replica.snapshot()
        market.stop()
        found["again_s"], market = recovered(plan)
        market.snapshots.save(state, sequence)
        market.stop()
        found["snapshot_s"], market = recovered(plan)
        market.stop()
        return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    parser.add_argument("--commands", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=250, help="commands of an entry")
    given = parser.parse_args()
    found = measure(given.commands, given.batch)
    if given.json:
        print(json.dumps(found))
    else:
        print(f"{found['commands']:,.0f} commands in {found['entries']:,.0f} entries")
        for name in ("first", "again", "snapshot"):
            print(f"  {name:10} {found[f'{name}_s']:7.2f} s")


if __name__ == "__main__":
    main()
