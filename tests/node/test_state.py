"""Snapshots: whole or refused, whatever happened to the bytes."""

import random

import msgspec
import pytest
from driven import Driven, random_commands

from p2pcli.node.machine import Machine
from p2pcli.node.state import (
    MAGIC,
    BadSnapshot,
    OtherStateVersion,
    decode_state,
    encode_state,
    fingerprint,
    signed,
)


@pytest.fixture(scope="module")
def snapshot() -> bytes:
    driven = Driven()
    for owner, command in random_commands(5, 400):
        driven.do(owner, command)
    assert driven.machine.open_orders > 3
    return driven.machine.snapshot()


def test_snapshot_comes_back_as_the_same_bytes(snapshot):
    assert Machine.restore(snapshot).snapshot() == snapshot


def test_snapshot_of_nothing_comes_back():
    assert Machine.restore(Machine().snapshot()).snapshot() == Machine().snapshot()


def test_any_changed_byte_is_noticed(snapshot):
    chance = random.Random(1)
    for at in range(0, len(snapshot), 7):
        damaged = bytearray(snapshot)
        damaged[at] ^= 1 << chance.randrange(8)
        with pytest.raises(BadSnapshot):
            Machine.restore(bytes(damaged))


def test_any_cut_is_noticed(snapshot):
    for length in range(0, len(snapshot), 11):
        with pytest.raises(BadSnapshot):
            Machine.restore(snapshot[:length])


def test_another_version_and_its_writer_are_named(snapshot):
    with pytest.raises(OtherStateVersion, match="state version 6, written by p2px unknown"):
        Machine.restore(snapshot.replace(MAGIC, b"p2px state 6\n"))
    with pytest.raises(
        OtherStateVersion, match=r"written by p2px 9\.1; this is p2px .* which reads version 5"
    ):
        Machine.restore(snapshot.replace(MAGIC, b"p2px state 6 by 9.1\n"))


def test_who_wrote_a_snapshot_is_no_part_of_the_state(snapshot):
    assert signed(snapshot) != snapshot
    assert Machine.restore(signed(snapshot)).snapshot() == snapshot


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_a_snapshot_that_remembers_ids_in_another_form_is_refused_with_its_version(version):
    # Made by p2px of those days: one owner, one resting order under a client order id.
    place = [1, 0, 5, 100, 0, False, 0, "x"]
    owner = ["ann", [[place, 2, [1, 1, 1, 0, 5, [], []]]], []]
    market = ["BTC/USD", 1, 1_000_000, 1, 1000, 1000]
    head = [2, bytes(32), bytes(32), 9, [["n", 1, 2]], market, False, 0, 1, 0]
    keys = [[], None][: version - 1]
    body = msgspec.msgpack.encode([*head, [[1, "ann", place, 5, 2, 9]], [owner], [], *keys])
    old = b"p2px state %d\n" % version + fingerprint(body) + body
    with pytest.raises(OtherStateVersion, match=f"state version {version}, .* which reads version 5"):
        Machine.restore(old)


def _changed(snapshot: bytes, **fields: object) -> bytes:
    state = decode_state(snapshot)
    values = {name: getattr(state, name) for name in state.__struct_fields__}
    return encode_state(type(state)(**{**values, **fields}))


def test_state_that_no_machine_can_be_in_is_refused_though_its_digest_is_right(snapshot):
    state = decode_state(snapshot)
    first = state.orders[0]
    for fields in (
        {"orders": [first, *state.orders]},
        {"orders": list(reversed(state.orders)), "last_order": first.id - 1},
        {"owners": []},
        {"owners": [*state.owners, *state.owners]},
        {"sessions": [*state.sessions, *state.sessions]},
        {"last_order": 0},
    ):
        with pytest.raises(BadSnapshot, match=f"sequence {state.sequence}"):
            Machine.restore(_changed(snapshot, **fields))


def test_digest_tells_states_apart(snapshot):
    state = decode_state(snapshot)
    machine = Machine.restore(snapshot)
    for fields in ({"halted": not state.halted}, {"last_trade": state.last_trade + 1}, {"time_ns": 1}):
        assert Machine.restore(_changed(snapshot, **fields)).state_digest() != machine.state_digest()
