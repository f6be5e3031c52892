"""``p2px book``: what rests, as a ladder, and how two nodes' books differ."""

from collections.abc import Iterator
from functools import partial
from time import sleep

import click

from p2pcli.cli.invocation import Invocation
from p2pcli.cli.options import complete_nodes, market_option, named, node_option
from p2pcli.cli.reach import reach
from p2pcli.cli.render.chart import depth_chart
from p2pcli.cli.render.ladder import Key, ladder, ladder_difference, levels_of, owners_notes
from p2pcli.cli.verbs import Group
from p2pcli.cli.watch import Watch
from p2pcli.cli.words import market_named
from p2pcli.errors import BadInput, NotFound, P2pxError
from p2pcli.market.documents import book_document
from p2pcli.market.instrument import Instrument
from p2pcli.market.views import BookView
from p2pcli.node.client import ExchangeClient
from p2pcli.node.requests import MAX_ROWS, NotCaughtUp

REDRAW_S = 0.05  # faster than this nobody reads
LEVELS = 10
LEVELS_OF_A_CHART = 50
LEVELS_OF_A_DIFFERENCE = MAX_ROWS

book = Group("book", help="Show the order book, or how two nodes' books differ.")


class NotHosted(NotFound):
    """The node has no book of its own of that market."""

    code = "not_hosted"


class BooksDiffer(P2pxError):
    """Two nodes hold different books at the same sequence."""

    code = "books_differ"


@book.command(
    "show",
    examples=(
        "p2px book show",
        "p2px book show --depth 25 -w",
        "p2px book show --chart",
        "p2px book show --node client2 -o json | jq .spread",
    ),
)
@node_option
@market_option
@click.option(
    "--depth",
    type=click.IntRange(1, MAX_ROWS),
    help=f"Levels on each side: {LEVELS} unless you say, {LEVELS_OF_A_CHART} in a chart.",
)
@click.option("--chart", is_flag=True, help="How much there is up to each price, as a chart of the depth.")
@click.option("-w", "--watch", is_flag=True, help="Go on showing it as it changes, until Ctrl-C.")
@click.option("--by-node", is_flag=True, help="Who rests at each level, first in the queue first.")
@click.option(
    "--at-least", type=click.IntRange(0), default=0, metavar="SEQUENCE", help="Wait until it includes this."
)
@click.pass_obj
def show(
    invocation: Invocation,
    node: str | None,
    market: str | None,
    depth: int | None,
    chart: bool,
    watch: bool,
    by_node: bool,
    at_least: int,
) -> None:
    """Show the book: asks above bids, the spread between, a bar for each level's size."""
    if chart and by_node:
        raise BadInput("--chart shows sums, and --by-node who they are of", hint="leave one of them out")
    depth = depth or (LEVELS_OF_A_CHART if chart else LEVELS)
    draw_page = partial(_page, invocation, chart=chart, by_node=by_node)
    screen = invocation.screen
    with Watch(invocation, node) as source:
        instrument = market_named(source.client.instruments, market or invocation.config.client.market)
        is_named = node or invocation.config.client.node
        owner = invocation.credentials.owner or (source.client.node if is_named else "")
        view = source.client.book(instrument.symbol, depth, at_least)
        views = _changes(source, instrument, depth, view) if watch else iter([view])
        if not screen.is_text:
            for each in views:
                screen.document(book_document(instrument, source.client.node, each))
                screen.flush()
        elif watch:
            with screen.redrawn() as draw:
                for each in views:
                    draw(draw_page(source, instrument, each, owner))
        else:
            screen.lines(draw_page(source, instrument, view, owner))


def _page(
    invocation: Invocation,
    source: Watch,
    instrument: Instrument,
    view: BookView,
    owner: str,
    *,
    chart: bool,
    by_node: bool,
) -> list[str]:
    screen = invocation.screen
    symbol = instrument.symbol
    notes, own = None, frozenset[Key]()
    if by_node:
        resting = source.ask(lambda client: client.full_book(symbol)[1])
        notes = owners_notes(instrument, resting)
        own = levels_of(resting, owner)
    elif owner:
        own = levels_of(source.ask(lambda client: client.orders(symbol, owner=owner)), owner)
    if chart:
        return depth_chart(instrument, view, source.client.node, screen.size, screen.paint, own)
    return ladder(instrument, view, source.client.node, screen.size[0], screen.paint, own, notes)


def _changes(source: Watch, instrument: Instrument, depth: int, view: BookView) -> Iterator[BookView]:
    """Yield the book now and after every change, for ever."""
    while True:
        yield view
        sleep(REDRAW_S)
        view = source.ask(partial(_next, instrument, depth, view.sequence))


def _next(instrument: Instrument, depth: int, after: int, client: ExchangeClient) -> BookView:
    while True:
        try:
            return client.book(instrument.symbol, depth, after + 1)
        except NotCaughtUp:
            continue  # nothing happened in the time that the node is willing to wait


@book.command("diff", examples=("p2px book diff client1 client2",))
@click.argument("left", metavar="NODE", callback=named, shell_complete=complete_nodes)
@click.argument("right", metavar="NODE", callback=named, shell_complete=complete_nodes)
@market_option
@click.pass_obj
def diff(invocation: Invocation, left: str, right: str, market: str | None) -> int:
    """Show the levels at which two nodes' books differ. Exit code 1 when they do.

    Both are read at the same sequence, so a book that is only late does not count as different.
    """
    screen = invocation.screen
    with reach(invocation, left) as ours, reach(invocation, right) as theirs:
        instrument = market_named(ours.instruments, market or invocation.config.client.market)
        for node, client in ((left, ours), (right, theirs)):
            if instrument.symbol not in client.hosts:
                raise NotHosted(
                    f"node {node} does not host {instrument.symbol}; it would show another node's book",
                    hint="p2px node info NODE lists the markets of a node",
                )
        a, b = _at_one_sequence(ours, theirs, instrument)
    differing = ladder_difference(instrument, a, b, (left, right), screen.paint)
    if not screen.is_text:
        screen.document(
            {
                "market": instrument.symbol,
                "equal": not differing,
                "left": book_document(instrument, left, a),
                "right": book_document(instrument, right, b),
            }
        )
    elif differing:
        screen.lines(differing)
    else:
        screen.lines([f"{left} and {right} hold the same {instrument.symbol} book at sequence {a.sequence}"])
    return 1 if differing else 0


def _at_one_sequence(
    ours: ExchangeClient, theirs: ExchangeClient, instrument: Instrument
) -> tuple[BookView, BookView]:
    """Return both books at one sequence: the one behind is asked again for what the other had."""
    levels = LEVELS_OF_A_DIFFERENCE
    a = ours.book(instrument.symbol, levels)
    for _ in range(100):
        b = theirs.book(instrument.symbol, levels, a.sequence)
        if a.sequence == b.sequence:
            return a, b
        a = ours.book(instrument.symbol, levels, b.sequence)
        if a.sequence == b.sequence:
            return a, b
    raise BooksDiffer(
        f"the {instrument.symbol} book moves too fast to be read twice at one sequence",
        hint="p2px verify compares digests instead",
    )
