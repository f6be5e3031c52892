"""The cluster file: what other machines and clients must know of a cluster, as ordinary settings. Pure.

It holds no secret. ``p2px cluster up -f FILE`` and ``--config FILE`` read it like any p2px.yaml.
"""

import re
from collections.abc import Iterator, Sequence

from p2pcli.config import Config, Row
from p2pcli.rpc.exposure import ANY

_PLAIN = re.compile(r"[A-Za-z0-9/][A-Za-z0-9_./:%-]*", re.ASCII)

_HEAD = """\
# Cluster {name}, for its other machines and its clients. Nothing in here is secret.
# Written by `p2px cluster init`; read with `p2px cluster up -f FILE` and `--config FILE`.
"""


def cluster_file(config: Config, authority: str, addresses: Sequence[str]) -> str:
    """Return the YAML text. ``addresses`` are this machine's, for a cluster that listens at all of them."""
    cluster, registry = config.cluster, config.registry
    host = next(iter(addresses), cluster.host) if cluster.host == ANY else cluster.host
    grapes = registry.grapes or tuple(f"{host}:{port}" for port in registry.http_ports[: registry.members])
    ring = registry.ring or tuple(f"{host}:{port}" for port in registry.dht_ports[: registry.members])
    lines = [
        "cluster:",
        f"  name: {_text(cluster.name)}",
        f"  host: {_text(cluster.host)}",
        *_hosts(cluster.hosts),
        "  ca: |",
        *(f"    {line}" for line in authority.splitlines()),
        "log:",
        f"  url: {_text(config.log.url)}",
        *_access(config),
        "registry:",
        f"  members: {registry.members}",
        f"  http_ports: {_list(registry.http_ports)}",
        f"  dht_ports: {_list(registry.dht_ports)}",
        "  free_ports: false",
        f"  grapes: {_list(grapes)}",
        f"  ring: {_list(ring)}",
        *_markets(config.found),
    ]
    return _HEAD.format(name=cluster.name) + "\n".join(lines) + "\n"


def _access(config: Config) -> Iterator[str]:
    """Yield what is shown at the log's door, as far as it is set: names of files, none of what is in them."""
    log = config.log
    shown = {"ca": log.ca, "cert": log.cert, "key": log.key, "user": log.user}
    for key, value in {**shown, "password_file": log.password_file}.items():
        if value:
            yield f"  {key}: {_text(str(value))}"


def _hosts(hosts: Sequence[tuple[str, Sequence[str]]]) -> Iterator[str]:
    if hosts:
        yield "  hosts:"
    for name, symbols in hosts:
        yield f"    {_text(name)}: {_list(symbols)}"


def _markets(rows: Sequence[Row]) -> Iterator[str]:
    """Yield each market with every rule: what another machine's defaults say must not matter."""
    yield "markets:"
    for row in rows:
        parts = row.key.split(".")
        if len(parts) == 3 and parts[0] == "markets":
            dash = "-" if parts[2] == "symbol" else " "
            yield f"  {dash} {parts[2]}: {_text(row.text)}"


def _list(items: Sequence[object]) -> str:
    return f"[{', '.join(_text(str(item)) for item in items)}]"


def _text(text: str) -> str:
    """Return a value as YAML; quoted unless it is plainly harmless."""
    if _PLAIN.fullmatch(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
