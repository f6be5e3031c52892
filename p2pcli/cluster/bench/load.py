"""The four ways to send orders: closed loop, pipelined, batched, and open loop at a fixed rate.

In the open loop a latency counts from the moment the order was meant to leave, so that an exchange that
stalls does not also stop the clock (coordinated omission). Requests are encoded before the clock starts,
sent together when several are due, and their answers only counted: the clients share the machine with the
nodes, and what they cost is not what is measured.
"""

import threading
from array import array
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from p2pcli.clock import monotonic
from p2pcli.cluster.bench.figures import Figures, figures
from p2pcli.errors import P2pxError
from p2pcli.market.commands import ClientCommand
from p2pcli.node.client import ExchangeClient
from p2pcli.node.pipeline import Pipeline
from p2pcli.node.requests import Busy

FRAME = 100  # orders in a frame when batched, unless told otherwise
BATCH_WINDOW = 8  # frames in flight when batched
MODES = ("closed", "pipelined", "batched", "open")
ANSWER_S = 30.0  # after that long without any answer a benchmark has failed


class BenchFailed(P2pxError):
    """An order of the benchmark was not answered; its figures would mean nothing."""

    code = "bench_failed"


class Trader(NamedTuple):
    """One client and the market it trades."""

    client: ExchangeClient
    market: str


class Load:
    """Sends flows of commands through several clients at once."""

    def __init__(self, traders: Sequence[Trader], window: int, batch: int = FRAME) -> None:
        """``window``: requests in flight of each client when pipelined; ``batch``: commands in a frame."""
        self._traders = traders
        self._window = window
        self._batch = batch
        self._pipelines = [Pipeline(trader.client, trader.market) for trader in traders]

    @property
    def acknowledged(self) -> int:
        """Return the highest sequence that the first client was answered."""
        return self._pipelines[0].sequence

    def run(
        self, mode: str, flow: Sequence[ClientCommand], rate: float, count: int = 0, seconds: float = 0.0
    ) -> Figures:
        """Send ``flow`` in one of ``MODES``, split over the clients, each its part again and again.

        It ends after ``count`` commands of all clients together (0: once through the flow), or after
        ``seconds`` if that is not 0. ``rate``: commands a second of all clients together, in the open
        loop. Raises ``BenchFailed``.
        """
        each = len(self._traders)
        total = (count or len(flow)) // each
        done: list[tuple[int, array[float]]] = []
        failures: list[P2pxError] = []
        drives = [
            self._drive(mode, pipeline, flow[number::each], rate / each, total, seconds)
            for number, pipeline in enumerate(self._pipelines)
        ]

        def drive(one: "Drive") -> None:
            try:
                done.append(one.run())
            except P2pxError as error:
                failures.append(error)

        threads = [threading.Thread(target=drive, args=(one,)) for one in drives]
        began = monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = monotonic() - began
        if failures:
            hint = failures[0].hint
            if mode == "open" and isinstance(failures[0], Busy):
                hint = "that is a higher rate than the node takes: try a lower --rate"
            raise BenchFailed(f"{mode}: {failures[0].message}", hint=hint)
        latencies = [latency for _, part in done for latency in part]
        return figures(mode, sum(orders for orders, _ in done), took, latencies)

    def _drive(
        self,
        mode: str,
        pipeline: Pipeline,
        part: Sequence[ClientCommand],
        rate: float,
        total: int,
        seconds: float,
    ) -> "Drive":
        size = self._batch if mode == "batched" else 1
        frames = [
            pipeline.request(number, part[start : start + size])
            for number, start in enumerate(range(0, len(part), size))
        ]
        sizes = [min(size, len(part) - start) for start in range(0, len(part), size)]
        rounds, rest = divmod(total, len(part))
        turns = rounds * len(frames) + -(-rest // size)
        if mode == "open":
            return OpenLoop(pipeline, frames, sizes, turns, seconds, rate)
        window = {"closed": 1, "pipelined": self._window, "batched": BATCH_WINDOW}[mode]
        return Drive(pipeline, frames, sizes, turns, seconds, window)


class Drive:
    """One client's frames, a window of them in flight. Answers come in the order of the requests."""

    def __init__(
        self,
        pipeline: Pipeline,
        frames: list[bytes],
        sizes: list[int],
        turns: int,
        seconds: float,
        window: int,
    ) -> None:
        """Send ``turns`` frames, the given ones again and again, or as many as go into ``seconds``."""
        self._pipeline = pipeline
        self._frames = frames
        self._sizes = sizes  # commands in each frame
        self._turns = turns
        self._seconds = seconds
        self._window = min(window, len(frames))
        self._sent = 0
        self._latencies: array[float] = array("d")

    def run(self) -> tuple[int, "array[float]"]:
        """Return how many commands were answered, and each frame's latency in seconds."""
        began = monotonic()
        sent_at: deque[float] = deque()
        room = self._window
        while True:
            now = monotonic()
            due = 0 if self._is_over(now - began) else min(room, self._turns - self._sent)
            if due:
                sent_at.extend([now] * due)
                self._send(due)
            if not sent_at:
                return self._commands(), self._latencies
            room = len(self._pipeline.answered(now + ANSWER_S))
            now = monotonic()
            self._latencies.extend([now - sent_at.popleft() for _ in range(room)])

    def _is_over(self, elapsed: float) -> bool:
        return bool(self._seconds) and elapsed >= self._seconds

    def _send(self, count: int) -> None:
        start = self._sent % len(self._frames)
        piece = self._frames[start : start + count]
        if len(piece) < count:
            piece += self._frames[: count - len(piece)]
        self._sent += count
        self._pipeline.send(b"".join(piece))

    def _commands(self) -> int:
        rounds, rest = divmod(self._sent, len(self._frames))
        return rounds * sum(self._sizes) + sum(self._sizes[:rest])


class OpenLoop(Drive):
    """One client's frames at a fixed rate, whatever became of those before."""

    def __init__(
        self,
        pipeline: Pipeline,
        frames: list[bytes],
        sizes: list[int],
        turns: int,
        seconds: float,
        rate: float,
    ) -> None:
        if seconds:
            turns = max(1, int(seconds * rate))
        super().__init__(pipeline, frames, sizes, turns, seconds, window=len(frames))
        self._rate = rate

    def run(self) -> tuple[int, "array[float]"]:
        """Send from a thread of its own. Raises what receiving raises; then the sender has ended too."""
        began = monotonic()
        stop = threading.Event()
        failures: list[P2pxError] = []

        def send() -> None:
            try:
                self._send_when_due(began, stop)
            except P2pxError as error:
                failures.append(error)

        sender = threading.Thread(target=send)
        sender.start()
        try:
            while len(self._latencies) < self._turns and not failures:
                count = len(self._pipeline.answered(monotonic() + ANSWER_S))
                elapsed, first = monotonic() - began, len(self._latencies)
                self._latencies.extend(
                    [elapsed - number / self._rate for number in range(first, first + count)]
                )
        finally:
            stop.set()
            sender.join()
        if failures:
            raise failures[0]
        return self._commands(), self._latencies

    def _send_when_due(self, began: float, stop: threading.Event) -> None:
        while self._sent < self._turns and not stop.is_set():
            due = min(self._turns, int((monotonic() - began) * self._rate) + 1) - self._sent
            if due > 0:
                self._send(min(due, len(self._frames)))
            stop.wait(max(0.0, began + self._sent / self._rate - monotonic()))
