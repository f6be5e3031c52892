"""Every setting: its name, type, grammar, default and what it is for. Values only.

The one place a setting is written down. The reader, ``p2px config show``, docs/configuration.md,
configs/default.yaml and .env.example all follow from these annotations. A default is text, as a person
would write it, and passes through the same grammar as everything else.
"""

from pathlib import Path
from typing import Annotated, Any

import msgspec

from p2pcli.config.values import (
    ADDRESS,
    CERTIFICATE,
    FILE,
    FLAG,
    FOLDER,
    HOST,
    HOSTING,
    LOG_URL,
    NAME,
    PORT,
    SERVICE,
    SYMBOL,
    AnyKind,
    ListOf,
    choice,
    choice_of,
    decimal,
    octets,
    or_empty,
    percent,
    seconds,
    whole,
)
from p2pcli.market.commands import SelfTrade
from p2pcli.market.instrument import MAX_MARKETS, Instrument

ENVIRONMENT_PREFIX = "P2PX_"

SELF_TRADE = {
    "allow": SelfTrade.ALLOW,
    "cancel-newest": SelfTrade.CANCEL_NEWEST,
    "cancel-oldest": SelfTrade.CANCEL_OLDEST,
    "cancel-both": SelfTrade.CANCEL_BOTH,
}


class Setting(msgspec.Struct, frozen=True):
    """What is known of a setting besides its type."""

    kind: AnyKind
    default: str  # a list's items are separated by commas
    comment: str


class ClusterSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The processes of one cluster."""

    name: Annotated[
        str, Setting(NAME, "default", "Name of the cluster; its state has a folder of this name.")
    ]
    nodes: Annotated[int, Setting(whole(1, 64), "3", "Nodes to start: client1, client2, ...")]
    bots: Annotated[
        int, Setting(whole(0, 10), "0", "Example clients to start with them: bot1, bot2, ..., each trading.")
    ]
    bot_interval: Annotated[
        float, Setting(seconds("10ms", "1h"), "10s", "How long a bot waits between two orders.")
    ]
    host: Annotated[
        str,
        Setting(HOST, "127.0.0.1", "Address that nodes and registry members listen on; loopback by default."),
    ]
    ca: Annotated[
        str,
        Setting(
            CERTIFICATE,
            "",
            "Certificate of the cluster's CA, as `p2px cluster init` writes it; empty: the folder's own.",
        ),
    ]
    hosts: Annotated[
        tuple[tuple[str, tuple[str, ...]], ...],
        Setting(
            ListOf(HOSTING),
            "",
            "Markets of a node; one that is not listed hosts all. In YAML also {client2: [ETH/USD]}.",
        ),
    ]
    environment: Annotated[
        str, Setting(NAME, "development", "Environment name, a field of every log record.")
    ]
    ready_timeout: Annotated[
        float, Setting(seconds("1s", "1h"), "30s", "How long `cluster up` waits until every process answers.")
    ]
    stop_timeout: Annotated[
        float,
        Setting(seconds("100ms", "10m"), "10s", "How long a process may take to stop before it is killed."),
    ]
    health_check_interval: Annotated[
        float, Setting(seconds("100ms", "1h"), "1s", "How often the supervisor asks each process how it is.")
    ]


class MarketDefaults(msgspec.Struct, frozen=True, kw_only=True):
    """What a market gets when its own entry does not say. The fields of an entry have the same names."""

    tick: Annotated[str, Setting(decimal("tick"), "0.01", "Smallest price step.")]
    lot: Annotated[str, Setting(decimal("lot"), "0.00000001", "Smallest quantity step.")]
    max_price: Annotated[str, Setting(decimal("max_price"), "1000000000", "Highest price of an order.")]
    max_quantity: Annotated[
        str, Setting(decimal("max_quantity"), "1000000", "Largest quantity (the amount) of an order.")
    ]
    self_trade: Annotated[
        SelfTrade,
        Setting(choice_of(SELF_TRADE), "allow", "When an order meets one of its own owner (rule M12)."),
    ]
    price_band: Annotated[
        int, Setting(percent(), "0%", "How far from the last trade an order's price may lie; 0%: anywhere.")
    ]
    max_open_orders: Annotated[
        int, Setting(whole(0, 1_000_000_000), "0", "Open orders of one owner; 0: as many as there are.")
    ]
    remembered_ids: Annotated[
        int,
        Setting(whole(1, 10_000_000), "100000", "Client order ids remembered per owner (rule M7)."),
    ]


class LogSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The shared, ordered log of each market."""

    url: Annotated[
        str,
        Setting(
            LOG_URL,
            "sqlite",
            "Where the log is: sqlite (in the cluster's folder), sqlite:///FOLDER, or "
            "etcd://HOST:PORT,HOST:PORT[/PREFIX] with etcd's members.",
        ),
    ]
    ca: Annotated[
        Path | None,
        Setting(FILE, "", "etcd: file of the certificates that sign its members'; with it, TLS is spoken."),
    ]
    cert: Annotated[Path | None, Setting(FILE, "", "etcd: file of the certificate to show, for TLS.")]
    key: Annotated[Path | None, Setting(FILE, "", "etcd: file of that certificate's key.")]
    user: Annotated[str, Setting(or_empty(NAME), "", "etcd: user name; empty: none is asked for.")]
    password_file: Annotated[Path | None, Setting(FILE, "", "etcd: file of that user's password, mode 0600.")]
    durable: Annotated[
        bool,
        Setting(
            FLAG, "true", "false: acknowledged orders may be lost in a power cut; for throw-away clusters."
        ),
    ]
    append_timeout: Annotated[
        float, Setting(seconds("100ms", "10m"), "5s", "How long a node waits for the log to take a batch.")
    ]
    snapshot_commands: Annotated[
        int,
        Setting(
            whole(100, 100_000_000),
            "100000",
            "Snapshot interval: commands between two snapshots of a node; more while more orders rest.",
        ),
    ]


class RegistrySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who is where: our own ring of Grapes, or one that is there already."""

    members: Annotated[
        int, Setting(whole(0, 16), "2", "Members to start with the cluster; 0 with external grapes.")
    ]
    http_ports: Annotated[
        tuple[int, ...],
        Setting(
            ListOf(PORT, 16),
            "30001, 40001",
            "Port of each member's HTTP API; members beyond the list take a free one.",
        ),
    ]
    dht_ports: Annotated[
        tuple[int, ...],
        Setting(ListOf(PORT, 16), "20001, 20002", "Port of each member's DHT (UDP), likewise."),
    ]
    free_ports: Annotated[
        bool, Setting(FLAG, "true", "Take a free port when the one listed is taken; false: that is an error.")
    ]
    grapes: Annotated[
        tuple[str, ...],
        Setting(
            ListOf(ADDRESS, 16), "", "Registry URLs: HTTP APIs of Grapes outside the cluster to announce at."
        ),
    ]
    ring: Annotated[
        tuple[str, ...],
        Setting(
            ListOf(ADDRESS, 16),
            "",
            "DHT addresses (UDP) of members on other machines, to form one ring with.",
        ),
    ]
    exchange_name: Annotated[
        str, Setting(SERVICE, "p2px:exchange", "Service that the nodes announce for Grenache callers.")
    ]
    trades_name: Annotated[
        str, Setting(SERVICE, "p2px:trades", "Grenache services announced so are sent every trade.")
    ]
    announce_interval: Annotated[
        float, Setting(seconds("1s", "30s"), "20s", "How often a node renews its announcement.")
    ]
    request_timeout: Annotated[
        float, Setting(seconds("50ms", "1m"), "2s", "How long a member may take to answer.")
    ]


class NodeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One exchange process and its limits."""

    connections: Annotated[int, Setting(whole(1, 10_000), "256", "Connections open at once.")]
    queued_requests: Annotated[
        int,
        Setting(whole(1, 1_000_000), "10000", 'Commands waiting to be committed; more are answered "busy".'),
    ]
    queued_batches: Annotated[
        int,
        Setting(whole(1, 1_000_000), "1024", "Batches waiting for one peer; beyond that it reads the log."),
    ]
    requests_per_minute: Annotated[
        int, Setting(whole(0, 100_000_000), "0", "Requests of one client in a minute; 0: no limit.")
    ]
    performance_threshold: Annotated[
        float,
        Setting(
            seconds("1ms", "1h", "never"),
            "100ms",
            "A slower operation is logged with its timings; 0s: never.",
        ),
    ]
    metrics_port: Annotated[
        int,
        Setting(
            whole(0, 65535),
            "0",
            "Prometheus port of the first node, the next node has the next; 0: no metrics.",
        ),
    ]
    metrics_host: Annotated[
        str,
        Setting(HOST, "127.0.0.1", "Address that metrics are served at; who reaches it may read them."),
    ]
    grenache_host: Annotated[
        str,
        Setting(
            HOST,
            "127.0.0.1",
            "Address that Grenache callers are served at; they prove nothing, so who reaches it may trade.",
        ),
    ]


class BreakerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The circuit breaker before each peer."""

    failures: Annotated[int, Setting(whole(1, 1000), "5", "Failed sends in a row that open it (threshold).")]
    reset_after: Annotated[
        float, Setting(seconds("10ms", "1h"), "2s", "How long it stays open before one send is tried.")
    ]


class LoggingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the processes write about themselves: JSON lines, one rotating file a process."""

    level: Annotated[
        str, Setting(choice("debug", "info", "warning", "error"), "info", "Records below it are not written.")
    ]
    folder: Annotated[
        Path | None, Setting(FOLDER, "", "Folder of the files; empty: logs in the cluster's folder.")
    ]
    file_size: Annotated[int, Setting(octets("4KiB", "10GiB"), "10MiB", "A file is rotated at this size.")]
    files: Annotated[
        int, Setting(whole(2, 1000), "5", "Files kept for each process, with the one being written.")
    ]


class ClientSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line does when its options do not say."""

    node: Annotated[str, Setting(or_empty(NAME), "", "Node to talk to (--node); empty: any that answers.")]
    market: Annotated[
        str, Setting(or_empty(SYMBOL), "", "The pair to trade (--market); empty: the cluster's first market.")
    ]
    timeout: Annotated[float, Setting(seconds("50ms", "1h"), "5s", "How long to wait for an answer.")]
    output: Annotated[str, Setting(choice("text", "json", "jsonl"), "text", "Form of the output (-o).")]
    color: Annotated[
        str,
        Setting(choice("auto", "always", "never"), "auto", "Colour; auto: on a terminal without NO_COLOR."),
    ]


HOME = "home"
HOME_SETTING = Setting(
    FOLDER,
    "",
    "Folder of all state, one folder a cluster; empty: the user's state folder, ~/.local/state/p2px.",
)

KEY = "key"
KEY_SETTING = Setting(
    FILE,
    "",
    "File with an owner's key (--key): trade as that owner, without the cluster's secret; empty: with it.",
)

SECTIONS: dict[str, Any] = {
    "cluster": ClusterSettings,
    "market_defaults": MarketDefaults,
    "log": LogSettings,
    "registry": RegistrySettings,
    "node": NodeSettings,
    "breaker": BreakerSettings,
    "logging": LoggingSettings,
    "client": ClientSettings,
}

MARKETS = "markets"
MARKETS_SETTING = Setting(
    ListOf(SYMBOL, MAX_MARKETS),
    "BTC/USD",
    "Markets of the cluster, each with its own log and book; the first is traded when none is named. "
    "An entry is a symbol, or a mapping of symbol and any of market_defaults' fields.",
)


class Row(msgspec.Struct, frozen=True):
    """A setting as ``p2px config show`` prints it: its key, its text, and where that came from."""

    key: str
    text: str
    origin: str


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting, valid, with its origin. Pass rooms the settings they use, not this."""

    cluster: ClusterSettings
    markets: tuple[Instrument, ...]  # numbered from 1, at least one
    market_defaults: MarketDefaults
    log: LogSettings
    registry: RegistrySettings
    node: NodeSettings
    breaker: BreakerSettings
    logging: LoggingSettings
    client: ClientSettings
    key: Path | None  # file with an owner's key; absolute
    home: Path  # state of all clusters, one folder each; absolute, perhaps not there yet
    files: tuple[Path, ...]  # configuration files that were read, strongest first
    found: tuple[Row, ...]

    def origin(self, key: str) -> str:
        """Return where the value of ``cluster.nodes``, ``markets.1.tick`` or ``home`` came from.

        Raises ``KeyError`` for a key that is no setting.
        """
        for row in self.found:
            if row.key == key:
                return row.origin
        raise KeyError(key)


def section_settings(section: str) -> dict[str, Setting]:
    """Return the settings of a section by their names in it."""
    fields: dict[str, Any] = SECTIONS[section].__annotations__
    return {name: annotation.__metadata__[0] for name, annotation in fields.items()}


def all_settings() -> dict[str, Setting]:
    """Return every setting by its full key, in the order people read them."""
    table = {HOME: HOME_SETTING, KEY: KEY_SETTING}
    for section in SECTIONS:
        for name, setting in section_settings(section).items():
            table[f"{section}.{name}"] = setting
        if section == "cluster":
            table[MARKETS] = MARKETS_SETTING
    return table


def environment_name(key: str) -> str:
    """Return the environment variable of a setting: ``P2PX_CLUSTER_NODES`` for ``cluster.nodes``."""
    return ENVIRONMENT_PREFIX + key.replace(".", "_").upper()
