"""What a batch carries: it comes back as it went in, and no bytes do worse than BadBody."""

import random
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pcli import __version__
from p2pcli.market.commands import Amend, Cancel, CancelAll, Halt, Place, Side
from p2pcli.node import body as room
from p2pcli.node.asked import asked
from p2pcli.node.body import BadBody, Body, Group, decode_body, encode_body

COMMANDS = [
    Place(Side.BUY, 5, 100, client_order_id="x"),
    Cancel(7, command_id="c"),
    Amend(7, 9),
    CancelAll(Side.SELL),
    Halt(),
]
RAW = msgspec.Raw(msgspec.msgpack.encode(COMMANDS))
ASKED = asked("3f9a1c20d4", [3, 4], [1, 4], 5)
GOOD = encode_body(123, [("ann", RAW, ASKED), ("bob", RAW)])


def test_body_comes_back_as_it_went_in():
    assert decode_body(GOOD) == Body(2, 123, [Group("ann", COMMANDS, ASKED), Group("bob", COMMANDS)])


def test_a_body_of_the_first_version_is_read_without_names_of_requests():
    old = msgspec.msgpack.encode((1, 123, [("ann", RAW)]))
    assert decode_body(old) == Body(1, 123, [Group("ann", COMMANDS)])


def test_clients_own_bytes_are_embedded_as_they_are():
    assert bytes(RAW) in GOOD


def test_unknown_version_is_named_whatever_else_changed():
    with pytest.raises(
        BadBody, match=f"version 3, this is p2px {__version__}, which reads version 2"
    ) as raised:
        decode_body(msgspec.msgpack.encode((3, {"new": "form"}, None)))
    assert raised.value.hint is not None
    with pytest.raises(BadBody, match="version 0"):
        decode_body(msgspec.msgpack.encode((0, 1, [])))


@pytest.mark.parametrize("time_ns", [-1, 1 << 63])
def test_time_outside_history_is_refused(time_ns):
    with pytest.raises(BadBody, match="time"):
        decode_body(encode_body(time_ns, []))


def test_too_many_commands_or_groups_are_refused(monkeypatch):
    monkeypatch.setattr(room, "MAX_COMMANDS", 9)
    with pytest.raises(BadBody, match="10 commands in 2 groups"):
        decode_body(GOOD)
    monkeypatch.undo()
    monkeypatch.setattr(room, "MAX_GROUPS", 1)
    with pytest.raises(BadBody, match="2 groups"):
        decode_body(GOOD)


@given(st.binary(max_size=200))
def test_garbage_is_a_bad_body_and_nothing_else(data):
    with suppress(BadBody):
        decode_body(data)


def test_every_changed_byte_and_every_cut_is_a_body_or_a_bad_body():
    chance = random.Random(3)
    for at in range(len(GOOD)):
        changed = bytearray(GOOD)
        changed[at] = chance.randrange(256)
        for data in (bytes(changed), GOOD[:at]):
            try:
                decode_body(data)
            except BadBody:
                continue


@pytest.mark.parametrize(
    "data",
    [
        b"\x91" * 100_000,  # nested deeper than any stack
        b"\x93\x01\x02" + b"\x91" * 100_000,
        b"\x93\x01\x02\xdd\xff\xff\xff\xff",  # four thousand million groups announced
        b"\x93\x01\x02\x91\x92\xa2\xff\xff\x90",  # an owner that is no UTF-8
        b"\x93\x01\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00\x90",  # a time that is no number
    ],
)
def test_malice_is_a_bad_body(data):
    with pytest.raises(BadBody):
        decode_body(data)
