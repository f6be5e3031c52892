"""``p2px node join``: one more node for a cluster on this machine, in the foreground."""

from collections.abc import Sequence
from importlib import import_module
from itertools import count

import click
import msgspec

from p2pcli.cli.foreground import serve
from p2pcli.cli.invocation import Invocation
from p2pcli.cli.verbs import Verb
from p2pcli.cluster.briefing import node_plan
from p2pcli.cluster.folder import not_running
from p2pcli.cluster.plan import ClusterPlan, NodeSlot
from p2pcli.errors import BadInput, Conflict, P2pxError
from p2pcli.node.discovery import node_service_name
from p2pcli.registry.client import RegistryClient

MAX_NAME = 64


class NameTaken(Conflict):
    """The cluster has a node of that name already."""

    code = "name_taken"


@click.command(
    "join",
    cls=Verb,
    examples=("p2px node join", "p2px node join --name bob", "p2px --name test node join --name bob"),
)
@click.option("--name", "node", metavar="NAME", help="Its name; the next free clientN when left out.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Its RPC port; any free one when 0.")
@click.option(
    "--registry",
    "members",
    multiple=True,
    metavar="HOST:PORT",
    help="HTTP address of a registry member; the cluster's own when left out.",
)
@click.pass_obj
def join(invocation: Invocation, node: str | None, port: int, members: Sequence[str]) -> None:
    """Run one more node of a cluster on this machine until Ctrl-C.

    It shares the cluster's log, announces itself at the registry, and serves like any other. The
    supervisor does not know it: nothing restarts it.
    """
    folder = invocation.folder
    plan = folder.plan()
    if plan is None:
        raise not_running(folder.name)
    registry = tuple(members) or plan.registry
    name = _checked(plan, node) if node else _free_name(invocation, plan, registry)
    joined = node_plan(msgspec.structs.replace(plan, nodes=(*plan.nodes, NodeSlot(name, port))), folder, name)
    joined = msgspec.structs.replace(
        joined, node=msgspec.structs.replace(joined.node, registry=list(registry))
    )
    invocation.screen.note(f"node {name} joins cluster {folder.name}")
    serve(invocation.screen, import_module(plan.node_program).run, joined)


def _checked(plan: ClusterPlan, name: str) -> str:
    if name in plan.kinds:
        raise NameTaken(
            f"cluster {plan.name} has a process {name} already", hint=f"p2px cluster start {name} starts it"
        )
    if len(name) > MAX_NAME or not all(c.isascii() and (c.isalnum() or c in "-_.") for c in name):
        raise BadInput(
            f"node name {name[:MAX_NAME]!a} is not 1 to {MAX_NAME} letters, digits, dots, - and _",
            hint="p2px node join --name bob",
        )
    return name


def _free_name(invocation: Invocation, plan: ClusterPlan, registry: Sequence[str]) -> str:
    """Return the first clientN that is neither in the plan nor announced."""
    with RegistryClient(list(registry), timeout=invocation.config.registry.request_timeout) as client:
        for number in count(1):
            name = f"client{number}"
            if name in plan.kinds:
                continue
            try:
                if not client.lookup(node_service_name(plan.name, name)):
                    return name
            except P2pxError as error:
                invocation.tell(error.message)
                return name
    raise AssertionError("there is always another number")
