"""Notes stand for outcomes: what they say, read beside their commands."""

import msgspec
import pytest

from p2pcli.market.commands import Amend, Cancel, Command, Halt, Place, Side
from p2pcli.market.events import Cancelled, Done, Fill, Outcome, Placed, Reason, Refused, Status
from p2pcli.market.notes import BadNotes, Notes, decode_notes, encode_notes, order_at, outcomes_of

BUY = Place(Side.BUY, 9, 100)
EACH: list[tuple[Command, Notes, Outcome, int]] = [
    (BUY, [7], Placed(7, Status.OPEN, 0, 9), 7),
    (
        BUY,
        [-8, 2, 4, 31, 0, 99, 2, 5, "ann", 100, 3, 6, "bob"],
        Placed(
            8, Status.PARTIALLY_FILLED, 5, 4, [Fill(31, 99, 2, 5, "ann", 0), Fill(32, 100, 3, 6, "bob", 0)]
        ),
        8,
    ),
    (
        BUY,
        [-8, 1, 0, 31, 9, 99, 4, 5, "ann"],
        Placed(8, Status.FILLED, 9, 0, [Fill(31, 99, 9, 5, "ann", 4)]),
        8,
    ),
    (BUY, [Refused(Reason.HALTED, 12)], Refused(Reason.HALTED, 12), 12),
    (Cancel(3), [2, 5], Cancelled(3, 2, 5), 0),
    (Cancel(0, "x"), [Cancelled(4, 0, 1)], Cancelled(4, 0, 1), 0),
    (Halt("h"), [Done()], Done(), 0),
]


@pytest.mark.parametrize(("command", "notes", "outcome", "order"), EACH)
def test_notes_say_what_the_outcome_says(command, notes, outcome, order):
    assert outcomes_of(notes, [command]) == [outcome]
    if isinstance(command, Place):
        assert order_at(notes, 0) == order


def test_notes_of_a_group_follow_each_other_and_come_back_from_their_bytes():
    flat = [note for _, notes, _, _ in EACH for note in notes]
    (read,) = decode_notes(encode_notes([flat]))
    assert read == flat
    assert outcomes_of(read, [command for command, *_ in EACH]) == [outcome for _, _, outcome, _ in EACH]


def test_outcomes_as_they_were_stored_before_there_were_notes_are_notes():
    outcomes = [outcome for _, _, outcome, _ in EACH]
    (read,) = decode_notes(msgspec.msgpack.encode([outcomes]))
    assert outcomes_of(read, [command for command, *_ in EACH]) == outcomes


@pytest.mark.parametrize(
    ("notes", "command"),
    [
        ([], BUY),
        ([7, 8], BUY),
        ([-8, 1, 0, 31, 0, 99, 2], BUY),
        ([-8], BUY),
        ([5], Cancel(3)),
        ([7], Amend(1)),
    ],
)
def test_notes_that_are_not_of_these_commands_are_noticed(notes, command):
    with pytest.raises(BadNotes):
        outcomes_of(notes, [command])
