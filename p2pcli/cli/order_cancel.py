"""``p2px order cancel``: some orders by id, or all of one owner."""

from collections.abc import Iterator, Sequence

import click
import msgspec

from p2pcli.cli.failure import failure_document
from p2pcli.cli.invocation import Invocation
from p2pcli.cli.options import complete_open_orders, market_option, node_option, owner_option
from p2pcli.cli.reach import reach
from p2pcli.cli.render.orders import cancelled_line
from p2pcli.cli.trader import Trader
from p2pcli.cli.verbs import Verb
from p2pcli.cli.words import market_named, order_named
from p2pcli.errors import BadInput, NotFound, P2pxError
from p2pcli.market.commands import Cancel, CancelAll, Side
from p2pcli.market.documents import cancelled_document
from p2pcli.market.events import Cancelled, CancelledAll
from p2pcli.market.instrument import Instrument, parse_order_name
from p2pcli.market.refusals import CommandRefused, not_open
from p2pcli.node.client import ExchangeClient
from p2pcli.node.roaming import new_id


@click.command(
    "cancel",
    cls=Verb,
    negative=parse_order_name,
    examples=(
        "p2px order cancel 1042",
        "p2px order cancel 1042 1043 1044",
        "p2px order cancel --all --node client1 --side buy",
        "p2px order cancel --all --owner ann --market BTC/USD",
    ),
)
@click.argument("order_ids", metavar="ID...", nargs=-1, shell_complete=complete_open_orders)
@click.option("-a", "--all", "everything", is_flag=True, help="Every open order of the owner.")
@click.option("--side", type=click.Choice(["buy", "sell"]), help="With --all: only this side.")
@node_option
@market_option
@owner_option("With --all: whose; the node's unless you say, or the key's.")
@click.pass_obj
def cancel(
    invocation: Invocation,
    order_ids: Sequence[str],
    everything: bool,
    side: str | None,
    node: str | None,
    market: str | None,
    owner: str | None,
) -> int:
    """Cancel open orders.

    An order is cancelled in the name of its owner, so no --node is needed. With --node, only that
    node's own orders can be.
    """
    if everything == bool(order_ids):
        raise BadInput(
            "say which orders to cancel: their ids, or --all, not both",
            hint="p2px order ls shows the open orders",
        )
    if side and not everything:
        raise BadInput("--side goes with --all", hint="p2px order cancel --all --side buy")
    if owner and not everything:
        raise BadInput("--owner goes with --all", hint="an order by its id is cancelled for its owner")
    for name in order_ids:
        parse_order_name(name)
    found = (
        _cancel_all(invocation, side, node, market, owner or "")
        if everything
        else _cancel_some(invocation, order_ids, node)
    )
    return _show(invocation, found, is_one=len(order_ids) == 1)


class Gone(msgspec.Struct, frozen=True):
    """An order that was cancelled."""

    instrument: Instrument
    owner: str
    order: int
    remaining: int  # lots


def _cancel_some(
    invocation: Invocation, order_ids: Sequence[str], node: str | None
) -> Iterator[Gone | P2pxError]:
    with reach(invocation, node) as client:
        for name in order_ids:
            try:
                yield _cancel_one(invocation, client, name, node)
            except (NotFound, CommandRefused) as error:
                if len(order_ids) == 1:
                    raise
                yield error


def _cancel_one(invocation: Invocation, client: ExchangeClient, name: str, node: str | None) -> Gone:
    instrument, number = order_named(client.instruments, name)
    view = client.order(instrument.symbol, number)
    command = Cancel(order=number, command_id=new_id())
    with Trader(invocation, node or client.node, "" if node else view.owner) as trader:
        try:
            outcome = trader.carry_out(instrument, command).outcome
        except CommandRefused as error:
            raise not_open(instrument, view, trader.owner) or error from None
    assert isinstance(outcome, Cancelled), f"a cancel was answered with {outcome}"
    return Gone(instrument, view.owner, outcome.order, outcome.remaining)


def _cancel_all(
    invocation: Invocation, side: str | None, node: str | None, market: str | None, owner: str
) -> Iterator[Gone | P2pxError]:
    gone = 0
    with Trader(invocation, node, owner) as trader:
        instruments = trader.client.instruments
        wanted = [market_named(instruments, market)] if market else list(instruments.values())
        for instrument in wanted:
            command = CancelAll(side=Side[side.upper()] if side else None, command_id=new_id())
            outcome = trader.carry_out(instrument, command).outcome
            assert isinstance(outcome, CancelledAll), f"a cancel of all was answered with {outcome}"
            for removed in outcome.removed:
                gone += 1
                yield Gone(instrument, trader.owner, removed.order, removed.remaining)
    if not gone:
        invocation.screen.note(f"{trader.owner} has no open orders")


def _show(invocation: Invocation, found: Iterator[Gone | P2pxError], is_one: bool) -> int:
    """Show each result as it comes, for JSON all of them at the end; return the exit code."""
    screen, code = invocation.screen, 0
    documents = []
    for result in found:
        if isinstance(result, P2pxError):
            code = code or result.exit_code
            if screen.is_text:
                screen.failure(result)
            documents.append(failure_document(result))
        elif screen.is_text:
            screen.lines([cancelled_line(result.instrument, result.order, result.remaining, screen.paint)])
        else:
            documents.append(
                cancelled_document(result.instrument, result.owner, result.order, result.remaining)
            )
    if is_one and documents:
        screen.document(documents[0])
    elif not screen.is_text:
        screen.objects(documents)
    return code
