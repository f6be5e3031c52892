"""``p2px log move``: the log goes to another place, such as from one machine's disk to etcd."""

import click
import msgspec

from p2pcli.cli.invocation import TYPED, Invocation
from p2pcli.cli.options import as_seconds
from p2pcli.cli.verbs import Verb
from p2pcli.cluster.folder import not_running
from p2pcli.cluster.planning import log_access
from p2pcli.cluster.relocation import abort, moved_plan
from p2pcli.cluster.relocation import move as relocate
from p2pcli.errors import BadInput
from p2pcli.node.moving import Step

WORDS = {
    Step.SEAL: "sealed: orders are answered busy from here on",
    Step.COPY: "copied",
    Step.END: "ended in the old place",
    Step.BEGIN: "begun in the new one",
}


class NotThatPlace(BadInput):
    """The log is there already, or is not on its way there."""

    code = "not_that_place"


@click.command(
    "move",
    cls=Verb,
    examples=(
        "p2px log move etcd://10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379",
        "p2px log move sqlite:///mnt/fast/p2px",
        "p2px log move sqlite:///mnt/fast/p2px --abort",
    ),
)
@click.argument("url", metavar="URL")
@click.option("--abort", "gives_up", is_flag=True, help="Leave the log where it is, while that is possible.")
@click.option(
    "--timeout",
    callback=as_seconds,
    default="60s",
    show_default=True,
    metavar="TIME",
    help="For the nodes to serve again.",
)
@click.pass_obj
def move(invocation: Invocation, url: str, gives_up: bool, timeout: float) -> None:
    """Move the log to URL: etcd://HOST:PORT,... or sqlite:///FOLDER, an empty place.

    Nodes may serve meanwhile: for some seconds they answer "busy", and a client that repeats loses
    nothing. When it is broken off at any point, the same command goes on from there. What etcd asks for
    at its door is set like for cluster up (log.ca, log.user ...). Settings that name the old place
    (log.url) are to be changed as well, on every machine.
    """
    config = invocation.config_with({"log.url": url}, {**TYPED, "log.url": "URL"})
    folder, screen = invocation.folder_of(config), invocation.screen
    plan = folder.plan()
    if plan is None:
        raise not_running(folder.name)
    wanted = msgspec.structs.replace(plan, log_url=config.log.url, log_access=log_access(config))
    target = moved_plan(plan, wanted, folder.secret())
    if plan.log_url == target.log_url:
        if gives_up:
            raise NotThatPlace(f"the log of cluster {folder.name} is at {plan.log_url}; it was moved there")
        screen.note(f"the log of cluster {folder.name} is at {plan.log_url} already")
        return
    if gives_up:
        sealed = abort(folder, plan, target)
        if not sealed:
            raise NotThatPlace(f"the log of cluster {folder.name} is not being moved to {target.log_url}")
        screen.note(f"the log stays at {plan.log_url}; delete what was copied to {target.log_url}")
        return
    relocate(folder, plan, target, lambda step, market: screen.note(f"{market}  {WORDS[step]}"), timeout)
    if screen.is_text:
        screen.lines([f"the log is at {target.log_url} now"])
    else:
        screen.document({"from": plan.log_url, "to": target.log_url})
