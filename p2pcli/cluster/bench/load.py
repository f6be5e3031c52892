"""The four ways to send orders: closed loop, pipelined, batched, and open loop at a fixed rate.

In the open loop a latency counts from the moment the order was meant to leave, so that an exchange that
stalls does not also stop the clock (coordinated omission).
"""

import os
import random
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from p2pcli.clock import monotonic
from p2pcli.cluster.bench.figures import Figures, figures
from p2pcli.errors import P2pxError
from p2pcli.market.commands import Place, Side
from p2pcli.node.client import ExchangeClient
from p2pcli.node.requests import Fault, as_error

SYNCS = 200
FRAME = 100  # orders in a frame when batched
BATCH_WINDOW = 8  # frames in flight when batched
MODES = ("closed", "pipelined", "batched", "open")


class BenchFailed(P2pxError):
    """An order of the benchmark was not answered; its figures would mean nothing."""

    code = "bench_failed"


def fdatasync_us(folder: Path) -> float:
    """Return the median time of one fdatasync after a 4 KiB append in ``folder``, in microseconds."""
    path = folder / "sync-probe"
    times = []
    with path.open("wb", buffering=0) as file:
        for _ in range(SYNCS):
            file.write(bytes(4096))
            began = monotonic()
            os.fdatasync(file.fileno())
            times.append(monotonic() - began)
    path.unlink()
    return sorted(times)[SYNCS // 2] * 1e6


def cpu_seconds(pid: int) -> float:
    """Return the processor time a process has used, 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime and stime, proc(5)


def orders(count: int, seed: int, around: int, lots: int) -> list[Place]:
    """Return a random flow around a price in ticks; about a third of the orders trade at once."""
    rng = random.Random(seed)
    flow = []
    for _ in range(count):
        side = Side.BUY if rng.random() < 0.5 else Side.SELL
        away = rng.randrange(-20, 40)
        price = around - away if side is Side.BUY else around + away
        flow.append(Place(side, rng.randrange(1, 100) * lots, max(1, price)))
    return flow


class Load:
    """Sends flows of orders to one market through several clients at once."""

    def __init__(self, clients: Sequence[ExchangeClient], market: str, window: int) -> None:
        self._clients = clients
        self._market = market
        self._window = window

    def run(self, mode: str, flow: list[Place], rate: float) -> Figures:
        """Send ``flow``, split over the clients, in one of ``MODES``. Raises ``BenchFailed``.

        ``rate``: orders a second of all clients together, in the open loop.
        """
        ways: dict[str, Callable[[ExchangeClient, list[Place]], list[float]]] = {
            "closed": self._closed,
            "pipelined": lambda client, part: self._pipelined(client, part, 1, self._window),
            "batched": lambda client, part: self._pipelined(client, part, FRAME, BATCH_WINDOW),
            "open": lambda client, part: self._open(client, part, rate / len(self._clients)),
        }
        way = ways[mode]
        latencies: list[float] = []
        failures: list[P2pxError] = []

        def drive(client: ExchangeClient, part: list[Place]) -> None:
            try:
                latencies.extend(way(client, part))
            except P2pxError as error:
                failures.append(error)

        threads = [
            threading.Thread(target=drive, args=(client, flow[number :: len(self._clients)]))
            for number, client in enumerate(self._clients)
        ]
        began = monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = monotonic() - began
        if failures:
            raise BenchFailed(f"{mode}: {failures[0].message}", hint=failures[0].hint)
        return figures(mode, len(flow), seconds, latencies)

    def _closed(self, client: ExchangeClient, flow: list[Place]) -> list[float]:
        latencies = []
        for order in flow:
            began = monotonic()
            client.submit(self._market, [order])
            latencies.append(monotonic() - began)
        return latencies

    def _pipelined(self, client: ExchangeClient, flow: list[Place], frame: int, window: int) -> list[float]:
        frames = [flow[start : start + frame] for start in range(0, len(flow), frame)]
        sent: deque[float] = deque()
        latencies: list[float] = []
        for part in frames:
            if len(sent) >= window:
                latencies.append(_answered(client) - sent.popleft())
            sent.append(monotonic())
            client.send(self._market, part)
        while sent:
            latencies.append(_answered(client) - sent.popleft())
        return latencies

    def _open(self, client: ExchangeClient, flow: list[Place], rate: float) -> list[float]:
        began = monotonic()
        never = threading.Event()

        def send() -> None:
            for number, order in enumerate(flow):
                wait = began + number / rate - monotonic()
                if wait > 0:
                    never.wait(wait)
                client.send(self._market, [order])

        sender = threading.Thread(target=send)
        sender.start()
        latencies = [_answered(client) - (began + number / rate) for number in range(len(flow))]
        sender.join()
        return latencies


def _answered(client: ExchangeClient) -> float:
    reply = client.next_reply()
    if isinstance(reply, Fault):
        raise as_error(reply)
    return monotonic()
