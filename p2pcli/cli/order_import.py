"""``p2px order import``: a file of orders, streamed to one node in frames, with a result for every line."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import click

from p2pcli.cli.invocation import Invocation
from p2pcli.cli.options import market_option, node_option, owner_option
from p2pcli.cli.order_frames import Frames, Show
from p2pcli.cli.order_lines import Reader
from p2pcli.cli.order_source import lines, opened, size
from p2pcli.cli.render.results import Result, Tally, result_document, result_line
from p2pcli.cli.screen import Screen
from p2pcli.cli.trader import Trader
from p2pcli.cli.verbs import Verb
from p2pcli.cli.words import market_named
from p2pcli.clock import monotonic
from p2pcli.cluster.answered import AnsweredLines, Newest
from p2pcli.errors import NotFound, P2pxError
from p2pcli.node.client import ExchangeClient
from p2pcli.node.roaming import new_id

AGAIN = "import the file again: lines with a client order id are not done twice"


class Incomplete(P2pxError):
    """Some lines were not answered."""

    code = "incomplete"


@click.command(
    "import",
    cls=Verb,
    examples=(
        "p2px order import orders.csv --node client1",
        "p2px order import orders.jsonl -o jsonl > results.jsonl",
        "generate | p2px order import - --on-error stop",
    ),
)
@click.argument("source", metavar="FILE|-")
@node_option
@market_option
@owner_option("In whose name: the node's unless you say, or the key's.")
@click.option(
    "--on-error",
    type=click.Choice(["skip", "stop"]),
    default="skip",
    show_default=True,
    help="What to do at a line that makes no sense.",
)
@click.option("-q", "--quiet", is_flag=True, help="Only the summary and what went wrong.")
@click.pass_obj
def import_(
    invocation: Invocation,
    source: str,
    node: str | None,
    market: str | None,
    owner: str | None,
    on_error: str,
    quiet: bool,
) -> int:
    """Carry out a file of orders: CSV with a header, or JSON lines.

    \b
    side,quantity,price,market,tif,post_only,stp,client_order_id
    buy,0.5,30000,BTC/USD,gtc,,,a-1

    \b
    {"side": "buy", "quantity": "0.5", "price": "30000", "client_order_id": "a-1"}
    {"op": "cancel", "client_order_id": "a-1"}
    {"op": "amend", "order_id": "1042", "quantity": "0.7", "price": "29990"}

    Where lines carry a client order id, importing a file again changes nothing, however long it is:
    do that after an interruption, on the same machine. Exit code 0 when every line was answered (a
    refusal is an answer), else 1.
    """
    screen = invocation.screen
    tally = Tally(monotonic())
    with _summed_up(screen, tally), ExitStack() as stack:
        stream = stack.enter_context(opened(source))
        trader = stack.enter_context(Trader(invocation, node, owner or ""))
        progress = stack.enter_context(screen.progress(size(stream)))
        show = _shown_as_text(screen) if screen.is_text else _shown_as_json(stack, screen)
        instruments = trader.client.instruments
        default = market_named(instruments, market or invocation.config.client.market).symbol
        reader = Reader(instruments, default, new_id())
        answered = stack.enter_context(closing(AnsweredLines(invocation.folder.answered_path)))
        if lost := next((one for one in answered.newest() if not _knows(trader.client, one)), None):
            answered.forget()
            screen.note(f"earlier imports count no more: this exchange does not know order {lost.order}")
        frames = Frames(trader, answered, tally, show, quiet)
        for item in reader.read(lines(stream, progress, frames.flush)):
            if not frames.take(item) and on_error == "stop":
                break
        frames.flush()
    if not tally.unanswered:
        return 0
    if not screen.is_text:
        return Incomplete.exit_code  # the results say which ones
    raise Incomplete(
        f"{tally.unanswered} of {tally.lines} lines were not answered",
        # Within the same file they would make other commands of the amends after them.
        hint="import them again, mended, in a file of their own",
    )


@contextmanager
def _summed_up(screen: Screen, tally: Tally) -> Iterator[None]:
    """Say at the end what became of the lines, and how to go on when it was not the file's end."""
    try:
        yield
    except BaseException as end:
        _note(screen, tally)
        if isinstance(end, KeyboardInterrupt):
            screen.hint(AGAIN)
        elif isinstance(end, P2pxError) and tally.lines:
            end.hint = f"{end.hint}; then {AGAIN}" if end.hint else AGAIN
        raise
    _note(screen, tally)


def _note(screen: Screen, tally: Tally) -> None:
    if tally.lines:
        screen.note(tally.words(monotonic()))


def _knows(client: ExchangeClient, newest: Newest) -> bool:
    """Return whether this is the exchange that the order was placed at, with all that it had then."""
    if newest.market not in client.instruments:
        return False
    try:
        view = client.order(newest.market, newest.order)
    except NotFound:
        return False
    return view.client_order_id == newest.client_order_id


def _shown_as_text(screen: Screen) -> Show:
    def show(result: Result) -> None:
        if result.is_answer:
            screen.lines([result_line(result, screen.paint)])
        else:
            screen.note(result_line(result, screen.message_paint))

    return show


def _shown_as_json(stack: ExitStack, screen: Screen) -> Show:
    add = stack.enter_context(screen.stream("results"))
    return lambda result: add(result_document(result))
