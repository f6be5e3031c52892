"""What came too early waits, within limits, and goes when it is taken or applied by other ways."""

import pytest

from p2pcli.log.entry import Batch, Entry
from p2pcli.node import early as room
from p2pcli.node.early import Early


def entry(sequence: int, size: int = 1) -> Entry:
    return Entry(sequence, Batch("client1", 1, sequence, bytes(size)), bytes(32))


def test_an_entry_is_kept_until_its_turn_and_taken_once():
    early = Early()
    assert early.keep(entry(5))
    assert early.take(4) is None
    assert early.take(5) == entry(5)
    assert early.take(5) is None


def test_the_first_of_two_with_one_sequence_stays():
    early = Early()
    assert early.keep(entry(5, 1))
    assert early.keep(entry(5, 9))
    assert early.take(5) == entry(5, 1)


@pytest.mark.parametrize(("name", "limit"), [("MAX_EARLY", 2), ("MAX_EARLY_BYTES", 25)])
def test_beyond_its_limits_it_keeps_no_more_until_there_is_room(monkeypatch, name, limit):
    monkeypatch.setattr(room, name, limit)
    early = Early()
    assert [early.keep(entry(sequence, 10)) for sequence in (2, 3, 4)] == [True, True, False]
    early.forget(2)
    assert len(early) == 1
    assert early.keep(entry(4, 10))
    early.forget(9)
    assert len(early) == 0
    assert early.keep(entry(5, 20)), "what went is no longer counted"
