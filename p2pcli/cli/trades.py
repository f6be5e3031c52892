"""``p2px trades``: what was traded, listed, followed or exported."""

import csv
import sys
from collections.abc import Iterator
from functools import partial

import click

from p2pcli.cli.invocation import Invocation
from p2pcli.cli.options import market_option, node_option
from p2pcli.cli.reach import reach
from p2pcli.cli.render.quantities import moment
from p2pcli.cli.render.tape import EXPORT_FIELDS, Tape
from p2pcli.cli.verbs import Group
from p2pcli.cli.watch import Watch
from p2pcli.cli.words import market_named
from p2pcli.market.documents import trade_document
from p2pcli.market.instrument import Instrument
from p2pcli.market.views import TradeView
from p2pcli.node.client import ExchangeClient
from p2pcli.node.requests import MAX_ROWS

WAIT_S = 20.0  # one long question; the node answers sooner when there is a trade
PAGE = 1000  # trades in one answer of an export

trades = Group("trades", help="Show, follow and export trades.")


@trades.command(
    "tail",
    examples=(
        "p2px trades tail",
        "p2px trades tail -n 100 -f",
        "p2px trades tail -f -o jsonl | jq -r .price",
    ),
)
@click.option(
    "-n",
    "--limit",
    "last",
    type=click.IntRange(0, MAX_ROWS),
    default=20,
    show_default=True,
    help="Begin with so many.",
)
@click.option("-f", "--follow", is_flag=True, help="Go on with each new trade, until Ctrl-C.")
@node_option
@market_option
@click.pass_obj
def tail(invocation: Invocation, last: int, follow: bool, node: str | None, market: str | None) -> None:
    """Show the last trades, oldest first."""
    screen = invocation.screen
    with Watch(invocation, node) as source:
        client = source.client
        instrument = market_named(client.instruments, market or invocation.config.client.market)
        # One trade is read even when none is to be shown: its number is where following begins.
        found = client.trades(instrument.symbol, max(1, last))
        shown = found[len(found) - min(last, len(found)) :]
        if screen.output == "json" and not follow:
            screen.objects(trade_document(instrument, view) for view in shown)
            return
        tape = Tape()
        lines = tape.lines(instrument, shown, screen.paint)
        if screen.is_text and (lines or follow):
            screen.lines([tape.title(screen.paint), *lines])
        elif screen.is_text:
            screen.note(
                f"no trades in {instrument.symbol} yet" if not found else "-n 0 shows none, without -f"
            )
        else:
            for view in shown:
                screen.document(trade_document(instrument, view))
        if follow:
            sys.stdout.flush()
            for view in _new_trades(source, instrument, found[-1].trade if found else 0):
                if screen.is_text:
                    screen.lines(tape.lines(instrument, [view], screen.paint))
                else:
                    screen.document(trade_document(instrument, view))
                sys.stdout.flush()


def _new_trades(source: Watch, instrument: Instrument, after: int) -> Iterator[TradeView]:
    """Yield each trade with a number above ``after`` as it happens, for ever."""
    while True:
        for view in source.ask(partial(_next, instrument, after)):
            after = view.trade
            yield view


def _next(instrument: Instrument, after: int, client: ExchangeClient) -> list[TradeView]:
    return client.trades(instrument.symbol, PAGE, after, WAIT_S)


@trades.command(
    "export",
    examples=("p2px trades export --format csv > trades.csv", "p2px trades export --format jsonl"),
)
@click.option(
    "--format", "shape", type=click.Choice(["csv", "jsonl"]), help="How: csv unless -o says json or jsonl."
)
@node_option
@market_option
@click.pass_obj
def export(invocation: Invocation, shape: str | None, node: str | None, market: str | None) -> None:
    """Write every trade to stdout, oldest first."""
    with reach(invocation, node) as client:
        instrument = market_named(client.instruments, market or invocation.config.client.market)
        documents = (trade_document(instrument, view) for view in _every_trade(client, instrument))
        screen = invocation.screen
        if shape == "jsonl":
            for document in documents:
                screen.json_line(document)
            return
        if shape is None and not screen.is_text:
            screen.objects(documents)
            return
        writer = csv.DictWriter(sys.stdout, EXPORT_FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows({**document, "time": moment(document["time_ns"])} for document in documents)


def _every_trade(client: ExchangeClient, instrument: Instrument) -> Iterator[TradeView]:
    after = 0
    while page := client.trades(instrument.symbol, PAGE, after):
        yield from page
        after = page[-1].trade
