"""Single commands of the book, the memory of resting orders, and time against the size of the book.

Parts of ``benchmarks/book.py``; each measurement is made in a process of its own.
"""

import gc
import math
import random
import statistics
import time
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import msgspec
from apart import apart
from book_engines import ENGINES, STRETCH
from order_flows import MIDDLE, Flow, resting_orders

from p2pcli.book.book import Book
from p2pcli.book.level import Moment, Owner
from p2pcli.market.commands import Place

PAGE = 4096
MOST_P99 = 20  # microseconds
MOST_MEMORY = 400  # MiB for 10^6 orders
SIZES = (1_000, 10_000, 100_000, 1_000_000, 3_000_000)
ROUND = 10_000  # orders replaced, or keys looked up, together
ROUNDS = 10  # the fastest counts
NEAR = 500  # ticks from the middle

# -- single commands ------------------------------------------------------------------------------

SHARES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}


def single(path: Path, runs: int) -> str:
    """Return how long single commands of a flow take: the median of the runs for each percentile."""
    each = [apart(single_commands, path) for _ in range(runs)]
    middle = {name: statistics.median(run[name] for run in each) for name in SHARES}
    shown = "  ".join(f"{name} {value:.1f} us" for name, value in middle.items())
    return f"one command of {path.name}, book alone, collector off: {shown}  (wanted: p99 under {MOST_P99})"


def single_commands(path: Path) -> dict[str, float]:
    """Return percentiles of the microseconds that a command takes, a clock read at each end included."""
    operations = msgspec.msgpack.decode(path.read_bytes(), type=Flow).operations
    prepare, run = ENGINES["book"].engine()
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
    return {name: times[int(last * share)] / 1000 for name, share in SHARES.items()}


# -- memory ---------------------------------------------------------------------------------------


def memory() -> str:
    """Return what a million resting orders take, at few, many and all different prices."""
    lines = [f"memory of 1,000,000 resting orders, everything counted (wanted: under {MOST_MEMORY} MiB)"]
    for levels in (1_000, 100_000, 1_000_000):
        lines.append(f"  at {levels:9,} prices  {apart(resting_memory, 1_000_000, levels):4.0f} MiB")
    return "\n".join(lines)


def resting_memory(orders: int, levels: int) -> float:
    """Return MiB by which a process grows: commands, orders, owner's table, levels and ladders."""
    book, owner, now = Book(), Owner("client1"), Moment(1, 1)
    before = _resident()
    _place(book, owner, now, resting_orders(orders, levels), 1)
    return (_resident() - before) / 2**20


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


# -- growth ---------------------------------------------------------------------------------------


def growth() -> str:
    """Return the time of a command against the number of resting orders, beside what log n would give.

    Time grows with the steps to take, which is what log n is about, and with the way to memory: what a dict
    of as many keys needs for one key at random, which takes the same few steps at every size, says how much
    longer that gets. Near the best prices, where nearly all of a market happens, it hardly matters.
    """
    lines = [
        "cancel one order and place another, with n orders at n / 2 prices: ns a command, collector on",
        "          n   near the best prices     anywhere in the book     one key of a dict of n     log n",
    ]
    measured = [(apart(churn, size, True), apart(churn, size, False), apart(one_key, size)) for size in SIZES]
    for size, figures in zip(SIZES, measured, strict=True):
        columns = [
            f"{figure:8.0f} (x{figure / first:5.2f})        "
            for figure, first in zip(figures, measured[0], strict=True)
        ]
        lines.append(f"  {size:9,}{''.join(columns)}  (x{math.log(size) / math.log(SIZES[0]):5.2f})")
    near, anywhere, _ = zip(*measured, strict=True)
    return "\n".join([*lines, _line("near the best prices", near), _line("anywhere in the book", anywhere)])


def _line(name: str, nanoseconds: tuple[float, ...]) -> str:
    """Return the line through the figures over the logarithm of n."""
    doublings = [math.log2(size) for size in SIZES]
    fit = statistics.linear_regression(doublings, nanoseconds)
    first = fit.intercept + fit.slope * doublings[0]
    return (
        f"  {name}: {first:.0f} ns at n = {SIZES[0]:,} and {fit.slope:.0f} ns more per doubling"
        f" ({first / doublings[0]:.0f} would be log n)"
    )


def churn(orders: int, near: bool) -> float:
    """Return nanoseconds a command, where orders are replaced near the middle or anywhere in the book."""
    book, owner, now = Book(), Owner("client1"), Moment(1, 1)
    places = resting_orders(orders + ROUND * ROUNDS, orders // 2)
    _place(book, owner, now, islice(places, orders), 1)
    oldest, behind = 1, orders  # the order that goes first, and how many after it comes the one in its stead
    if near:
        oldest, behind = orders + 1, NEAR
        places = resting_orders(behind + ROUND * ROUNDS, 2 * NEAR)
        _place(book, owner, now, islice(places, behind), oldest)
    gc.collect()
    gc.freeze()
    return min(
        _replaced(book, owner, now, list(islice(places, ROUND)), oldest + ROUND * at, behind)
        for at in range(ROUNDS)
    )


def _place(book: Book, owner: Owner, now: Moment, places: Iterable[Place], first: int) -> None:
    for number, place in enumerate(places, first):
        book.place(number, owner, place, place.quantity, now)


def _replaced(book: Book, owner: Owner, now: Moment, places: list[Place], oldest: int, behind: int) -> float:
    began = time.process_time()
    for number, place in enumerate(places, oldest):
        book.cancel(owner, number)
        book.place(number + behind, owner, place, place.quantity, now)
    return (time.process_time() - began) / (2 * len(places)) * 1e9


def one_key(keys: int) -> float:
    """Return nanoseconds to find one key at random in a dict, whose keys lie anywhere in memory."""
    chance = random.Random(keys)
    shuffled = list(range(MIDDLE, MIDDLE + keys))
    chance.shuffle(shuffled)
    table = dict.fromkeys(shuffled)
    return min(_found(table, chance.sample(shuffled, min(keys, ROUND))) for _ in range(ROUNDS))


def _found(table: dict[int, None], keys: list[int]) -> float:
    began = time.process_time()
    for key in keys:
        table[key]
    return (time.process_time() - began) / len(keys) * 1e9
