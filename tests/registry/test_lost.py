from itertools import pairwise

import pytest

from p2pcli.registry.lost import FIRST_S, FORGET_S, LONGEST_S, MAX_LOST, Lost

HERE = ("127.0.0.1", 20001)
THERE = ("127.0.0.1", 20002)


@pytest.fixture
def lost() -> Lost:
    lost = Lost()
    lost.drop(HERE, now=100.0)
    return lost


def pings(lost: Lost, until: float) -> list[float]:
    """Turn the clock from one ping to the next; return their moments."""
    moments = []
    while (now := lost.wake_at()) <= until:
        moments += [now] * len(lost.due(now))
    return moments


def test_a_lost_contact_is_pinged_ever_less_often_and_after_an_hour_no_more(lost):
    moments = pings(lost, until=10_000.0)
    assert moments[:7] == [101, 103, 107, 115, 131, 163, 223]
    assert {later - now for now, later in pairwise(moments[6:])} == {LONGEST_S}
    assert 100 + FORGET_S <= moments[-1] <= 100 + FORGET_S + LONGEST_S


def test_who_is_found_or_was_never_lost_is_not_pinged(lost):
    assert not lost.stirs(THERE, now=200.0)
    lost.found(HERE)
    lost.found(THERE)
    assert not lost.stirs(HERE, now=200.0)
    assert pings(lost, until=10_000.0) == []


def test_a_packet_from_a_lost_contact_is_reason_for_one_ping_a_second(lost):
    assert [lost.stirs(HERE, 110.0 + tenth / 10) for tenth in range(21)].count(True) == 3
    assert not lost.stirs(THERE, now=110.0)


def test_one_that_is_dropped_again_is_looked_for_from_the_beginning(lost):
    pings(lost, until=1_000.0)
    lost.drop(HERE, now=1_000.0)
    assert lost.wake_at() == 1_000.0 + FIRST_S
    assert lost.due(1_000.0 + FIRST_S) == [HERE]


def test_many_lost_contacts_take_bounded_memory_and_the_latest_are_remembered():
    lost = Lost()
    for number in range(MAX_LOST + 100):
        lost.drop(("10.0.0.1", number), now=100.0)
    assert lost.due(200.0) == [("10.0.0.1", number) for number in range(100, MAX_LOST + 100)]
