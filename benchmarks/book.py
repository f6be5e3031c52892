"""How fast matching is by itself: no log, no socket, no disk, one thread.

    python benchmarks/book.py [--parts speed,single,memory,growth] [--flows mixed,heavy,deep] [--runs 5]
                              [--orders N] [--engine-from FILE.py ...]

Flows come from ../shared/workloads when it is there (then every trade is checked against its oracle), else
from the small generator in order_flows.py. Each engine runs in a process of its own, they take turns, and
only the loop over decoded commands is timed, in CPU time, with the garbage collector on. Two figures: the
median of the runs, and "quiet", where each stretch of 5,000 commands counts with its fastest run: on a
machine shared with others that is the one to compare.

    peer      the usual design (peer_book.py): SortedDict of prices, a dict as queue at each
    book      p2pcli.book alone: makers handed back, no ids, no events
    machine   everything a node does to a batch of 100 that it has decoded: hash chain, session, client order
              ids, all rules, outcomes encoded into the digest
    + decode  the same from bytes, as a node does with a batch of another node

With --engine-from, any other Python book takes part; peer_book.py is the example of such a file and says what
it needs. The other parts (book_sizes.py): single commands, memory, and time against the size of the book.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import msgspec
from apart import apart
from book_engines import ENGINES, stretches, tape
from book_sizes import growth, memory, single
from order_flows import Flow, Tape, flow

OURS = tuple(ENGINES)
PARTS = ("speed", "single", "memory", "growth")


def main() -> None:
    """Run what was asked for and print it."""
    options = _options()
    parts = options.parts.split(",")
    with tempfile.TemporaryDirectory(prefix="p2px-bench-") as folder:
        for name in options.flows.split(",") if {"speed", "single"} & set(parts) else ():
            made = flow(name, options.orders)
            path = Path(folder, name)
            path.write_bytes(msgspec.msgpack.encode(made))
            if "speed" in parts:
                print(_compare(made, path, options.runs, (*OURS, *options.engine_from)), flush=True)
            if "single" in parts:
                print(single(path, options.runs), flush=True)
    if "memory" in parts:
        print(memory(), flush=True)
    if "growth" in parts:
        print(growth(), flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the book and the machine.")
    parser.add_argument("--parts", default=",".join(PARTS), help="which, separated by commas")
    parser.add_argument("--flows", default="mixed,heavy,deep", help="which, separated by commas")
    parser.add_argument("--runs", type=int, default=5, help="of each engine")
    parser.add_argument("--orders", type=int, default=0, help="commands per flow; 0: the flow's own size")
    parser.add_argument(
        "--engine-from",
        action="append",
        default=[],
        metavar="FILE.py",
        help="measure the book of this file as well; may be given several times (see peer_book.py)",
    )
    options = parser.parse_args()
    unknown = set(options.parts.split(",")) - set(PARTS)
    if unknown:
        parser.error(f"--parts: {', '.join(sorted(unknown))} is none of {', '.join(PARTS)}")
    return options


def _compare(made: Flow, path: Path, runs: int, engines: tuple[str, ...]) -> str:
    expected = made.oracle or apart(tape, "peer", path)
    verdicts = {name: judge(name, path, expected) for name in engines}
    seconds: dict[str, list[list[float]]] = {name: [] for name in engines if verdicts[name].ends}
    for _ in range(runs):
        for name, each in seconds.items():
            each.append(apart(stretches, name, path))
    count = len(made.operations)
    quiet = {name: count / sum(map(min, zip(*each, strict=True))) for name, each in seconds.items()}
    by = "the oracle" if made.oracle else "the peer"
    lines = [f"{made.name}: {count:,} commands, {expected.trades:,} trades, checked with {by}; collector on"]
    wide = max(9, *(len(_title(name)) for name in engines))
    for name in engines:
        if name not in seconds:
            lines.append(f"  {_title(name):{wide}} {verdicts[name].remark}")
            continue
        median = count / statistics.median(map(sum, seconds[name]))
        lines.append(
            f"  {_title(name):{wide}} {quiet[name] / 1e6:6.3f} M/s quiet  {median / 1e6:6.3f} M/s median"
            f"  {quiet[name] / quiet['peer']:5.2f} x peer  {quiet[name] / quiet['book']:5.2f} x book"
            f"{verdicts[name].remark}"
        )
    return "\n".join(lines)


class Verdict(NamedTuple):
    """What is to be said of an engine's trades (nothing: they are right), and whether it gets to the end."""

    remark: str
    ends: bool = True


def judge(name: str, path: Path, expected: Tape) -> Verdict:
    """Compare an engine's trades with those expected. One of ours must be right; of others it is said."""
    try:
        found = apart(tape, name, path)
    except (Exception, SystemExit) as error:
        if name in OURS:
            raise
        return Verdict(f"does not get to the end: {type(error).__name__}: {str(error)[:200]}", ends=False)
    if found == expected:
        return Verdict("")
    if name in OURS:
        raise SystemExit(f"error: {name} made other trades of {path.name}: {found}, expected {expected}")
    return Verdict(f"  OTHER TRADES: {found.trades:,} of {found.volume:,} lots, not {expected.volume:,}")


def _title(name: str) -> str:
    return name if name in OURS else Path(name).stem


if __name__ == "__main__":
    sys.exit(main())
