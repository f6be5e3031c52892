"""``p2px client``: an example client that keeps trading, as the exchange's first version had one."""

from itertools import count as count_from
from random import Random
from time import sleep

import click

from p2pcli.cli.invocation import Invocation
from p2pcli.cli.options import as_seconds, complete_nodes, market_option, named
from p2pcli.cli.render import orders as render
from p2pcli.cli.trader import Trader
from p2pcli.cli.verbs import Group
from p2pcli.cli.words import market_named
from p2pcli.cluster.scenario import first_orders, next_order
from p2pcli.market.commands import Place
from p2pcli.market.documents import order_document
from p2pcli.market.events import Placed
from p2pcli.market.instrument import Instrument
from p2pcli.market.refusals import CommandRefused
from p2pcli.node.roaming import with_id

client = Group("client", help="Run an example client that keeps trading.")


@client.command(
    "run",
    examples=(
        "p2px client run client1",
        "p2px client run client2 --interval 500ms --count 100 --seed 7",
        "p2px client run client3 -o jsonl | jq -r .status",
    ),
)
@click.argument("name", metavar="NODE", callback=named, shell_complete=complete_nodes)
@click.option(
    "--interval",
    default="10s",
    show_default=True,
    metavar="TIME",
    callback=as_seconds,
    help="Between two orders; a number alone is seconds.",
)
@click.option("--count", type=click.IntRange(0), metavar="N", help="Stop after so many random orders.")
@click.option("--seed", type=int, metavar="N", help="The same number places the same orders again.")
@market_option
@click.pass_obj
def run(
    invocation: Invocation,
    name: str,
    interval: float,
    count: int | None,
    seed: int | None,
    market: str | None,
) -> None:
    """Trade in the name of NODE: three bids, three asks, then an order at random every INTERVAL.

    Prices are chosen around the middle of the market. Several clients make a market that lives.
    """
    random = Random(seed)
    with Trader(invocation, name) as trader:
        instrument = market_named(trader.client.instruments, market or invocation.config.client.market)
        seen = _show_standing(invocation, trader, instrument, None)
        for place in first_orders(instrument, trader.book(instrument)):
            _trade(invocation, trader, instrument, place)
        for done in count_from():
            seen = _show_standing(invocation, trader, instrument, seen)
            if count is not None and done >= count:
                return
            if done:
                sleep(interval)
            _trade(invocation, trader, instrument, next_order(instrument, trader.book(instrument), random))


def _show_standing(
    invocation: Invocation, trader: Trader, instrument: Instrument, seen: int | None
) -> int | None:
    """Tell a person which resting orders others took since trade ``seen``, and how the market stands.

    Returns the number of the newest trade; None, and tells nothing, for programs: they have ``trades tail``.
    """
    screen = invocation.screen
    if not screen.is_text:
        return None
    standing = trader.standing(instrument, seen)
    others = [trade for trade in standing.trades if trade.taker_owner != trader.owner]
    met = [trade for trade in others if seen is not None and trade.maker_owner == trader.owner]
    screen.lines(render.met_line(instrument, trade, screen.paint) for trade in met)
    screen.lines(
        [render.standing_line(instrument, standing.book, trader.owner, standing.open_orders, screen.paint)]
    )
    screen.flush()
    return standing.trades[-1].trade if standing.trades else seen or 0


def _trade(invocation: Invocation, trader: Trader, instrument: Instrument, place: Place) -> None:
    """Place one order and show what became of it; a refusal is shown, and trading goes on."""
    screen = invocation.screen
    named = with_id(place)
    assert isinstance(named, Place), "a place with an id is a place"
    try:
        carried = trader.carry_out(instrument, named)
    except CommandRefused as error:
        screen.failure(error)
        return
    assert isinstance(carried.outcome, Placed), f"a place was answered with {carried.outcome}"
    view = render.placed_view(named, trader.owner, carried.sequence, carried.outcome)
    if screen.is_text:
        screen.lines(
            render.placed_lines(instrument, view, carried.outcome.removed, trader.node, screen.paint)
        )
    else:
        screen.json_line(order_document(instrument, trader.node, view))
    screen.flush()
