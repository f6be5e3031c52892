"""``p2px order import``: a file of orders, streamed to one node in frames, with a result for every line."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TextIO

import click

from p2pcli.cli.invocation import Invocation
from p2pcli.cli.options import market_option, node_option
from p2pcli.cli.order_lines import MAX_LINE, FileCommand, FileMistake, Reader
from p2pcli.cli.render.results import (
    Result,
    Tally,
    refused_or_answered,
    result_document,
    result_line,
    unanswered,
)
from p2pcli.cli.screen import Screen
from p2pcli.cli.trader import Trader
from p2pcli.cli.verbs import Verb
from p2pcli.cli.words import market_named
from p2pcli.clock import monotonic
from p2pcli.errors import BadInput, P2pxError
from p2pcli.node.roaming import new_id

FRAME = 100  # commands that travel and are made durable together


class NoSuchFile(BadInput):
    """The file of orders cannot be read."""

    code = "no_such_file"


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
    invocation: Invocation, source: str, node: str | None, market: str | None, on_error: str, quiet: bool
) -> int:
    """Carry out a file of orders: CSV with a header, or JSON lines.

    \b
    side,quantity,price,market,tif,post_only,stp,client_order_id
    buy,0.5,30000,BTC/USD,gtc,,,a-1

    \b
    {"side": "buy", "quantity": "0.5", "price": "30000", "client_order_id": "a-1"}
    {"op": "cancel", "client_order_id": "a-1"}
    {"op": "amend", "order_id": "1042", "quantity": "0.7", "price": "29990"}

    Where lines carry a client order id, importing a file again changes nothing: use that after an
    interruption. Exit code 0 when every line was answered (a refusal is an answer), else 1.
    """
    screen = invocation.screen
    tally = Tally(monotonic())
    try:
        with ExitStack() as stack:
            stream = stack.enter_context(_opened(source))
            trader = stack.enter_context(Trader(invocation, node))
            progress = stack.enter_context(screen.progress(_size(stream)))
            show = _shown_as_text(screen) if screen.is_text else _shown_as_json(stack, screen)
            instruments = trader.client.instruments
            default = market_named(instruments, market or invocation.config.client.market).symbol
            reader = Reader(instruments, default, new_id())
            frames = _Frames(trader, tally, _only_trouble(show) if quiet else show)
            for item in reader.read(_bounded_lines(stream, progress)):
                if not frames.take(item) and on_error == "stop":
                    break
            frames.flush()
    finally:
        if tally.lines:
            screen.note(tally.words(monotonic()))
    if not tally.unanswered:
        return 0
    if not screen.is_text:
        return Incomplete.exit_code  # the results say which ones
    raise Incomplete(
        f"{tally.unanswered} of {tally.lines} lines were not answered",
        hint="mend them and import the file again; lines with a client order id are not done twice",
    )


Show = Callable[[Result], None]


class _Frames:
    """Gathers commands into frames, hands each frame in, and reports every line once, in order."""

    def __init__(self, trader: Trader, tally: Tally, show: Show) -> None:
        self._trader = trader
        self._tally = tally
        self._show = show
        self._frame: list[FileCommand] = []

    def take(self, item: FileCommand | FileMistake) -> bool:
        """Add a line; False when it made no sense."""
        if isinstance(item, FileMistake):
            self.flush()
            self._report(unanswered(item.line, "error", item.error))
            return False
        if self._frame and (len(self._frame) == FRAME or self._frame[0].instrument != item.instrument):
            self.flush()
        self._frame.append(item)
        return True

    def flush(self) -> None:
        """Hand in what was gathered and report it. Raises what ended the connection for good."""
        frame, self._frame = self._frame, []
        if not frame:
            return
        try:
            answer = self._trader.submit(frame[0].instrument.symbol, [item.command for item in frame])
        except P2pxError as error:
            for item in frame:
                self._report(unanswered(item.line, "unknown", error))
            raise
        for item, outcome in zip(frame, answer.outcomes, strict=True):
            self._report(refused_or_answered(item, outcome, answer.sequence, self._trader.owner))

    def _report(self, result: Result) -> None:
        self._tally.add(result)
        self._show(result)


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


def _only_trouble(show: Show) -> Show:
    return lambda result: None if result.error is None else show(result)


def _opened(source: str) -> TextIO:
    if source == "-":
        # A file object of its own, so that leaving the block does not close the process's stdin.
        return open(sys.stdin.fileno(), encoding="utf-8-sig", errors="replace", closefd=False)
    try:
        return open(source, encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise NoSuchFile(
            f"{source} cannot be read: {error.strerror}", hint="- reads standard input"
        ) from error


def _size(stream: TextIO) -> int | None:
    """Return the bytes to read, or None for a pipe."""
    return os.fstat(stream.fileno()).st_size if stream.seekable() else None


def _bounded_lines(stream: TextIO, progress: Callable[[int], None]) -> Iterator[str]:
    """Yield lines; of one longer than ``MAX_LINE`` only so much that it is seen to be too long."""
    while line := stream.readline(MAX_LINE + 1):
        progress(len(line))
        whole = line
        while whole and not whole.endswith("\n") and (whole := stream.readline(MAX_LINE)):
            progress(len(whole))
        yield line
