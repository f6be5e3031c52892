"""``p2px order import``: a file of orders, streamed to one node in frames, with a result for every line."""

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TextIO

import click

from p2pcli.cli.invocation import Invocation
from p2pcli.cli.options import market_option, node_option
from p2pcli.cli.order_lines import MAX_LINE, FileCommand, FileMistake, Reader
from p2pcli.cli.render.results import Result, refused_or_answered, result_document, result_line, unanswered
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
    with ExitStack() as stack:
        stream = stack.enter_context(_opened(source))
        trader = stack.enter_context(Trader(invocation, node))
        instruments = trader.client.instruments
        default = market_named(instruments, market or invocation.config.client.market).symbol
        reader = Reader(instruments, default, new_id())
        progress = stack.enter_context(invocation.screen.progress(_size(stream)))
        desk = _Desk(invocation, trader, quiet)
        try:
            for item in reader.read(_bounded_lines(stream, progress)):
                if not desk.take(item) and on_error == "stop":
                    break
            desk.flush()
        finally:
            desk.summarize()
    if desk.unanswered:
        raise Incomplete(
            f"{desk.unanswered} of {desk.lines} lines were not answered",
            hint="mend them and import the file again; lines with a client order id are not done twice",
        )
    return 0


class _Desk:
    """Gathers commands into frames, hands each frame in, and reports every line once, in order."""

    def __init__(self, invocation: Invocation, trader: Trader, quiet: bool) -> None:
        self._screen = invocation.screen
        self._trader = trader
        self._quiet = quiet
        self._frame: list[FileCommand] = []
        self._counts: Counter[str] = Counter()
        self._began = monotonic()
        self.lines = 0
        self.unanswered = 0

    def take(self, item: FileCommand | FileMistake) -> bool:
        """Add a line; False when it made no sense."""
        self.lines += 1
        if isinstance(item, FileMistake):
            self.flush()
            self.unanswered += 1
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
            self.unanswered += len(frame)
            for item in frame:
                self._report(unanswered(item.line, "unknown", error))
            raise
        for item, outcome in zip(frame, answer.outcomes, strict=True):
            self._report(refused_or_answered(item, outcome, answer.sequence, self._trader.owner))

    def summarize(self) -> None:
        took = monotonic() - self._began
        counts = ", ".join(f"{count} {name}" for name, count in sorted(self._counts.items())) or "nothing"
        self._screen.note(f"{self.lines} lines in {took:.1f} s: {counts}")

    def _report(self, result: Result) -> None:
        self._counts[result.word] += 1
        if self._screen.is_text:
            if result.error is not None and result.word != "refused":
                self._screen.note(result_line(result, self._screen.message_paint))
            elif not self._quiet or result.error is not None:
                self._screen.lines([result_line(result, self._screen.paint)])
        elif not self._quiet or result.error is not None:
            self._screen.document(result_document(result))


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
