"""A picture of the state: the bytes that encoding it at once gives, whatever is done meanwhile."""

import msgspec
import pytest
from driven import Driven, random_commands

from p2pcli.node.picture import in_pieces
from p2pcli.node.state import decode_state, encode_state


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 65_535, 65_536, 65_537])
@pytest.mark.parametrize("at_once", [1, 16, 500, 70_000])
def test_a_list_in_pieces_is_the_list_encoded_at_once(count: int, at_once: int):
    if count > 1000 and at_once == 1:
        at_once = 3
    items = list(range(count))
    assert bytes(in_pieces(iter(items), count, at_once)) == msgspec.msgpack.encode(items)


def test_a_picture_gives_the_canonical_bytes_of_the_state():
    driven = Driven()
    for owner, command in random_commands(11, 900):
        driven.do(owner, command)
    data = driven.machine.picture().encoded()
    assert data == encode_state(decode_state(data))
    assert len(decode_state(data).orders) == driven.machine.open_orders > 3


@pytest.mark.parametrize("seed", range(8))
def test_what_happens_after_a_picture_is_not_in_it(seed: int):
    driven, commands = Driven(), list(random_commands(seed, 600))
    for owner, command in commands[:300]:
        driven.do(owner, command)
    picture, now = driven.machine.picture(), driven.machine.snapshot()
    for owner, command in commands[300:]:
        driven.do(owner, command)
    assert picture.encoded() == now != driven.machine.snapshot()
