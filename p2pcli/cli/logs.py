"""``p2px cluster logs``: what the processes wrote, merged, as lines for people or as they were written."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
import msgspec

from p2pcli.cli.invocation import Invocation
from p2pcli.cli.options import complete_processes
from p2pcli.cli.reach import reach
from p2pcli.cli.render.order_life import order_life
from p2pcli.cli.render.records import NAME_STYLES, record_line, wanted
from p2pcli.cli.verbs import Verb
from p2pcli.cli.words import order_named
from p2pcli.cluster.logs import all_lines, follow, last_lines, log_files
from p2pcli.market.instrument import parse_order_name


@click.command(
    "logs",
    cls=Verb,
    examples=(
        "p2px cluster logs",
        "p2px cluster logs client1 client2 -f",
        "p2px cluster logs -n 500 --level warning",
        "p2px cluster logs --order 1042 -o jsonl",
    ),
)
@click.argument("names", metavar="[NODE...]", nargs=-1, shell_complete=complete_processes)
@click.option("-f", "--follow", "following", is_flag=True, help="Go on with new lines, until Ctrl-C.")
@click.option(
    "-n", "--lines", type=click.IntRange(0), default=50, show_default=True, help="Begin with so many of each."
)
@click.option("--order", metavar="ID", help="Only lines about this order, in every process.")
@click.option(
    "--level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="debug",
    help="Only lines of this level and above.",
)
@click.pass_obj
def logs(
    invocation: Invocation, names: Sequence[str], following: bool, lines: int, order: str | None, level: str
) -> None:
    """Show what nodes, registry members and the supervisor wrote; of all when none is named.

    With --order, one order's way through all of them, from the first line to the last. Nodes write
    such lines at level debug (logging.level); without them the order's history tells what it knows.
    """
    if order is not None:
        parse_order_name(order)
    paths = log_files(invocation.folder, tuple(names))
    shown = _Shown(invocation, sorted(paths), order, level)
    if order is not None:
        old = [(name, line) for name, path in paths.items() for line in all_lines(path) if order in line]
    else:
        old = [(name, line) for name, path in paths.items() for line in last_lines(path, lines)]
    # ISO times sort as text, and they are what every line begins with.
    is_told = shown.print(sorted(old, key=lambda item: item[1]))
    if order is not None and not is_told:
        _tell_life(invocation, shown, order)
    if following:
        shown.print(follow(paths))


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
        _Shown(invocation, sorted(paths), None, "info").print(follow(paths))
    except KeyboardInterrupt:
        invocation.screen.note(f"\nstopping cluster {invocation.folder.name}")
        down(invocation.folder)


class _Shown:
    """Lines of many processes on one screen, each process in its own colour."""

    def __init__(self, invocation: Invocation, names: Sequence[str], order: str | None, level: str) -> None:
        self._screen = invocation.screen
        self._order = order
        self._level = level
        self._width = max((len(name) for name in names), default=0)
        self._styles = {name: NAME_STYLES[place % len(NAME_STYLES)] for place, name in enumerate(names)}

    def print(self, items: Iterable[tuple[str, str]]) -> bool:
        """Show the lines that are wanted; return whether there was one."""
        is_any = False
        for name, line in items:
            record = _record(line)
            if wanted(record, self._order, self._level):
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
