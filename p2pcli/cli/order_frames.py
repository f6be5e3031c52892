"""Lines of an order file on their way: gathered into frames, handed in, each reported once, in order."""

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b

import msgspec

from p2pcli.cli.order_lines import FileCommand, FileMistake
from p2pcli.cli.render.results import Result, Tally, refused_or_answered, unanswered, word_of
from p2pcli.cli.trader import Trader
from p2pcli.cluster.answered import AnsweredLines, LineAnswer, Newest
from p2pcli.errors import P2pxError
from p2pcli.market.commands import Place
from p2pcli.market.events import Amended, Cancelled, Outcome, Placed, Reason, Refused, Repeated

FRAME = 100  # commands that travel and are made durable together
KEY_BYTES = 16  # so many that no two lines ever share a key by chance

Show = Callable[[Result], None]

_encode = msgspec.msgpack.Encoder().encode


class _Line(msgspec.Struct):
    """One line on its way. ``answer`` is missing until there is one."""

    item: FileCommand
    key: bytes  # under which it is noted; b"" without an id of the file's own
    answer: tuple[int, Outcome] | None = None  # sequence, outcome


class Frames:
    """Hands in the lines that have no answer yet. Every answer is noted before it is shown."""

    def __init__(
        self, trader: Trader, answered: AnsweredLines, tally: Tally, show: Show, quiet: bool
    ) -> None:
        """``quiet``: only refusals and what went wrong are shown."""
        self._trader = trader
        self._answered = answered
        self._tally = tally
        self._show = show
        self._quiet = quiet
        self._frame: list[_Line] = []

    def take(self, item: FileCommand | FileMistake) -> bool:
        """Add a line; False when it made no sense. Raises as ``flush``."""
        if isinstance(item, FileMistake):
            self.flush()
            self._report(unanswered(item.line, "error", item.error))
            return False
        if self._frame and (len(self._frame) == FRAME or self._frame[0].item.instrument != item.instrument):
            self.flush()
        self._frame.append(_Line(item, _key(self._trader.owner, item) if item.has_id else b""))
        return True

    def flush(self) -> None:
        """Hand in what was gathered and report it. Raises what ended the connection, ``NotNoted``."""
        frame, self._frame = self._frame, []
        try:
            self._recall(frame)
            fresh = [line for line in frame if line.answer is None]
            self._submit(fresh)
            self._note(fresh)
        except P2pxError as error:
            self._report_all(frame, error)
            raise
        self._report_all(frame)

    def _recall(self, frame: Iterable[_Line]) -> None:
        noted = self._answered.find([line.key for line in frame if line.key])
        for line in frame:
            if (found := noted.get(line.key)) is not None:
                line.answer = found.sequence, Repeated(found.sequence, found.outcome)

    def _submit(self, fresh: Sequence[_Line]) -> None:
        if fresh:
            answer = self._trader.submit(
                fresh[0].item.instrument.symbol, [line.item.command for line in fresh]
            )
            for line, outcome in zip(fresh, answer.outcomes, strict=True):
                line.answer = answer.sequence, outcome

    def _note(self, fresh: Iterable[_Line]) -> None:
        notes, newest = [], None
        for line in fresh:
            assert line.answer is not None, "submitted"
            note = _lasting(*line.answer) if line.key else None
            if note is not None:
                notes.append((line.key, note))
                command = line.item.command
                if isinstance(note.outcome, Placed) and isinstance(command, Place):
                    symbol = line.item.instrument.symbol
                    newest = Newest(symbol, note.outcome.order, command.client_order_id)
        self._answered.add(notes, newest)

    def _report_all(self, frame: Iterable[_Line], trouble: P2pxError | None = None) -> None:
        for line in frame:
            if line.answer is None:
                assert trouble is not None, "every line is answered, or something ended that"
                self._report(unanswered(line.item.line, "unknown", trouble))
                continue
            sequence, outcome = line.answer
            word = word_of(outcome)
            if self._quiet and word != "refused":  # nobody sees the rest, which takes a third of the time
                self._tally.add(word, isinstance(outcome, Repeated))
            else:
                self._report(refused_or_answered(line.item, outcome, sequence, self._trader.owner))

    def _report(self, result: Result) -> None:
        self._tally.add(result.word, result.is_repeated)
        self._show(result)


def _key(owner: str, item: FileCommand) -> bytes:
    """Return what stands for one owner's line: a line that differs in anything has another key."""
    content = _encode((owner, item.instrument.symbol, item.command))
    return blake2b(content, digest_size=KEY_BYTES).digest()


def _lasting(sequence: int, outcome: Outcome) -> LineAnswer | None:
    """Return what a repeat of the line would be told for ever, None when it may be another answer."""
    match outcome:
        case Repeated():
            return _lasting(outcome.sequence, outcome.outcome)
        case Placed() | Amended():
            return LineAnswer(sequence, msgspec.structs.replace(outcome, fills=[], removed=[]))
        case Refused(
            reason=Reason.KEY_REFUSED
        ):  # not remembered by the exchange either: a key can be granted
            return None
        case Cancelled() | Refused():
            return LineAnswer(sequence, outcome)
    return None
