"""``p2px log export`` and ``p2px log import``: the log of every market as one file, for the bad day."""

import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, cast

import click

from p2pcli.cli.invocation import Invocation
from p2pcli.cli.verbs import Verb
from p2pcli.cluster.backup import (
    check_stopped,
    entries_to_write,
    new_file,
    read_backup,
    restore,
    with_markets,
    write_backup,
)
from p2pcli.cluster.folder import not_running
from p2pcli.cluster.planning import plan_cluster
from p2pcli.cluster.up import identified
from p2pcli.errors import BadInput
from p2pcli.node.backup import Market


class OnTerminal(BadInput):
    """A backup is bytes, and a terminal is for people."""

    code = "on_terminal"


class NoSuchBackup(BadInput):
    """The backup cannot be read."""

    code = "no_such_backup"


@click.command(
    "export",
    cls=Verb,
    examples=("p2px log export backup.p2px", "p2px log export - | ssh vault 'cat > backup.p2px'"),
)
@click.argument("target", metavar="FILE|-", type=click.Path(dir_okay=False, allow_dash=True))
@click.option("--all", "everything", is_flag=True, help="Every entry that the log has, not only the newest.")
@click.pass_obj
def export(invocation: Invocation, target: str, everything: bool) -> None:
    """Write a backup of the log to FILE, or to standard output: p2px log import restores it.

    Of each market the newest snapshot of a node and every entry after it, with a checksum. The cluster
    may run or be stopped. It holds no secrets, and orders that closed before the snapshot are not in it:
    --all takes what the log still has of them. For files that other programs read: p2px export DIR.
    """
    folder, screen = invocation.folder, invocation.screen
    plan = folder.plan()
    if plan is None:
        raise not_running(folder.name)
    if target == "-" and sys.stdout.isatty():
        raise OnTerminal("a backup is not written to a terminal", hint="p2px log export FILE")
    with ExitStack() as stack:
        file = sys.stdout.buffer if target == "-" else stack.enter_context(new_file(Path(target)))
        progress = stack.enter_context(screen.progress(entries_to_write(folder, plan)))
        markets = write_backup(folder, plan, file.write, everything=everything, progress=progress)
        file.flush()
    if target == "-":
        for market in markets:
            screen.note(_said(market))
    else:
        _show(invocation, markets, target)


@click.command(
    "import",
    cls=Verb,
    examples=("p2px log import backup.p2px", "p2px log import backup.p2px --name restored"),
)
@click.argument("source", metavar="FILE|-", type=click.Path(dir_okay=False, allow_dash=True))
@click.pass_obj
def import_(invocation: Invocation, source: str) -> None:
    """Restore a backup that p2px log export wrote, into a cluster that is stopped and has no data.

    The whole backup is checked before anything is written. Then p2px cluster up goes on from there: the
    same books, the same answers to client order ids, the next numbers.
    """
    folder, screen = invocation.folder, invocation.screen
    check_stopped(folder)
    with _opened(source) as file:
        with screen.progress(_size(file)) as progress:
            last = 0

            def seen(_: int) -> None:
                nonlocal last
                progress(file.tell() - last)
                last = file.tell()

            head, markets = read_backup(file, seen)
        former = folder.plan()
        plan = former or identified(plan_cluster(invocation.config))
        wanted = with_markets(plan, head.markets, is_new=former is None)
        with screen.progress(sum(market.last - market.first + 1 for market in markets)) as progress:
            restore(folder, wanted, file, markets, progress)
    _show(invocation, markets, "")
    screen.note("p2px cluster up goes on from there")


def _opened(source: str) -> BinaryIO:
    """Open a backup that can be read twice: what comes through a pipe is put aside first."""
    if source != "-":
        try:
            return cast(BinaryIO, Path(source).open("rb"))
        except OSError as error:
            raise NoSuchBackup(
                f"{source} cannot be read: {error.strerror}", hint="p2px log export FILE writes one"
            ) from error
    aside = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 (the caller closes it)
    shutil.copyfileobj(sys.stdin.buffer, aside)
    return aside


def _size(file: BinaryIO) -> int:
    return file.seek(0, 2)


def _show(invocation: Invocation, markets: list[Market], target: str) -> None:
    screen = invocation.screen
    if screen.is_text:
        screen.lines([*map(_said, markets), *([target] if target else [])])
        return
    screen.objects(
        {
            "market": market.symbol,
            "snapshot": market.snapshot or None,
            "first": market.first,
            "last": market.last,
            "file": target or None,
        }
        for market in markets
    )


def _said(market: Market) -> str:
    if not market.last:
        return f"{market.symbol}  no entries"
    begin = f"snapshot at {market.snapshot}, " if market.snapshot else ""
    return f"{market.symbol}  {begin}entries {market.first} to {market.last}"
