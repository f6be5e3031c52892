"""What became of requests, on its way back: framed by the node, taken apart by the client who asked. Pure.

Notes travel as the machine made them (``market.notes``). They are read beside the commands, which whoever
asked still has.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from p2pcli.market.commands import Command
from p2pcli.market.events import Amended, CancelledAll, Outcome, Placed, Repeated
from p2pcli.market.notes import BadNotes, Notes, after, outcomes_of
from p2pcli.node.requests import Answers, encode
from p2pcli.rpc.frame import FrameTooLarge, framed


class Answer(msgspec.Struct, frozen=True):
    """One request's part of ``Answers``, as a client takes them apart."""

    id: int
    sequence: int
    outcomes: list[Outcome]
    request: str = ""  # what every node's log calls the request; where one waited for this answer


def answer_frames(
    sequence: int, ids: list[int], counts: list[int], commands: Sequence[Command], notes: Notes
) -> bytes:
    """Return the framed answer to these requests, in several frames where one is too small.

    An answer of one request that fits no frame comes without its fills: they can be read order by order.
    """
    try:
        return framed(encode(Answers(sequence, ids, counts, notes)))
    except FrameTooLarge:
        if len(ids) == 1:  # a sweep of tens of thousands of orders
            brief: Notes = [_brief(outcome) for outcome in outcomes_of(notes, commands)]
            return framed(encode(Answers(sequence, ids, counts, brief)))
    middle = len(ids) // 2
    split = sum(counts[:middle])
    end = end_of(notes, 0, commands[:split])
    return answer_frames(
        sequence, ids[:middle], counts[:middle], commands[:split], notes[:end]
    ) + answer_frames(sequence, ids[middle:], counts[middle:], commands[split:], notes[end:])


def answers_apart(answers: Answers, commands: Callable[[int], Sequence[Command]]) -> Iterator[Answer]:
    """Yield each request's answer; ``commands`` gives those of a request, by its id.

    Raises ``ValueError`` when ids, counts and notes do not fit them. O(notes).
    """
    begin = 0
    for request, count in zip(answers.ids, answers.counts, strict=True):
        asked = commands(request)
        if len(asked) != count:
            raise ValueError(f"{count} answers to the {len(asked)} commands of request {request}")
        end = end_of(answers.notes, begin, asked)
        yield Answer(request, answers.sequence, outcomes_of(answers.notes[begin:end], asked))
        begin = end
    if begin != len(answers.notes):
        raise ValueError(f"notes go on after {begin}")


def end_of(notes: Notes, begin: int, commands: Iterable[Command]) -> int:
    """Return where the notes on these commands end, which begin there. Raises ``BadNotes``. O(commands)."""
    try:
        for command in commands:
            begin = after(notes, begin, command)
    except (IndexError, TypeError) as error:
        raise BadNotes(f"notes differ or end at {begin}: {error}") from None
    return begin


def _brief(outcome: Outcome) -> Outcome:
    if isinstance(outcome, Placed | Amended):
        return msgspec.structs.replace(outcome, fills=[], removed=[])
    if isinstance(outcome, CancelledAll):
        return msgspec.structs.replace(outcome, removed=[])
    if isinstance(outcome, Repeated):
        inner = _brief(outcome.outcome)
        assert not isinstance(inner, Repeated), "a first answer is no repeat"
        return Repeated(outcome.sequence, inner)
    return outcome
