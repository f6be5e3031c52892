"""Requests go into parcels that fit, and none is lost or out of order."""

from types import SimpleNamespace
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from p2pcli.market.commands import Cancel, CancelAll
from p2pcli.node.parcels import MAX_PARCEL_BYTES, MAX_PARCEL_COMMANDS, parcels
from p2pcli.node.requests import Submit, decode_request, encode

NOBODY: Any = SimpleNamespace(session="3f9a1c20d4")


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
