"""Options that several commands share, and how the shell completes their values."""

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

from p2pcli.errors import BadInput, P2pxError
from p2pcli.market.names import check_owner

if TYPE_CHECKING:
    from p2pcli.cli.invocation import Invocation

LONGEST_S = 30 * 24 * 3600
OPEN_ORDERS_OFFERED = 200  # more would not help anybody who types


def _completer(offer: Callable[["Invocation"], Iterable[str]]) -> Callable[..., list[str]]:
    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
        invocation = ctx.find_root().obj
        try:
            return [word for word in offer(invocation) if word.startswith(incomplete)]
        except P2pxError:
            return []  # nothing runs, so there is nothing to offer; an error would garble the prompt

    return complete


def _node_names(invocation: "Invocation") -> list[str]:
    from p2pcli.cli.reach import node_names

    return node_names(invocation.folder.report())


def _process_names(invocation: "Invocation") -> list[str]:
    report = invocation.folder.report()
    return [child.name for child in report.children] if report else []


def _market_names(invocation: "Invocation") -> list[str]:
    plan = invocation.folder.plan()
    markets = plan.markets if plan else invocation.config.markets
    return [instrument.symbol for instrument in markets]


def _open_orders(invocation: "Invocation") -> list[str]:
    from p2pcli.cli.reach import reach

    with reach(invocation) as client:
        return [
            instrument.order_name(view.order)
            for instrument in client.instruments.values()
            for view in client.orders(instrument.symbol, limit=OPEN_ORDERS_OFFERED)
        ]


def as_seconds(_: click.Context, option: click.Parameter, text: str | None) -> float | None:
    """Return a length of time such as 500ms, 30s or 2m in seconds: a callback for options.

    Raises ``BadInput``, also beyond ``LONGEST_S``: no wait of the system's is much longer.
    """
    from p2pcli.config.values import duration, shown

    if text is None:
        return None
    is_plain = text.replace(".", "", 1).isdecimal() and text.isascii()
    try:
        seconds = duration(f"{text}s" if is_plain else text)
    except BadInput:
        seconds = math.inf
    if seconds > LONGEST_S:
        raise BadInput(
            f"option {'/'.join(option.opts)}: expected a duration like 500ms, 30s or 2m of at most"
            f" {LONGEST_S // 3600}h, found {shown(text)}",
            hint="a number alone is seconds",
        )
    return seconds


def named(_: click.Context, option: click.Parameter, text: str | None) -> str | None:
    """Refuse an empty name: a callback for options and arguments.

    ``--node "$NODE"`` with no such variable would trade as another node, or send one away.
    """
    if text == "":
        raise click.BadParameter("expected a name, found nothing", param=option)
    return text


def _owner_named(_: click.Context, option: click.Parameter, text: str | None) -> str | None:
    return None if text is None else check_owner(text)


complete_nodes = _completer(_node_names)
complete_processes = _completer(_process_names)
complete_markets = _completer(_market_names)
complete_open_orders = _completer(_open_orders)


def node_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--node``."""
    return click.option(
        "--node",
        metavar="NAME",
        callback=named,
        help="The node to talk to.",
        shell_complete=complete_nodes,
    )(command)


def market_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--market``."""
    return click.option(
        "--market",
        metavar="BASE/QUOTE",
        callback=named,
        help="The market, where there are several.",
        shell_complete=complete_markets,
    )(command)


def owner_option(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add ``--owner``, which takes the cluster's secret unless it is the key's own."""
    return click.option("--owner", metavar="NAME", callback=_owner_named, help=text)


def count_option(name: str, default: int, most: int, text: str, least: int = 1) -> Callable[..., Any]:
    """Add an option that counts something, from ``least`` to ``most``."""
    return click.option(
        name,
        default=default,
        show_default=True,
        type=click.IntRange(least, most),
        metavar="N",
        help=text,
    )


def time_option(name: str, default: str | None, text: str) -> Callable[..., Any]:
    """Add an option that is a length of time, given to the command in seconds."""
    return click.option(
        name, default=default, show_default=True, callback=as_seconds, metavar="TIME", help=text
    )
