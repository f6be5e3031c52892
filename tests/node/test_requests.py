"""Requests and replies survive the wire, and no bytes make anything but a request or our own error."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pcli.errors import P2pxError
from p2pcli.market.commands import Cancel, Place, Side
from p2pcli.market.events import Placed, Status
from p2pcli.node.requests import (
    Answer,
    BadRequest,
    Busy,
    Fault,
    NoSuchOrder,
    ReadBook,
    Submit,
    Unknown,
    as_error,
    decode_reply,
    decode_request,
    encode,
    fault,
)


def test_a_submit_keeps_its_commands_as_the_bytes_that_came():
    commands = msgspec.Raw(encode([Place(Side.BUY, 5, 100), Cancel(7)]))
    request = decode_request(encode(Submit(9, 1, commands)))
    assert isinstance(request, Submit)
    assert (request.id, request.market, bytes(request.commands)) == (9, 1, bytes(commands))


def test_a_field_added_later_may_be_missing():
    assert decode_request(encode([2, 5, 1])) == ReadBook(5, 1, 10, 0)


def test_an_answer_keeps_its_outcomes():
    answer = Answer(9, 1042, [Placed(1, Status.OPEN, 0, 5)])
    assert decode_reply(encode(answer)) == answer


@pytest.mark.parametrize("error", [Busy("b"), NoSuchOrder("n", hint="h"), BadRequest("r"), Unknown("u")])
def test_a_fault_arrives_as_the_error_it_was(error):
    arrived = as_error(decode_reply(encode(fault(3, error))))
    assert (type(arrived), arrived.message, arrived.hint) == (type(error), error.message, error.hint)


def test_a_fault_with_a_code_unknown_here_is_still_a_p2px_error():
    assert type(as_error(Fault(1, "from_the_future", "no"))) is P2pxError


@given(st.binary(max_size=64))
def test_garbage_is_no_request(garbage):
    try:
        decode_request(garbage)
    except BadRequest:
        pass


def test_deep_nesting_is_no_request():
    with pytest.raises(BadRequest):
        decode_request(b"\x93\x01\x09" + b"\x91" * 100_000)
