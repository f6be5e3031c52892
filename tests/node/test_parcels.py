"""Requests go into parcels that fit, none is lost or out of order, and each gets its own answer back."""

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pcli.market.commands import Cancel, CancelAll
from p2pcli.market.events import Cancelled, Done, Fill, Placed, Repeated, Status
from p2pcli.node.parcels import (
    MAX_PARCEL_BYTES,
    MAX_PARCEL_COMMANDS,
    answer_frames,
    parcels,
)
from p2pcli.node.requests import Answer, Submit, answers_apart, decode_reply, decode_request, encode
from p2pcli.rpc.frame import FrameDecoder

NOBODY: Any = SimpleNamespace(session="3f9a1c20d4")


def sweep(fills: int) -> Placed:
    """Return the outcome of an order that met so many others: 35 bytes for each."""
    met = [Fill(number, 1 << 40, 1, 1 << 40, "somebody", 0) for number in range(fills)]
    return Placed(7, Status.FILLED, fills, 0, met)


def answers(sequence: int, counts: list[int], outcomes: list[Any]) -> list[Answer]:
    frames = answer_frames(sequence, list(range(len(counts))), counts, outcomes)
    found = [decode_reply(payload) for payload in FrameDecoder().feed(frames)]
    return [answer for reply in found for answer in answers_apart(reply)]


@given(st.lists(st.tuples(st.integers(1, 900), st.integers(0, 200)), min_size=1, max_size=30))
def test_parcels_keep_every_request_in_order_and_their_limits(sizes):
    submits = [
        Submit(number, 1, [Cancel(number, "x" * length)] * count)
        for number, (count, length) in enumerate(sizes)
    ]
    found = list(parcels(NOBODY, "ann", submits))
    assert [number for parcel in found for number in parcel.ids] == list(range(len(submits)))
    assert [command for parcel in found for command in parcel.commands] == [
        command for submit in submits for command in submit.commands
    ]
    for parcel in found:
        assert sum(parcel.counts) == len(parcel.commands)
        assert bytes(parcel.encoded) == encode(parcel.commands)
        within = len(parcel.encoded) <= MAX_PARCEL_BYTES and len(parcel.commands) <= MAX_PARCEL_COMMANDS
        assert within or len(parcel.ids) == 1


def test_commands_that_came_in_few_bytes_still_fit_a_batch():
    payload = encode([1, 9, 1, [[4]] * 1000])  # fields that have defaults may be left out
    (parcel,) = parcels(NOBODY, "ann", [decode_request(payload)])
    assert parcel.commands == [CancelAll()] * 1000
    assert msgspec.msgpack.decode(parcel.encoded) == [[4, None, ""]] * 1000


def test_answers_that_need_several_frames_arrive_whole():
    outcomes = [Cancelled(1, 0, 1), sweep(20_000), Done(), sweep(20_000), Done()]
    assert answers(5, [2, 1, 2], outcomes) == [
        Answer(0, 5, outcomes[:2]),
        Answer(1, 5, outcomes[2:3]),
        Answer(2, 5, outcomes[3:]),
    ]


@pytest.mark.parametrize("again", [False, True])
def test_an_answer_that_fits_no_frame_comes_without_its_fills(again):
    swept = sweep(60_000)
    outcome = Repeated(3, swept) if again else swept
    (answer,) = answers(5, [2], [outcome, outcome])
    brief = msgspec.structs.replace(swept, fills=[], removed=[])
    assert answer == Answer(0, 5, [Repeated(3, brief) if again else brief] * 2)
