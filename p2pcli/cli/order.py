"""``p2px order``: buy, sell, cancel, amend, show, list and import orders."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import click

from p2pcli.cli.invocation import Invocation
from p2pcli.cli.options import market_option, node_option, owner_option
from p2pcli.cli.reach import reach
from p2pcli.cli.render import orders as render
from p2pcli.cli.trader import Trader
from p2pcli.cli.verbs import Group
from p2pcli.cli.words import (
    SELF_TRADES,
    TIFS,
    BadOrder,
    check_grammar,
    market_named,
    order_named,
    place,
    time_in_force,
)
from p2pcli.market.commands import Amend, Side
from p2pcli.market.documents import order_document
from p2pcli.market.events import Amended, Placed
from p2pcli.market.instrument import MARKET_PRICE, order_parts, parse_order_name
from p2pcli.market.names import check_client_id
from p2pcli.market.refusals import CommandRefused, not_open
from p2pcli.node.roaming import new_id

order = Group(
    "order",
    help="Buy, sell, cancel, amend, show and list orders; import many from a file.",
    rooms={
        "cancel": ("p2pcli.cli.order_cancel", "cancel", "Cancel orders by id, or all of one owner."),
        "import": ("p2pcli.cli.order_import", "import_", "Carry out a file of orders, cancels and amends."),
    },
    order=("buy", "sell", "cancel", "amend", "show", "ls", "import"),
)


def _placing(command: Callable[..., None]) -> Callable[..., None]:
    """Add what buy and sell have in common."""
    for decorate in reversed(
        (
            click.argument("text", metavar="QTY@PRICE"),
            node_option,
            market_option,
            owner_option("In whose name: the node's unless you say, or the key's."),
            click.option(
                "--tif",
                type=click.Choice(list(TIFS), case_sensitive=False),
                help="What becomes of the rest: it rests (gtc, the default), is dropped (ioc), or everything"
                " is filled at once or nothing (fok).",
            ),
            click.option("--post-only", is_flag=True, help="Refuse the order if it would trade at once."),
            click.option(
                "--stp",
                type=click.Choice(list(SELF_TRADES), case_sensitive=False),
                help="What to do when it would trade with an order of the same owner.",
            ),
            click.option(
                "--client-id",
                metavar="ID",
                help="Your own id. The same order sent again with it is answered, not carried out twice.",
            ),
        )
    ):
        command = decorate(command)
    return command


@order.command(
    "buy",
    negative=check_grammar,
    examples=(
        "p2px order buy 0.5@30000 --node client1",
        "p2px order buy 0.5@market",
        "p2px order buy 2@29990 --post-only --client-id my-17",
    ),
)
@_placing
@click.pass_obj
def buy(invocation: Invocation, /, **options: Any) -> None:
    """Buy QTY at PRICE or better, or at whatever price there is: QTY@market."""
    _place(invocation, Side.BUY, **options)


@order.command(
    "sell",
    negative=check_grammar,
    examples=("p2px order sell 1.5@30000 --node client2", "p2px order sell 1@30100 --tif ioc"),
)
@_placing
@click.pass_obj
def sell(invocation: Invocation, /, **options: Any) -> None:
    """Sell QTY at PRICE or better, or at whatever price there is: QTY@market."""
    _place(invocation, Side.SELL, **options)


def _place(
    invocation: Invocation,
    side: Side,
    text: str,
    node: str | None,
    market: str | None,
    owner: str | None,
    tif: str | None,
    post_only: bool,
    stp: str | None,
    client_id: str | None,
) -> None:
    check_grammar(text)
    time_in_force(tif, 0 if order_parts(text)[1] == MARKET_PRICE else 1, post_only)
    client_order_id = new_id() if client_id is None else check_client_id(client_id)
    with Trader(invocation, node, owner or "") as trader:
        instrument = market_named(trader.client.instruments, market or invocation.config.client.market)
        command = place(
            instrument,
            side,
            text,
            tif=tif,
            post_only=post_only,
            self_trade=stp,
            client_order_id=client_order_id,
        )
        carried = trader.carry_out(instrument, command)
        placed = carried.outcome
        assert isinstance(placed, Placed), f"a place was answered with {placed}"
        view = render.placed_view(command, trader.owner, carried.sequence, placed)
        if placed.filled and not placed.fills:  # more than an answer holds
            view = trader.order(instrument, placed.order)
    screen = invocation.screen
    if screen.is_text:
        if carried.is_repeated:
            screen.lines([render.repeated_line(carried.sequence, screen.paint)])
        screen.lines(render.placed_lines(instrument, view, placed.removed, trader.node, screen.paint))
    else:
        screen.document(order_document(instrument, trader.node, view))


@order.command(
    "amend",
    negative=parse_order_name,
    examples=("p2px order amend 1042 0.7@29950", "p2px order amend 1042 0.3@30000"),
)
@click.argument("order_id", metavar="ID")
@click.argument("text", metavar="QTY@PRICE")
@node_option
@click.pass_obj
def amend(invocation: Invocation, order_id: str, text: str, node: str | None) -> None:
    """Give an open order a new total quantity and price.

    QTY is the whole quantity, what has been filled included. Less at the same price keeps the
    order's place in the queue; anything else sends it to the back.
    """
    parse_order_name(order_id)
    check_grammar(text)
    with reach(invocation, node) as client:
        instrument, number = order_named(client.instruments, order_id)
        former = client.order(instrument.symbol, number)
    lots, ticks = instrument.quantity_at_price(text)
    if not ticks:
        raise BadOrder("an amended order rests, so it needs a price", hint="p2px order amend 1042 0.7@29950")
    command = Amend(order=number, quantity=lots, price=ticks, command_id=new_id())
    with Trader(invocation, client.node, "" if node else former.owner) as trader:
        try:
            carried = trader.carry_out(instrument, command)
        except CommandRefused as error:
            raise not_open(instrument, former, trader.owner) or error from None
        view = trader.order(instrument, number)
    amended = carried.outcome
    assert isinstance(amended, Amended), f"an amend was answered with {amended}"
    screen = invocation.screen
    if screen.is_text:
        screen.lines(render.amended_lines(instrument, view, amended, trader.node, screen.paint))
    else:
        document = order_document(instrument, trader.node, view)
        screen.document({**document, "sequence": carried.sequence})


@order.command(
    "show", negative=parse_order_name, examples=("p2px order show 1042", "p2px order show 1042 -o json")
)
@click.argument("order_id", metavar="ID")
@node_option
@click.pass_obj
def show(invocation: Invocation, order_id: str, node: str | None) -> None:
    """Show one order with its fills, also long after it closed."""
    parse_order_name(order_id)
    with reach(invocation, node) as client:
        instrument, number = order_named(client.instruments, order_id)
        view = client.order(instrument.symbol, number)
    screen = invocation.screen
    if screen.is_text:
        screen.lines(render.order_page(instrument, view, screen.paint))
    else:
        screen.document(order_document(instrument, client.node, view))


@order.command(
    "ls",
    examples=(
        "p2px order ls",
        "p2px order ls --node client1 --all",
        "p2px order ls --owner ann",
        "p2px order ls -o jsonl",
    ),
)
@node_option
@market_option
@owner_option("Only this owner's.")
@click.option("-a", "--all", "closed", is_flag=True, help="Closed orders too.")
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(1, 10_000),
    default=1000,
    show_default=True,
    help="At most so many a market.",
)
@click.pass_obj
def ls(
    invocation: Invocation, node: str | None, market: str | None, owner: str | None, closed: bool, limit: int
) -> None:
    """List open orders: everybody's, with --node those of one node, with a key its owner's."""
    owner = owner or invocation.credentials.owner or node
    with reach(invocation, node) as client:
        wanted = [market_named(client.instruments, market)] if market else list(client.instruments.values())
        rows = [
            (instrument, view)
            for instrument in wanted
            for view in client.orders(instrument.symbol, owner=owner, closed=closed, limit=limit)
        ]
    screen = invocation.screen
    for instrument, count in Counter(instrument for instrument, _ in rows).items():
        if count == limit:
            which = "newest" if closed else "oldest"
            screen.note(f"these are the {which} {limit} of {instrument.symbol}; -n allows more")
    if screen.is_text:
        screen.table(render.orders_table(rows, "no orders" if closed else "no open orders"))
    else:
        screen.objects(order_document(instrument, client.node, view) for instrument, view in rows)
