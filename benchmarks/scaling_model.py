"""What many markets on many machines need, by arithmetic and by simulation. Pure: costs in, figures out.

Two models of the same exchange. ``needs`` divides measured work by what there is. ``simulate`` lets orders
arrive by chance (Poisson), and queue for what is scarce: the one core that a node process can use, and the
log that all markets share. Where the two differ, queues are the reason.

    order -> node's core (commit) -> the log: latency, and one server for all markets -> node's core (answer)
                                                                        \\-> cores of the other hosts (apply)

A node has one batch of a market in the log at a time, and whatever arrives meanwhile is the next batch: so
a slow log makes larger batches, not fewer orders, until the cores are full.
"""

import heapq
import random
from collections.abc import Sequence
from itertools import count

import msgspec

MAX_BATCH = 2_000  # orders of one batch: about 256 KiB
SECONDS_A_DAY = 86_400
CORE_SHARE = 0.7  # of a core, for planning: beyond it, waiting grows faster than work
SOON_MS = 100.0  # an append that takes longer makes people wait


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """What one order costs, as measured (``scaling.py measure``). Microseconds are of processor time."""

    commit_order_us: float  # at the node it enters through
    commit_entry_us: float  # there, once a batch
    apply_order_us: float  # at every other node that hosts the market
    apply_entry_us: float
    log_ms: float  # one append alone, as its caller sees it
    log_appends_per_s: float  # of one log engine, all its markets together
    log_bytes: float  # an order, in the log
    history_bytes: float  # an order, at every node that hosts the market
    node_mib: float  # a node process with nothing in its books
    resting_bytes: float  # of memory, one order at rest, with its client order id


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """An exchange to be judged."""

    markets: int
    machines: int
    orders_per_s: float  # of one market, on average
    cores: int = 8  # of one machine, each with one node process
    copies: int = 3  # nodes that host a market
    resting: int = 100_000  # orders in one book
    logs: int = 1  # log engines that the markets are divided among

    @property
    def nodes(self) -> int:
        """Return how many node processes there are."""
        return self.machines * self.cores

    @property
    def hosts(self) -> int:
        """Return how many of them host one market."""
        return min(self.copies, self.nodes)


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What a case takes, if everything is spread evenly and orders arrive like a clock."""

    entries_per_s: float  # appends of all markets to one log engine
    orders_per_entry: float
    append_ms: float  # what one append takes while all wait for the same engine
    cores: float  # of all machines, busy
    core_share: float  # of a node's core, of those nodes that host anything
    memory_gib: float  # of one machine
    log_gib_a_day: float  # of all markets, before trimming

    @property
    def fits(self) -> bool:
        """Say whether cores have room and an order is answered soon."""
        return self.core_share < CORE_SHARE and self.append_ms < SOON_MS


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What a simulation saw. Times in milliseconds, from the order's arrival to its answer."""

    orders: int
    answered_per_s: float
    p50_ms: float
    p99_ms: float
    orders_per_entry: float
    core_share: float  # of the busiest node
    log_share: float
    grows: bool  # far more waited at the end than at half time: this load does not last


def needs(case: Case, costs: Costs) -> Needs:
    """Return the arithmetic of a case. O(1)."""
    hosts = case.hosts
    total = case.markets * case.orders_per_s
    # A lane is one market at one node: it has one batch in the log at a time.
    lanes = case.markets * hosts / case.logs
    wanted = lanes * min(case.orders_per_s / hosts, 1000 / costs.log_ms)
    entries = min(wanted, costs.log_appends_per_s)
    append_ms = costs.log_ms if wanted <= entries else max(costs.log_ms, 1000 * lanes / entries)
    work_us = total * (costs.commit_order_us + (hosts - 1) * costs.apply_order_us)
    work_us += entries * case.logs * (costs.commit_entry_us + (hosts - 1) * costs.apply_entry_us)
    books_mib = case.markets * hosts * case.resting * costs.resting_bytes / 2**20 / case.machines
    return Needs(
        entries_per_s=entries,
        orders_per_entry=total / (entries * case.logs),
        append_ms=append_ms,
        cores=work_us / 1e6,
        core_share=work_us / 1e6 / min(case.nodes, case.markets * hosts),
        memory_gib=(books_mib + case.cores * costs.node_mib) / 1024,
        log_gib_a_day=total * costs.log_bytes * SECONDS_A_DAY / 2**30,
    )


def most_orders(case: Case, costs: Costs) -> float:
    """Return the orders a second of each market up to which the case fits. By bisection."""
    low, high = 0.0, 1e6
    for _ in range(50):
        middle = (low + high) / 2
        tried = msgspec.structs.replace(case, orders_per_s=middle)
        low, high = (middle, high) if needs(tried, costs).fits else (low, middle)
    return low


class _Queue(msgspec.Struct, gc=False):
    """One market at one node: what waits for its next batch."""

    market: int
    node: int
    waiting: list[float]  # when each order arrived
    in_log: bool = False


def simulate(case: Case, costs: Costs, seconds: float, seed: int) -> Run:
    """Run a case for so many simulated seconds, the first fifth of them not counted.

    Deterministic for a seed. O(orders x hosts x log) time; 100,000 orders take about a second.
    """
    chance = random.Random(seed)
    hosts = [_hosts(market, case) for market in range(case.markets)]
    queues = [[_Queue(market, node, []) for node in nodes] for market, nodes in enumerate(hosts)]
    core_free = [0.0] * case.nodes  # when each node's core has done what it was given
    core_busy = [0.0] * case.nodes
    log_free = [0.0] * case.logs
    log_busy = 0.0
    append_s = 1 / costs.log_appends_per_s
    wait_s = costs.log_ms / 1000
    order = count()  # equal times happen in the order they were planned
    events: list[tuple[float, int, int, _Queue, Sequence[float]]] = []
    arrival, appended = 0, 1
    total_rate = case.markets * case.orders_per_s
    measured_from = seconds / 5
    latencies: list[float] = []
    entries = answered = waiting = waited = 0

    def work(node: int, now: float, us: float) -> float:
        begun = max(now, core_free[node])
        core_free[node] = begun + us / 1e6
        core_busy[node] += us / 1e6
        return core_free[node]

    def commit(queue: _Queue, now: float) -> None:
        nonlocal log_busy
        batch = queue.waiting[:MAX_BATCH]
        del queue.waiting[:MAX_BATCH]
        queue.in_log = True
        # Half of the work comes before the log has it (decode, gather), half after (apply, answer, push).
        sent = work(queue.node, now, (costs.commit_entry_us + len(batch) * costs.commit_order_us) / 2)
        log = queue.market % case.logs
        log_free[log] = max(sent, log_free[log]) + append_s
        log_busy += append_s
        durable = max(log_free[log], sent + wait_s)
        heapq.heappush(events, (durable, next(order), appended, queue, batch))

    def arrive(now: float) -> None:
        market = chance.randrange(case.markets)
        queue = chance.choice(queues[market])
        heapq.heappush(events, (now, next(order), arrival, queue, ()))

    arrive(chance.expovariate(total_rate))
    while events:
        now, _, kind, queue, batch = heapq.heappop(events)
        if now > seconds:
            break
        if kind == arrival:
            queue.waiting.append(now)
            waiting += 1
            if now < seconds / 2:
                waited = waiting
            arrive(now + chance.expovariate(total_rate))
            if not queue.in_log:
                commit(queue, now)
            continue
        waiting -= len(batch)
        done = work(queue.node, now, (costs.commit_entry_us + len(batch) * costs.commit_order_us) / 2)
        for node in hosts[queue.market]:
            if node != queue.node:
                work(node, now, costs.apply_entry_us + len(batch) * costs.apply_order_us)
        if now >= measured_from:
            entries += 1
            answered += len(batch)
            latencies += [done - arrived for arrived in batch]
        queue.in_log = False
        if queue.waiting:
            commit(queue, done)
    latencies.sort()
    return Run(
        orders=answered,
        answered_per_s=answered / (seconds - measured_from),
        p50_ms=1000 * _at(latencies, 0.5),
        p99_ms=1000 * _at(latencies, 0.99),
        orders_per_entry=answered / entries if entries else 0.0,
        core_share=min(1.0, max(core_busy) / seconds),
        log_share=min(1.0, log_busy / case.logs / seconds),
        grows=waiting > 1.5 * waited + total_rate / 20,
    )


def _hosts(market: int, case: Case) -> list[int]:
    """Return the nodes that host a market: evenly spread, and on different machines where there are."""
    nodes = []
    for place in range(market * case.hosts, (market + 1) * case.hosts):
        machine, core = place % case.machines, place // case.machines % case.cores
        nodes.append(machine * case.cores + core)
    return nodes


def _at(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))] if values else 0.0
