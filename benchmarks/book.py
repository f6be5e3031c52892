"""How fast matching is by itself: no log, no socket, no disk, one thread.

    python benchmarks/book.py [--flows mixed,heavy,deep] [--runs 5] [--orders N] [--quick]

Flows come from ../shared/workloads when it is there (then every trade is checked against its oracle), else
from the small generator in order_flows.py. Each engine runs in a process of its own, they take turns, and
only the loop over decoded commands is timed, in CPU time. Two figures: the median of the runs, and "quiet",
where each stretch of 5,000 commands counts with its fastest run: on a machine shared with others that is the
one to compare. The peer is the design most published Python books have: a SortedDict of dict queues.

    peer      SortedDict of prices, a dict as queue at each
    book      p2pcli.book alone: makers handed back, no ids, no events
    machine   everything a node does to a batch of 100 that it has decoded: hash chain, session, client order
              ids, all rules, outcomes encoded into the digest
    + decode  the same from bytes, as a node does with a batch of another node

Then the time of single commands, memory of resting orders, and time against the size of the book.
"""

import argparse
import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import msgspec
from book_engines import ENGINES, tape
from order_flows import Flow, flow, resting_orders

from p2pcli.book.book import Book
from p2pcli.book.level import Moment, Owner
from p2pcli.market.commands import Place

STRETCH = 5_000  # commands timed together
PAGE = 4096


def main() -> None:
    """Run what was asked for and print it."""
    options = _options()
    if options.child:
        print(json.dumps(_child(*options.child)))
        return
    with tempfile.TemporaryDirectory(prefix="p2px-bench-") as folder:
        for name in options.flows.split(","):
            made = flow(name, options.orders)
            path = Path(folder, name)
            path.write_bytes(msgspec.msgpack.encode(made))
            print(_compare(made, path, options.runs), flush=True)
        print(_latency(path), flush=True)
    if not options.quick:
        print(_memory(), flush=True)
        print(_growth(), flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the book and the machine.")
    parser.add_argument("--flows", default="mixed,heavy,deep", help="which, separated by commas")
    parser.add_argument("--runs", type=int, default=5, help="of each engine")
    parser.add_argument("--orders", type=int, default=0, help="commands per flow; 0: the flow's own size")
    parser.add_argument("--quick", action="store_true", help="leave out memory and growth")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    return parser.parse_args()


# -- speed ----------------------------------------------------------------------------------------


def _compare(made: Flow, path: Path, runs: int) -> str:
    seconds: dict[str, list[list[float]]] = {name: [] for name in ENGINES}
    for _ in range(runs):
        for name in ENGINES:
            seconds[name].append(_in_a_process("speed", name, str(path)))
    count = len(made.operations)
    lines = [f"{made.name}: {count:,} commands{_checked(made)}"]
    quiet = {name: count / sum(map(min, zip(*each, strict=True))) for name, each in seconds.items()}
    for name, each in seconds.items():
        median = count / statistics.median(map(sum, each))
        lines.append(
            f"  {name:9} {quiet[name] / 1e6:6.3f} M/s quiet  {median / 1e6:6.3f} M/s median"
            f"  {quiet[name] / quiet['peer']:5.2f} x peer  {quiet[name] / quiet['book']:5.2f} x book"
        )
    return "\n".join(lines)


def _checked(made: Flow) -> str:
    found = {name: tape(name, made) for name in ("peer", "book", "machine")}
    expected = made.oracle or found["peer"]
    for name, each in found.items():
        if each != expected:
            raise SystemExit(f"error: {name} made other trades of {made.name}: {each}, expected {expected}")
    by = "the oracle" if made.oracle else "the peer"
    return f", {expected.trades:,} trades, all as {by} says"


def _in_a_process(*what: str) -> list[float]:
    """Return what a fresh process measures, so that no engine pays for another's heap."""
    command = [sys.executable, __file__, "--child", *what]
    done = subprocess.run(command, check=True, capture_output=True)
    return json.loads(done.stdout)


def _child(what: str, *arguments: str) -> list[float]:
    if what == "speed":
        return _stretches(*arguments)
    if what == "latency":
        return _single_commands(*arguments)
    if what == "memory":
        return _resting_memory(*map(int, arguments))
    return _churn(int(arguments[0]))


def _stretches(engine: str, path: str) -> list[float]:
    """Return the seconds of each stretch. What belongs to decoding happens between them."""
    operations = msgspec.msgpack.decode(Path(path).read_bytes(), type=Flow).operations
    gc.collect()
    gc.freeze()  # the operations are not the engine's garbage
    prepare, run = ENGINES[engine]()
    seconds = []
    for start in range(0, len(operations), STRETCH):
        ready = prepare(operations[start : start + STRETCH])
        began = time.process_time()
        run(ready)
        seconds.append(time.process_time() - began)
    return seconds


# -- single commands ------------------------------------------------------------------------------


def _latency(path: Path) -> str:
    each = _in_a_process("latency", str(path))
    shown = "  ".join(f"{name} {value:.1f} us" for name, value in zip(LATENCIES, each, strict=True))
    return f"one command of {path.name}, book alone, collector off: {shown}"


LATENCIES = ("p50", "p99", "p99.9", "max")


def _single_commands(path: str) -> list[float]:
    operations = msgspec.msgpack.decode(Path(path).read_bytes(), type=Flow).operations
    prepare, run = ENGINES["book"]()
    gc.disable()
    times = []
    for start in range(0, len(operations), STRETCH):
        ready = prepare(operations[start : start + STRETCH])
        for one in ready:
            began = time.perf_counter_ns()
            run((one,))
            times.append(time.perf_counter_ns() - began)
    times.sort()
    last = len(times) - 1
    return [times[int(last * share)] / 1000 for share in (0.5, 0.99, 0.999, 1)]


# -- memory and growth ----------------------------------------------------------------------------


def _memory() -> str:
    lines = ["memory of 1,000,000 resting orders, everything counted"]
    for levels in (1_000, 100_000, 1_000_000):
        (mebibytes,) = _in_a_process("memory", "1000000", str(levels))
        lines.append(f"  at {levels:9,} prices  {mebibytes:4.0f} MiB")
    return "\n".join(lines)


def _resting_memory(orders: int, levels: int) -> list[float]:
    book, owner, now = Book(), Owner("client1"), Moment(1, 1)
    before = _resident()
    for number, place in enumerate(resting_orders(orders, levels), start=1):
        book.place(number, owner, place, place.quantity, now)
    return [(_resident() - before) / 2**20]


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def _growth() -> str:
    lines = ["cancel one and place another, in a book of n orders at n / 2 prices"]
    for orders in (1_000, 10_000, 100_000, 1_000_000):
        (nanoseconds,) = _in_a_process("churn", str(orders))
        lines.append(f"  n = {orders:9,}  {nanoseconds:6.0f} ns a command")
    return "\n".join(lines)


def _churn(orders: int) -> list[float]:
    book, owner, now = Book(), Owner("client1"), Moment(1, 1)
    source = resting_orders(orders + 200_000, orders // 2)
    for number, place in enumerate(islice(source, orders)):
        book.place(number, owner, place, place.quantity, now)
    gc.collect()
    gc.freeze()
    return [_fastest(lambda: _replace(book, owner, now, source, orders)) / 20_000 * 1e9]


def _fastest(run: Callable[[], float]) -> float:
    return min(run() for _ in range(10))


def _replace(book: Book, owner: Owner, now: Moment, source: Iterator[Place], orders: int) -> float:
    oldest = min(owner.orders)
    fresh = [next(source) for _ in range(10_000)]
    began = time.process_time()
    for number, place in enumerate(fresh, start=oldest):
        book.cancel(owner, number)
        book.place(number + orders, owner, place, place.quantity, now)
    return time.process_time() - began


if __name__ == "__main__":
    main()
