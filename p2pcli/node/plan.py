"""What a node process is told at its start: its name, its places, its limits. Values only."""

import msgspec

from p2pcli.market.instrument import Instrument


class NodePlan(msgspec.Struct, frozen=True):
    """Everything one node needs to run. Made by the floor above; carried to the process by value."""

    cluster: str
    name: str  # also the owner of orders whose clients name none
    folder: str  # this node's own files: history, snapshots
    log: str  # "sqlite:///abs/folder": one folder a market beneath it
    markets: list[Instrument]  # every one of the cluster
    secret_path: str  # file with the cluster's secret, mode 0600
    registry: list[str] = []  # HTTP addresses "host:port" of Grapes; may be empty
    host: str = "127.0.0.1"
    port: int = 0  # 0: a free one
    durable: bool = True  # False: no fsync, for a cluster that is thrown away
    connections: int = 256  # clients and peers at once
    breaker_failures: int = 5  # failures in a row that open a peer's breaker
    breaker_reset_s: float = 2.0
    announce_s: float = 20.0  # how often this node repeats its announcements
    queued_commands: int = 10_000  # waiting to be appended to one market's log; more is "busy"
    queued_batches: int = 1024  # waiting for one peer; beyond that it reads the log
    append_timeout_s: float = 5.0  # longest wait for the log to take a batch
    registry_timeout_s: float = 2.0  # longest wait for one registry to answer
    snapshot_commands: int = 100_000  # commands between two snapshots
    requests_per_minute: int = 0  # of one owner; 0: no limit
    slow_s: float = 0.1  # a commit or read that takes longer is logged with its timings; 0: none is
    metrics_port: int | None = None  # of /metrics and /health; 0: a free one, None: there are none
    metrics_host: str = "127.0.0.1"
    tls: str = ""  # folder of the cluster's certificates; "": plain TCP, and then only on loopback
    hosts: list[str] = []  # symbols of the markets that this node has itself; none: all of them
    long_log: int = 10_000  # entries; a node that has none of a longer log takes a peer's snapshot first
