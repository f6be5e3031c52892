"""Which batches count: each number of an epoch once and in turn, and only the newest epoch's."""

import pytest

from p2pcli.log import sessions
from p2pcli.log.sessions import Admission, BadSessions, Sessions


def admitted(*batches: tuple[str, int, int]) -> Sessions:
    table = Sessions()
    for batch in batches:
        assert table.admit(*batch) is Admission.NEW
    return table


def test_numbers_of_an_epoch_are_admitted_in_turn():
    admitted(("a", 5, 1), ("a", 5, 2), ("b", 1, 1), ("a", 5, 3))


def test_batch_that_was_admitted_is_repeated():
    table = admitted(("a", 5, 1), ("a", 5, 2))
    assert table.admit("a", 5, 2) is Admission.REPEATED
    assert table.admit("a", 5, 1) is Admission.REPEATED
    assert table.admit("a", 5, 3) is Admission.NEW


def test_number_that_skips_one_is_a_hole():
    table = admitted(("a", 5, 1))
    assert table.admit("a", 5, 3) is Admission.HOLE
    assert table.admit("a", 5, 2) is Admission.NEW


@pytest.mark.parametrize("number", [0, 2])
def test_an_epoch_begins_with_one(number):
    table = admitted(("a", 5, 1))
    assert table.admit("a", 6, number) in (Admission.HOLE, Admission.REPEATED)
    assert table.epoch("a") == 5
    assert table.admit("new", 1, 2) is Admission.HOLE
    assert table.epoch("new") == 0


def test_older_epoch_is_fenced_once_a_newer_one_has_begun():
    table = admitted(("a", 5, 1), ("a", 6, 1))
    assert table.admit("a", 5, 2) is Admission.FENCED
    assert (table.epoch("a"), table.number("a")) == (6, 1)


def test_judging_changes_nothing():
    table = admitted(("a", 5, 1))
    before = table.to_values()
    for batch in (("a", 5, 2), ("a", 9, 1), ("b", 1, 1)):
        assert table.judge(*batch) is Admission.NEW
    assert table.to_values() == before


def test_producers_are_limited(monkeypatch):
    monkeypatch.setattr(sessions, "MAX_PRODUCERS", 2)
    table = admitted(("a", 1, 1), ("b", 1, 1))
    assert table.admit("c", 1, 1) is Admission.FULL
    assert table.admit("a", 1, 2) is Admission.NEW


def test_values_are_the_same_in_whatever_order_producers_came():
    one = admitted(("b", 1, 1), ("a", 2, 1))
    other = admitted(("a", 2, 1), ("b", 1, 1))
    assert one.to_values() == other.to_values() == [("a", 2, 1), ("b", 1, 1)]
    assert Sessions.from_values(one.to_values()).to_values() == one.to_values()


def test_producer_that_occurs_twice_is_damage():
    with pytest.raises(BadSessions, match="twice"):
        Sessions.from_values([("a", 1, 1), ("a", 2, 1)])
