"""``p2px cluster logs``: what the processes wrote, merged, as lines for people or as they were written."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
import msgspec

from p2pcli.cli.invocation import Invocation
from p2pcli.cli.options import complete_processes
from p2pcli.cli.reach import reach
from p2pcli.cli.render.order_life import order_life
from p2pcli.cli.render.records import NAME_STYLES, Wanted, record_line
from p2pcli.cli.verbs import Verb
from p2pcli.cli.words import order_named
from p2pcli.cluster.folder import not_running
from p2pcli.cluster.logs import all_lines, follow, last_lines, log_files
from p2pcli.errors import BadInput
from p2pcli.market.instrument import parse_order_name

_REQUEST = re.compile(r"[0-9a-f]{10}-[0-9]{1,20}")


@click.command(
    "logs",
    cls=Verb,
    examples=(
        "p2px cluster logs",
        "p2px cluster logs client1 client2 -f",
        "p2px cluster logs -n 500 --level warning",
        "p2px cluster logs --order 1042 -o jsonl",
        "p2px cluster logs --request 3f9a1c20d4-1",
    ),
)
@click.argument("names", metavar="[NODE...]", nargs=-1, shell_complete=complete_processes)
@click.option("-f", "--follow", "following", is_flag=True, help="Go on with new lines, until Ctrl-C.")
@click.option(
    "-n", "--lines", type=click.IntRange(0), default=50, show_default=True, help="Begin with so many of each."
)
@click.option("--order", metavar="ID", help="Only lines about this order, in every process.")
@click.option(
    "--request",
    metavar="ID",
    help="Only lines about this request: orders tell theirs with -v.",
)
@click.option(
    "--level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="debug",
    help="Only lines of this level and above.",
)
@click.pass_obj
def logs(
    invocation: Invocation,
    names: Sequence[str],
    following: bool,
    lines: int,
    order: str | None,
    request: str | None,
    level: str,
) -> None:
    """Show what nodes, registry members and the supervisor wrote; of all when none is named.

    With --order or --request, its way through all of them, from the first line to the last. Nodes write
    such lines at level debug (logging.level); without them an order's history tells what it knows.
    """
    if order is not None:
        parse_order_name(order)
    if request is not None:
        _check_request(request)
    about = [wanted for wanted in (order, request) if wanted is not None]
    paths = log_files(invocation.folder, tuple(names))
    if not any(path.exists() for path in paths.values()) and invocation.folder.plan() is None:
        raise not_running(invocation.folder.name)
    shown = _Shown(invocation, sorted(paths), Wanted(level, order, request))
    if about:
        old = [
            (name, line)
            for name, path in paths.items()
            for line in all_lines(path)
            if all(part in line for part in about)
        ]
    else:
        old = [(name, line) for name, path in paths.items() for line in last_lines(path, lines)]
    # ISO times sort as text, and they are what every line begins with.
    is_told = shown.print(sorted(old, key=lambda item: item[1]))
    if not is_told and request is not None:
        invocation.screen.note(
            f"no log line names request {request}; nodes write them at logging.level debug"
            " (a slow one at warning)"
        )
    elif not is_told and order is not None:
        _tell_life(invocation, shown, order)
    if following:
        shown.print(follow(paths))


def _check_request(text: str) -> None:
    if not _REQUEST.fullmatch(text):
        raise BadInput(
            f"{text[:60]!a} is no request id",
            hint="p2px order ... -v tells it: 3f9a1c20d4-1 is one",
        )


def _tell_life(invocation: Invocation, shown: "_Shown", order: str) -> None:
    """Show what the history of a node has about an order that no log names. Raises ``NoSuchOrder``."""
    with reach(invocation) as client:
        instrument, number = order_named(client.instruments, order)
        view = client.order(instrument.symbol, number)
        records = order_life(instrument, client.node, view)
    invocation.screen.note(
        f"no log line names order {order}; nodes write them at logging.level debug."
        f" This is from {client.node}'s history:"
    )
    for record in records:
        shown.show(client.node, record, "")


def attach(invocation: Invocation) -> None:
    """Show what all processes write until Ctrl-C, and then stop the cluster."""
    from p2pcli.cluster.down import down

    paths = log_files(invocation.folder, ())
    try:
        _Shown(invocation, sorted(paths), Wanted("info")).print(follow(paths))
    except KeyboardInterrupt:
        invocation.screen.note(f"\nstopping cluster {invocation.folder.name}")
        down(invocation.folder)


class _Shown:
    """Lines of many processes on one screen, each process in its own colour."""

    def __init__(self, invocation: Invocation, names: Sequence[str], wanted: Wanted) -> None:
        self._screen = invocation.screen
        self._wanted = wanted
        self._width = max((len(name) for name in names), default=0)
        self._styles = {name: NAME_STYLES[place % len(NAME_STYLES)] for place, name in enumerate(names)}

    def print(self, items: Iterable[tuple[str, str]]) -> bool:
        """Show the lines that are wanted; return whether there was one."""
        is_any = False
        for name, line in items:
            record = _record(line)
            if self._wanted.takes(record):
                is_any = True
                self.show(name, record, line)
        return is_any

    def show(self, name: str, record: Mapping[str, Any], line: str) -> None:
        if self._screen.is_text:
            prefix = self._screen.paint(f"{name:<{self._width}} |", self._styles.get(name, ""))
            self._screen.lines([f"{prefix} {record_line(record, line, self._screen.paint)}"])
        else:
            self._screen.json_line(record)
        self._screen.flush()


def _record(line: str) -> dict[str, Any]:
    try:
        record = msgspec.json.decode(line)
    except (msgspec.MsgspecError, RecursionError):
        record = None
    return record if isinstance(record, dict) else {"event": line}
