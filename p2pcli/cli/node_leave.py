"""``p2px node leave``: a node answers what it took, takes no more, and goes."""

from time import sleep

import click

from p2pcli.cli.invocation import Invocation
from p2pcli.cli.options import as_seconds, complete_nodes, named
from p2pcli.cli.reach import node_names, reach
from p2pcli.cli.verbs import Verb
from p2pcli.clock import monotonic
from p2pcli.cluster.control import Control
from p2pcli.errors import P2pxError, TimedOut
from p2pcli.node.client import ExchangeClient
from p2pcli.rpc.tcp import PeerUnreachable

LOOK_S = 0.05  # between two looks whether it is gone


class StillLeaving(TimedOut):
    """The node was told to leave and is not gone yet."""

    code = "still_leaving"


@click.command("leave", cls=Verb, examples=("p2px node leave bob", "p2px node leave client4 --timeout 1m"))
@click.argument("name", metavar="NODE", callback=named, shell_complete=complete_nodes)
@click.option(
    "--timeout", callback=as_seconds, default="30s", show_default=True, metavar="TIME", help="At most."
)
@click.pass_obj
def leave(invocation: Invocation, name: str, timeout: float) -> None:
    """Have a node answer the orders it took, take no more, and end.

    Clients go on through other nodes. A node that joined has left for good: nothing of the log is kept for
    it any more. One that this machine's supervisor runs is stopped, as by p2px cluster stop.
    """
    screen = invocation.screen
    if name in node_names(invocation.folder.report()):
        with Control(invocation.folder) as control:
            control.stop_node(name, timeout)
        said, state = f"node {name} is stopped; p2px cluster start {name} starts it again", "stopped"
    else:
        _send_away(invocation, name, timeout)
        said, state = f"node {name} has left cluster {invocation.folder.name}", "left"
    if screen.is_text:
        screen.lines([said])
    else:
        screen.document({"node": name, "state": state})


def _send_away(invocation: Invocation, name: str, timeout: float) -> None:
    """Tell the node, and return once nothing answers under its name where it was."""
    deadline = monotonic() + timeout
    with reach(invocation, name) as client:
        host, _, port = client.address.rpartition(":")
        client.leave()
    while True:
        try:
            with ExchangeClient(host, int(port), invocation.folder.credentials(), timeout=1.0) as other:
                if other.node != name:
                    return
        except PeerUnreachable:
            return
        except P2pxError as error:
            invocation.tell(error.message)
        if monotonic() > deadline:
            raise StillLeaving(
                f"node {name} at {host}:{port} is not gone after {timeout:g} s", hint=f"p2px node info {name}"
            )
        sleep(LOOK_S)
