"""Requests and replies survive the wire, and no bytes make anything but a request or our own error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pcli.errors import P2pxError
from p2pcli.market.commands import Cancel, Checkpoint, Place, Side
from p2pcli.node.requests import (
    MAX_COMMAND_BYTES_IN_FRAME,
    MAX_COMMANDS_IN_FRAME,
    BadCommands,
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

BUY = Place(Side.BUY, 5, 100)


def test_a_submit_arrives_as_the_commands_that_were_asked():
    commands = [Place(Side.BUY, 5, 100), Cancel(7)]
    assert decode_request(encode(Submit(9, 1, commands))) == Submit(9, 1, commands)


@pytest.mark.parametrize(
    "commands",
    [
        pytest.param([], id="none"),
        pytest.param([Cancel(7)] * (MAX_COMMANDS_IN_FRAME + 1), id="too many"),
        pytest.param([Cancel(0, "x" * MAX_COMMAND_BYTES_IN_FRAME)], id="too many bytes"),
        pytest.param([Checkpoint(1, b"", 0)], id="one that only nodes send"),
        pytest.param([["no", "command"]], id="no command"),
    ],
)
def test_commands_that_no_client_may_ask_are_refused_by_the_id_of_their_request(commands):
    with pytest.raises(BadCommands) as caught:
        decode_request(encode(Submit(9, 1, commands)))
    assert caught.value.request == 9


def test_a_field_added_later_may_be_missing():
    assert decode_request(encode([2, 5, 1])) == ReadBook(5, 1, 10, 0)


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
