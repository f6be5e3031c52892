"""What a node counts of itself, and the text that Prometheus reads. Pure: counts in, text out.

The hot path pays for a bisection and two additions a batch, never for an order: how many orders and trades
there were, the machine knows anyway. Everything else is read when somebody asks. The text is version 0.0.4
of Prometheus' exposition format (https://prometheus.io/docs/instrumenting/exposition_formats/).
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BREAKER_STATES = ("closed", "half-open", "open")

# Upper bounds in seconds: an append is an fsync or several, an apply some microseconds a command.
BOUNDS = (
    *(0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01),
    *(0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)

Labels = tuple[tuple[str, str], ...]
Sample = tuple[str, Labels, float]  # what is added to the metric's name, labels, value


class Histogram:
    """Durations sorted into buckets. One thread observes; any thread may read, at most one batch behind."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)  # by the first bound that is not below; the last has none
        self.total = 0.0  # seconds

    def observe(self, seconds: float) -> None:
        """Count one duration. O(log buckets)."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds


@dataclass(frozen=True, slots=True)
class MarketReading:
    """One market of this node at the moment of the question."""

    symbol: str
    orders: int  # placed since the market began, on all nodes
    trades: int  # likewise
    open_orders: int
    sequence: int  # last entry applied here
    lag: int  # entries that the log has and this node has not applied
    queued_commands: int  # gathered here, not yet appended
    queued_history: int  # entries applied, not yet written to the history file
    committed: int  # commands that entered the log through this process
    busy: int  # requests refused because the queue was full
    append: Histogram
    apply: Histogram


@dataclass(frozen=True, slots=True)
class PeerReading:
    """One peer as this node sees it."""

    peer: str
    is_connected: bool
    state: str  # of the breaker: one of BREAKER_STATES
    failures: int  # in a row
    queued_bytes: int  # pushes on their way to it


@dataclass(frozen=True, slots=True)
class NodeReading:
    """Everything one node says about itself."""

    cluster: str
    node: str
    version: str
    uptime_s: float
    connections: int
    limited: int  # requests refused because their client had sent too many
    markets: Sequence[MarketReading]
    peers: Sequence[PeerReading]


def render(reading: NodeReading) -> str:
    """Return the whole page. O(markets + peers)."""
    info: Labels = (("cluster", reading.cluster), ("node", reading.node), ("version", reading.version))
    lines = [
        *_metric("p2px_node_info", "gauge", "Which node this is; always 1.", [("", info, 1)]),
        *_plain("p2px_uptime_seconds", "gauge", "Since the node began.", round(reading.uptime_s, 3)),
        *_plain("p2px_connections", "gauge", "Clients and peers connected now.", reading.connections),
        *_plain("p2px_limited_requests_total", "counter", "Refused: too many in a minute.", reading.limited),
        *_markets(reading.markets),
        *_peers(reading.peers),
    ]
    return "\n".join(lines) + "\n"


_OF_MARKETS = (
    ("p2px_orders_total", "counter", "Orders placed in the market, on all nodes.", "orders"),
    ("p2px_trades_total", "counter", "Trades of the market, on all nodes.", "trades"),
    ("p2px_open_orders", "gauge", "Orders that rest now.", "open_orders"),
    ("p2px_sequence", "gauge", "Last entry of the log applied here.", "sequence"),
    ("p2px_log_lag", "gauge", "Entries in the log that are not applied here.", "lag"),
    ("p2px_queued_commands", "gauge", "Commands that wait to be appended.", "queued_commands"),
    ("p2px_queued_history", "gauge", "Entries that wait for the history file.", "queued_history"),
    ("p2px_committed_commands_total", "counter", "Commands that entered the log here.", "committed"),
    ("p2px_busy_requests_total", "counter", "Refused: the queue was full.", "busy"),
)
_OF_PEERS = (
    ("p2px_peer_connected", "gauge", "1 while pushes reach the peer.", "is_connected"),
    ("p2px_peer_failures", "gauge", "Failures in a row.", "failures"),
    ("p2px_peer_queued_bytes", "gauge", "Pushes that wait for the peer.", "queued_bytes"),
)


def _markets(markets: Sequence[MarketReading]) -> Iterator[str]:
    for name, kind, meaning, field in _OF_MARKETS:
        yield from _metric(name, kind, meaning, [("", _of(one), getattr(one, field)) for one in markets])
    for name, meaning, field in (
        ("p2px_append_seconds", "From a batch to its place in the durable log.", "append"),
        ("p2px_apply_seconds", "Carrying out one entry, this node's or another's.", "apply"),
    ):
        samples = [sample for one in markets for sample in _buckets(_of(one), getattr(one, field))]
        yield from _metric(name, "histogram", meaning, samples)


def _peers(peers: Sequence[PeerReading]) -> Iterator[str]:
    for name, kind, meaning, field in _OF_PEERS:
        samples: list[Sample] = [("", (("peer", one.peer),), int(getattr(one, field))) for one in peers]
        yield from _metric(name, kind, meaning, samples)
    states: list[Sample] = [
        ("", (("peer", one.peer), ("state", state)), int(one.state == state))
        for one in peers
        for state in BREAKER_STATES
    ]
    yield from _metric("p2px_peer_breaker", "gauge", "1 for the state that the breaker is in.", states)


def _buckets(labels: Labels, histogram: Histogram) -> Iterator[Sample]:
    below = 0
    counts = list(histogram.counts)  # count and +Inf must agree, whatever is observed meanwhile
    for bound, count in zip(BOUNDS, counts, strict=False):
        below += count
        yield "_bucket", (*labels, ("le", f"{bound:g}")), below
    yield "_bucket", (*labels, ("le", "+Inf")), sum(counts)
    yield "_sum", labels, round(histogram.total, 9)
    yield "_count", labels, sum(counts)


def _of(market: MarketReading) -> Labels:
    return (("market", market.symbol),)


def _plain(name: str, kind: str, meaning: str, value: float) -> Iterator[str]:
    return _metric(name, kind, meaning, [("", (), value)])


def _metric(name: str, kind: str, meaning: str, samples: Iterable[Sample]) -> Iterator[str]:
    yield f"# HELP {name} {meaning}"
    yield f"# TYPE {name} {kind}"
    for suffix, labels, value in samples:
        shown = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
        yield f"{name}{suffix}{{{shown}}} {value}" if shown else f"{name}{suffix} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
