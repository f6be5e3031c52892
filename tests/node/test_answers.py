"""Each request gets its own answer back, whole, in as many frames as it takes."""

from typing import Any

import msgspec
import pytest

from p2pcli.market.commands import Cancel, CancelAll, Place, Side
from p2pcli.market.events import Cancelled, Done, Fill, Placed, Reason, Refused, Repeated, Status
from p2pcli.node.answers import Answer, answer_frames, answers_apart
from p2pcli.node.requests import Answers, decode_reply, encode
from p2pcli.rpc.frame import FrameDecoder

BUY = Place(Side.BUY, 5, 100)


def sweep(fills: int) -> Placed:
    """Return the outcome of an order that met so many others: 35 bytes for each."""
    met = [Fill(number, 1 << 40, 1, 1 << 40, "somebody", 0) for number in range(fills)]
    return Placed(7, Status.FILLED, fills, 0, met)


def answers(sequence: int, counts: list[int], outcomes: list[Any]) -> list[Answer]:
    """Return what arrives of outcomes that are notes of their own."""
    commands = [CancelAll()] * len(outcomes)
    frames = answer_frames(sequence, list(range(len(counts))), counts, commands, outcomes)
    found = [decode_reply(payload) for payload in FrameDecoder().feed(frames)]
    return [answer for reply in found for answer in answers_apart(reply, lambda of: commands[: counts[of]])]


def test_answers_to_several_requests_come_apart_as_they_were_put_together():
    asked = {9: [BUY], 12: [Cancel(1), BUY]}
    answers = decode_reply(encode(Answers(1042, [9, 12], [1, 2], [1, 0, 5, Refused(Reason.HALTED)])))
    assert isinstance(answers, Answers)
    assert list(answers_apart(answers, asked.__getitem__)) == [
        Answer(9, 1042, [Placed(1, Status.OPEN, 0, 5)]),
        Answer(12, 1042, [Cancelled(1, 0, 5), Refused(Reason.HALTED)]),
    ]


@pytest.mark.parametrize(
    ("ids", "counts", "notes"),
    [
        pytest.param([9], [2], [1, 2], id="more answers than commands"),
        pytest.param([9, 10], [1], [1, 2], id="a request without a count"),
        pytest.param([9, 10], [1, -1], [1], id="fewer than none"),
        pytest.param([9, 10], [1, 1], [1], id="notes that end early"),
        pytest.param([9], [1], [1, 2], id="notes that go on"),
        pytest.param([9], [1], [-1, "x", 0, 1, 0], id="notes that are none"),
        pytest.param([9], [1], [-1, 3, 0, 1, 0], id="makers that are missing"),
        pytest.param([], [], [1], id="nothing asked"),
    ],
)
def test_answers_that_do_not_add_up_are_noticed(ids, counts, notes):
    with pytest.raises(ValueError, match=r"notes|answers|zip"):
        list(answers_apart(Answers(1042, ids, counts, notes), lambda _: [BUY]))


def test_answers_that_need_several_frames_arrive_whole():
    outcomes = [Cancelled(1, 0, 1), sweep(20_000), Done(), sweep(20_000), Done()]
    assert answers(5, [2, 1, 2], outcomes) == [
        Answer(0, 5, outcomes[:2]),
        Answer(1, 5, outcomes[2:3]),
        Answer(2, 5, outcomes[3:]),
    ]


def test_notes_that_need_several_frames_are_cut_between_requests():
    buy, cancel = Place(Side.BUY, 40_000, 100), Cancel(5)
    traded = [-7, 40_000, 0, 1, 0, *(100, 1, 1 << 40, "somebody") * 40_000]
    commands, notes = [buy, cancel, buy, cancel], [*traded, 2, 3, *traded, 4, 5]
    frames = answer_frames(9, [1, 2], [2, 2], commands, notes)
    first, second = (decode_reply(payload) for payload in FrameDecoder().feed(frames))
    asked = {1: commands[:2], 2: commands[2:]}
    (one,), (two,) = (list(answers_apart(each, asked.__getitem__)) for each in (first, second))
    assert (one.outcomes[1], two.outcomes[1]) == (Cancelled(5, 2, 3), Cancelled(5, 4, 5))
    assert len(one.outcomes[0].fills) == len(two.outcomes[0].fills) == 40_000


@pytest.mark.parametrize("again", [False, True])
def test_an_answer_that_fits_no_frame_comes_without_its_fills(again):
    swept = sweep(60_000)
    outcome = Repeated(3, swept) if again else swept
    (answer,) = answers(5, [2], [outcome, outcome])
    brief = msgspec.structs.replace(swept, fills=[], removed=[])
    assert answer == Answer(0, 5, [Repeated(3, brief) if again else brief] * 2)
