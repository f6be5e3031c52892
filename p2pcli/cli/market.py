"""``p2px market``: the markets of the cluster, and stopping and resuming one."""

import click

from p2pcli.cli.invocation import Invocation
from p2pcli.cli.options import complete_markets, node_option
from p2pcli.cli.reach import reach
from p2pcli.cli.render.markets import markets_table
from p2pcli.cli.trader import Trader
from p2pcli.cli.verbs import Group
from p2pcli.cli.words import market_named
from p2pcli.market.commands import Halt, Resume
from p2pcli.market.documents import market_document
from p2pcli.node.roaming import new_id

market = Group("market", help="List markets; halt and resume one.")


@market.command("ls", examples=("p2px market ls", "p2px market ls -o json"))
@node_option
@click.pass_obj
def ls(invocation: Invocation, node: str | None) -> None:
    """List the markets with their rules and their last 24 hours."""
    with reach(invocation, node) as client:
        rows = [
            (instrument, client.market_status(symbol), client.day(symbol))
            for symbol, instrument in client.instruments.items()
        ]
    screen = invocation.screen
    if screen.is_text:
        screen.table(markets_table(rows))
    else:
        screen.objects(market_document(instrument, state, day) for instrument, state, day in rows)


@market.command("halt", examples=("p2px market halt BTC/USD",))
@click.argument("symbol", metavar="MARKET", shell_complete=complete_markets)
@node_option
@click.pass_obj
def halt(invocation: Invocation, symbol: str, node: str | None) -> None:
    """Stop trading: orders and amends are refused until resume; cancels still work."""
    _command(invocation, symbol, node, Halt(new_id()), "halted")


@market.command("resume", examples=("p2px market resume BTC/USD",))
@click.argument("symbol", metavar="MARKET", shell_complete=complete_markets)
@node_option
@click.pass_obj
def resume(invocation: Invocation, symbol: str, node: str | None) -> None:
    """Let a halted market trade again."""
    _command(invocation, symbol, node, Resume(new_id()), "trading")


def _command(
    invocation: Invocation, symbol: str, node: str | None, command: Halt | Resume, state: str
) -> None:
    with Trader(invocation, node) as trader:
        instrument = market_named(trader.client.instruments, symbol)
        was_halted = trader.client.market_status(instrument.symbol).halted
        sequence = trader.carry_out(instrument, command).sequence
    screen = invocation.screen
    if screen.is_text:
        is_new = was_halted != isinstance(command, Halt)
        since = f"is {state} since sequence {sequence}" if is_new else f"was {state} already"
        screen.lines([f"{instrument.symbol} {since}"])
    else:
        screen.document({"market": instrument.symbol, "state": state, "sequence": sequence})
