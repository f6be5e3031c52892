"""``p2px registry``: who is where, asked at any Grape, and a member of our own in the foreground."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from p2pcli.cli.invocation import Invocation
from p2pcli.cli.reach import registry_addresses
from p2pcli.cli.render.table import Column, Table
from p2pcli.cli.verbs import Group
from p2pcli.cluster.folder import not_running
from p2pcli.errors import BadInput, NotFound
from p2pcli.registry.client import RegistryClient
from p2pcli.registry.items import MAX_VALUE

registry = Group("registry", help="Who is where: look up, announce, store; run a member.")


class NotAnnounced(NotFound):
    """Nobody announced that name."""

    code = "not_announced"


class NoSuchItem(NotFound):
    """No member has a value for that key."""

    code = "no_such_item"


def _at(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--registry",
        "at",
        multiple=True,
        metavar="HOST:PORT",
        help="HTTP address of a member to ask; the cluster's own when left out.",
    )(command)


def _client(invocation: Invocation, at: Sequence[str]) -> RegistryClient:
    addresses = list(at) or registry_addresses(invocation, invocation.folder.report())
    if not addresses:
        raise not_running(invocation.folder.name)
    return RegistryClient(addresses, timeout=invocation.config.registry.request_timeout)


@registry.command("lookup", examples=("p2px registry lookup p2px:default:node",))
@click.argument("name")
@_at
@click.pass_obj
def lookup(invocation: Invocation, name: str, at: Sequence[str]) -> None:
    """Print the addresses announced under NAME, one a line."""
    with _client(invocation, at) as client:
        found = [f"{host}:{port}" for host, port in client.lookup(name)]
    if not found:
        raise NotAnnounced(f"nobody announced {name[:60]!a}", hint="p2px registry show")
    screen = invocation.screen
    if screen.is_text:
        screen.lines(found)
    else:
        screen.document({"name": name, "addresses": found})


@registry.command("announce", examples=("p2px registry announce rest:util:net 1337",))
@click.argument("name")
@click.argument("port", type=click.IntRange(1, 65535))
@_at
@click.pass_obj
def announce(invocation: Invocation, name: str, port: int, at: Sequence[str]) -> None:
    """Announce that NAME is served at PORT of this machine, for about two minutes."""
    if not name.strip():
        raise BadInput("NAME is empty", hint="p2px registry announce rest:util:net 1337")
    with _client(invocation, at) as client:
        members = client.announce(name, port)
    screen = invocation.screen
    if screen.is_text:
        screen.lines([f"announced {name} at port {port}: {members} members hold it"])
    else:
        screen.document({"name": name, "port": port, "members": members})


@registry.command("put", examples=("p2px registry put 'hello world'",))
@click.argument("value")
@_at
@click.pass_obj
def put(invocation: Invocation, value: str, at: Sequence[str]) -> None:
    """Store VALUE, at most 1000 bytes, under the key that is printed: its SHA-1."""
    octets = len(value.encode(errors="surrogateescape"))
    if octets > MAX_VALUE:
        raise BadInput(
            f"VALUE has {octets} bytes, the registry keeps at most {MAX_VALUE}",
            hint="put it somewhere else, and store where",
        )
    with _client(invocation, at) as client:
        key = client.put(value)
    screen = invocation.screen
    if screen.is_text:
        screen.lines([key])
    else:
        screen.document({"key": key})


@registry.command("get", examples=("p2px registry get 6d33adc2b6b2c14c3036feefb7fedbca1a880527",))
@click.argument("key")
@_at
@click.pass_obj
def get(invocation: Invocation, key: str, at: Sequence[str]) -> None:
    """Print the value stored under KEY."""
    with _client(invocation, at) as client:
        item = client.get(key)
    if item is None:
        raise NoSuchItem(
            f"no member has a value for {key[:60]!a}", hint="p2px registry put VALUE prints a key"
        )
    screen = invocation.screen
    if screen.is_text:
        screen.lines([str(item.get("v", ""))])
    else:
        screen.document(item)


@registry.command("show", examples=("p2px registry show",))
@_at
@click.pass_obj
def show(invocation: Invocation, at: Sequence[str]) -> None:
    """Show the members, and what the cluster's nodes announced."""
    from p2pcli.cli.reach import node_names
    from p2pcli.node.discovery import node_service_name, service_name

    report = invocation.folder.report()
    cluster = invocation.folder.name
    names = [service_name(cluster), *(node_service_name(cluster, node) for node in node_names(report))]
    with _client(invocation, at) as client:
        announced = {name: [f"{host}:{port}" for host, port in client.lookup(name)] for name in names}
    members = [] if at or not report else report.members
    screen = invocation.screen
    if not screen.is_text:
        screen.document(
            {
                "members": [
                    {
                        "name": m.name,
                        "state": m.state.value,
                        "http": m.addresses.get("http"),
                        "dht": m.addresses.get("dht"),
                    }
                    for m in members
                ],
                "announced": announced,
            }
        )
        return
    if members:
        screen.table(
            Table(
                columns=(Column("MEMBER"), Column("STATE"), Column("HTTP"), Column("DHT")),
                rows=[
                    (m.name, m.state.value, m.addresses.get("http", "-"), m.addresses.get("dht", "-"))
                    for m in members
                ],
            )
        )
    screen.table(
        Table(
            columns=(Column("NAME"), Column("ADDRESSES", wraps=True)),
            rows=[(name, "  ".join(found) or "-") for name, found in announced.items()],
        )
    )


@registry.command(
    "run",
    examples=("p2px registry run --dp 20001 --aph 30001 --bn 127.0.0.1:20002",),
)
@click.option("--dp", type=click.IntRange(0, 65535), default=20001, show_default=True, help="DHT port (UDP).")
@click.option("--aph", type=click.IntRange(0, 65535), default=30001, show_default=True, help="HTTP port.")
@click.option("--bn", default="", metavar="HOST:PORT,...", help="DHT addresses of other members.")
@click.option(
    "-b", "--bind", default="127.0.0.1", show_default=True, metavar="HOST", help="Address to listen on."
)
@click.option("--folder", type=click.Path(file_okay=False), help="Where its identity is kept over restarts.")
@click.pass_obj
def run(invocation: Invocation, dp: int, aph: int, bn: str, bind: str, folder: str | None) -> None:
    """Run one registry member in the foreground until Ctrl-C.

    The option names are those of grape, which it stands in for.
    """
    from p2pcli.cli.foreground import serve
    from p2pcli.registry.process import MemberPlan
    from p2pcli.registry.process import run as member

    plan = MemberPlan(
        name="member",
        folder=folder or str(invocation.config.home / "registry-members" / f"{dp}"),
        http_port=aph,
        dht_port=dp,
        host=bind,
        bootstrap=tuple(address.strip() for address in bn.split(",") if address.strip()),
    )
    serve(invocation.screen, member, plan)
