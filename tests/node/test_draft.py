"""A draft takes parcels while they fit a batch, and becomes the same batch for machine and log."""

import msgspec
import pytest

from p2pcli.log.entry import MAX_BODY
from p2pcli.market.commands import Cancel
from p2pcli.node.body import MAX_COMMANDS, decode_body
from p2pcli.node.draft import Draft
from p2pcli.node.parcels import Parcel
from p2pcli.node.requests import encode


def parcel(commands: int, length: int = 0) -> Parcel:
    asked = [Cancel(1, "x" * length)] * commands
    return Parcel(None, "ann", [1], [commands], asked, msgspec.Raw(encode(asked)), None)


def test_machine_and_log_get_the_same_batch_in_the_order_it_came():
    draft = Draft(5)
    assert all(draft.takes(parcel(count)) for count in (1, 3, 2))
    body = draft.body()
    assert decode_body(draft.encoded()) == body
    assert ([len(group.commands) for group in body.groups], body.time_ns) == ([1, 3, 2], 5)


@pytest.mark.parametrize("one", [parcel(MAX_COMMANDS // 3), parcel(1, MAX_BODY // 4)])
def test_what_no_longer_fits_is_left_for_the_next(one):
    draft = Draft()
    taken = [draft.takes(one) for _ in range(6)]
    assert taken == sorted(taken, reverse=True)
    assert 0 < sum(taken) < 6
    assert len(draft.parcels) == sum(taken)
    assert len(draft.encoded()) <= MAX_BODY
