"""``p2px log``: the shared log itself, shown and checked."""

import click

from p2pcli.cli.invocation import Invocation
from p2pcli.cli.options import market_option
from p2pcli.cli.render.entries import entries_table, entry_document
from p2pcli.cli.verbs import Group
from p2pcli.cli.words import market_named
from p2pcli.cluster.briefing import log_url
from p2pcli.cluster.folder import not_running
from p2pcli.errors import P2pxError
from p2pcli.market.instrument import Instrument
from p2pcli.node.files import MarketFiles, NothingLogged

log = Group(
    "log",
    help="The shared log: shown, checked, backed up and restored.",
    rooms={
        "export": ("p2pcli.cli.log_backup", "export", "Write a backup of the log: one file."),
        "import": (
            "p2pcli.cli.log_backup",
            "import_",
            "Restore a backup into a cluster without data.",
        ),
        "move": ("p2pcli.cli.log_move", "move", "Move the log to another place, under load."),
    },
    order=("show", "check", "export", "import", "move"),
)


class LogDamaged(P2pxError):
    """The log has a gap, or an entry that does not follow from the one before it (S2)."""

    code = "log_damaged"


@log.command("show", examples=("p2px log show", "p2px log show -n 100 -o jsonl"))
@click.option(
    "-n",
    "--limit",
    "count",
    type=click.IntRange(1, 100_000),
    default=20,
    show_default=True,
    help="At most so many.",
)
@market_option
@click.pass_obj
def show(invocation: Invocation, count: int, market: str | None) -> None:
    """Show the last entries: what was asked, through which node, and the hash that chains them."""
    url, instruments = _log_of(invocation)
    instrument = market_named(instruments, market or invocation.config.client.market)
    with MarketFiles(url, instrument.symbol) as files:
        entries = files.tail(count)
    screen = invocation.screen
    if screen.is_text:
        screen.table(entries_table(instrument, entries))
    else:
        screen.objects(entry_document(instrument, entry) for entry in entries)


@log.command("check", examples=("p2px log check", "p2px log check --market BTC/USD -o json"))
@market_option
@click.pass_obj
def check(invocation: Invocation, market: str | None) -> int:
    """Read every entry: none missing, each hash following from the one before. Exit code 1 when not.

    It works on a running cluster and on one that is stopped.
    """
    url, instruments = _log_of(invocation)
    wanted = [market_named(instruments, market)] if market else list(instruments.values())
    screen = invocation.screen
    documents = []
    problems = []
    for instrument in wanted:
        try:
            with MarketFiles(url, instrument.symbol) as files:
                report = files.check()
        except NothingLogged as nothing:
            screen.note(nothing.message)
            continue
        problem = report.problem
        text = f"entry {problem.sequence} {problem.what}" if problem else None
        documents.append(
            {
                "market": instrument.symbol,
                "ok": problem is None,
                "first": report.first,
                "last": report.last,
                "chain": report.chain.hex() if report.chain else None,
                "problem": text,
            }
        )
        if problem is not None:
            problems.append(f"{instrument.symbol}: {text}")
        elif screen.is_text:
            found = f"entries {report.first} to {report.last}" if report.last else "no entries"
            good = screen.paint("ok", "good")
            screen.lines([f"{instrument.symbol}  {good}  {found}: none missing, every hash follows"])
    if not screen.is_text:
        screen.objects(documents)
    elif problems:
        raise LogDamaged("; ".join(problems), hint="p2px cluster logs shows which nodes stopped for it")
    return 1 if problems else 0


def _log_of(invocation: Invocation) -> tuple[str, dict[str, Instrument]]:
    """Return the address of the cluster's log, and its markets."""
    folder = invocation.folder
    plan = folder.plan()
    if plan is None:
        raise not_running(folder.name)
    return log_url(plan, folder), {instrument.symbol: instrument for instrument in plan.markets}
