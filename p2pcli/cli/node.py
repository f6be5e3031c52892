"""``p2px node``: one node's own description of itself, and what it may be told about its peers."""

import click
import msgspec

from p2pcli.cli.invocation import Invocation
from p2pcli.cli.options import complete_nodes, named
from p2pcli.cli.reach import reach
from p2pcli.cli.render.ink import harmless
from p2pcli.cli.render.node import node_lines, node_markets
from p2pcli.cli.verbs import Group

node = Group(
    "node",
    help="Ask one node how it is; run one more; send one away.",
    rooms={
        "join": ("p2pcli.cli.node_join", "join", "Run one more node of a cluster, in the foreground."),
        "leave": ("p2pcli.cli.node_leave", "leave", "Have a node answer what it took, and go."),
    },
    order=("info", "join", "leave", "reset-breaker"),
)


@node.command("info", examples=("p2px node info client1", "p2px node info client1 -o json"))
@click.argument("name", metavar="NODE", callback=named, shell_complete=complete_nodes)
@click.pass_obj
def info(invocation: Invocation, name: str) -> None:
    """Show a node's process, its markets and what it thinks of its peers."""
    with reach(invocation, name) as client:
        status, instruments = client.status(), client.instruments
    screen = invocation.screen
    if screen.is_text:
        screen.lines(node_lines(status, screen.paint))
        screen.table(node_markets(status, instruments))
    else:
        document = msgspec.structs.asdict(status)
        document["breakers"] = {
            peer: msgspec.structs.asdict(breaker) for peer, breaker in status.breakers.items()
        }
        document["metrics"] = status.metrics or None
        document["markets"] = [
            {**msgspec.structs.asdict(market), "digest": market.digest.hex(), "last_price": None}
            | (
                {"last_price": instruments[market.symbol].price_text(market.last_price)}
                if market.last_price
                else {}
            )
            for market in status.markets
        ]
        screen.document(document)


@node.command(
    "reset-breaker",
    examples=("p2px node reset-breaker client1 client2", "p2px node reset-breaker client1 client2 -o json"),
)
@click.argument("name", metavar="NODE", callback=named, shell_complete=complete_nodes)
@click.argument("peer", metavar="PEER", callback=named, shell_complete=complete_nodes)
@click.pass_obj
def reset_breaker(invocation: Invocation, name: str, peer: str) -> None:
    """Have NODE push to PEER again at once, after it was left alone for failing."""
    with reach(invocation, name) as client:
        breaker = client.reset_breaker(peer)
    screen = invocation.screen
    if screen.is_text:
        screen.lines([f"breaker of {name} before {harmless(peer)} is {breaker.state}"])
    else:
        screen.document({"node": name, "peer": peer, **msgspec.structs.asdict(breaker)})
