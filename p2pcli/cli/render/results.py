"""What became of each line of an imported file: one line of text, or one JSON object."""

from collections import Counter
from typing import Any

import msgspec

from p2pcli.cli.order_lines import FileCommand
from p2pcli.cli.render.ink import Paint, plain
from p2pcli.cli.render.quantities import price_or_market
from p2pcli.errors import P2pxError
from p2pcli.market.commands import Amend, Cancel, Place
from p2pcli.market.events import Amended, Cancelled, Outcome, Placed, Refused, Repeated, Status
from p2pcli.market.refusals import refusal

NO_ANSWER = ("error", "unknown")  # the line makes no sense; no answer came
STYLES = {"refused": "warn", "error": "bad", "unknown": "bad"}


class Result(msgspec.Struct, frozen=True):
    """One line's answer, or why there is none."""

    line: int
    word: (
        str  # accepted, amended, cancelled, refused; error: the line makes no sense; unknown: no answer came
    )
    text: str
    sequence: int = 0
    order_id: str | None = None
    client_order_id: str | None = None
    status: str | None = None
    filled: str | None = None
    remaining: str | None = None
    is_repeated: bool = False
    error: P2pxError | None = None

    @property
    def is_answer(self) -> bool:
        """Whether the market answered; a refusal is an answer."""
        return self.word not in NO_ANSWER


class Tally:
    """How many lines had which result. ``began`` is a moment on the monotonic clock."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._counts: Counter[str] = Counter()
        self._again = 0
        self.unanswered = 0

    @property
    def lines(self) -> int:
        return self._counts.total()

    def add(self, word: str, is_repeated: bool = False) -> None:
        """Count one line by its result's word; whether it was answered before."""
        self._counts[word] += 1
        self._again += is_repeated
        self.unanswered += word in NO_ANSWER

    def words(self, now: float) -> str:
        """Return the summary: ``20000 lines in 1.1 s: 19990 accepted, 10 refused; 300 of them before``."""
        counts = ", ".join(f"{count} {word}" for word, count in sorted(self._counts.items()))
        again = f"; {self._again} of them in an earlier import" if self._again else ""
        return (
            f"{self.lines} line{'' if self.lines == 1 else 's'} in {now - self._began:.1f} s: {counts}{again}"
        )


def unanswered(line: int, word: str, error: P2pxError) -> Result:
    """Return the result of a line that got no answer."""
    hint = f"; {error.hint}" if error.hint and word == "error" else ""
    return Result(line, word, error.message + hint, error=error)


def word_of(outcome: Outcome) -> str:
    """Return how a line of the file was answered, in one word."""
    match outcome:
        case Repeated():
            return word_of(outcome.outcome)
        case Refused():
            return "refused"
        case Placed():
            return "accepted"
        case Amended():
            return "amended"
        case Cancelled():
            return "cancelled"
        case _:
            raise AssertionError(f"no line of a file is answered with {outcome}")


def refused_or_answered(item: FileCommand, outcome: Outcome, sequence: int, owner: str) -> Result:
    """Return the result of a line whose command was answered."""
    is_repeated = isinstance(outcome, Repeated)
    if isinstance(outcome, Repeated):
        sequence, outcome = outcome.sequence, outcome.outcome
    instrument, command, word = item.instrument, item.command, word_of(outcome)
    client_order_id = getattr(command, "client_order_id", "") or None
    match outcome:
        case Refused():
            error = refusal(instrument, command, outcome, owner)
            return Result(
                item.line,
                word,
                error.message,
                sequence,
                client_order_id=client_order_id,
                is_repeated=is_repeated,
                error=error,
            )
        case Placed() | Amended():
            text = f"{instrument.order_name(outcome.order)}  {_asked(item)}"
            if outcome.filled:
                text += f"  filled {instrument.quantity_text(outcome.filled)}"
            if not outcome.status.is_open and outcome.status is not Status.FILLED:
                text += f"  {outcome.status.name.lower()}"
            return Result(
                item.line,
                word,
                text,
                sequence,
                instrument.order_name(outcome.order),
                client_order_id,
                outcome.status.name.lower(),
                instrument.quantity_text(outcome.filled),
                instrument.quantity_text(outcome.remaining),
                is_repeated,
            )
        case Cancelled():
            rest = instrument.quantity_text(outcome.remaining)
            return Result(
                item.line,
                word,
                f"{instrument.order_name(outcome.order)}  {rest} {instrument.symbol} unfilled",
                sequence,
                instrument.order_name(outcome.order),
                client_order_id,
                "cancelled",
                instrument.quantity_text(outcome.filled),
                "0",
                is_repeated,
            )
        case _:
            raise AssertionError(f"{command} was answered with {outcome}")


def result_line(result: Result, paint: Paint = plain) -> str:
    """Return ``line 7  accepted   1042  BUY 0.5 ...``."""
    word = paint(result.word, STYLES.get(result.word, "good"))
    padding = " " * max(1, 10 - len(result.word))
    again = "  (again)" if result.is_repeated else ""
    return f"line {result.line:<5} {word}{padding}{result.text}{again}"


def result_document(result: Result) -> dict[str, Any]:
    """Return the object for programs; ``error`` is null where the line was accepted."""
    error = result.error
    return {
        "line": result.line,
        "result": result.word,
        "order_id": result.order_id,
        "client_order_id": result.client_order_id,
        "status": result.status,
        "filled": result.filled,
        "remaining": result.remaining,
        "sequence": result.sequence or None,
        "repeated": result.is_repeated,
        "error": error and {"code": error.code, "message": error.message, "hint": error.hint},
    }


def _asked(item: FileCommand) -> str:
    instrument = item.instrument
    match item.command:
        case Place(side=side, quantity=quantity, price=price, tif=tif):
            return (
                f"{side.name} {instrument.quantity_text(quantity)} {instrument.symbol}"
                f" @ {price_or_market(instrument, price)}  {tif.name.lower()}"
            )
        case Amend(quantity=quantity, price=price):
            at = f" @ {instrument.price_text(price)}" if price else ""
            return f"to {instrument.quantity_text(quantity)} {instrument.symbol}{at}"
        case Cancel() | _:
            return instrument.symbol
