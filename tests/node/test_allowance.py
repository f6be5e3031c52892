"""How many requests an owner may send, at any times whatever."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pcli.node import allowance
from p2pcli.node.allowance import MINUTE, Allowances, Bucket


def test_a_quiet_owner_may_send_a_whole_minutes_requests_at_once_and_no_more():
    bucket = Bucket(60, 100.0)
    assert [bucket.take(100.0) for _ in range(60)] == [0.0] * 60
    assert bucket.take(100.0) == pytest.approx(1.0)


def test_after_the_wait_it_was_told_an_owner_may_send_one():
    bucket = Bucket(30, 0.0)
    while not (wait := bucket.take(5.0)):
        pass
    assert bucket.take(5.0 + wait + 1e-9) == 0.0
    assert bucket.take(5.0 + wait + 1e-9) > 0.0


@given(st.integers(1, 50), st.lists(st.floats(0, 30), max_size=200))
def test_in_any_time_no_more_pass_than_one_minute_and_the_refill_allow(limit, pauses):
    bucket = Bucket(limit, 0.0)
    now, passed = 0.0, 0
    for pause in pauses:
        now += pause
        passed += not bucket.take(now)
        assert passed <= limit + now * limit / MINUTE + 1e-6


def test_owners_do_not_share_a_bucket_and_refusals_are_counted():
    owners = Allowances(1)
    assert owners.take("ann", 0.0) == owners.take("bob", 0.0) == 0.0
    assert owners.take("ann", 0.0) > 0.0
    assert owners.refused == 1


def test_without_a_limit_nobody_waits_and_nothing_is_remembered():
    owners = Allowances(0)
    assert not any(owners.take("ann", 0.0) for _ in range(1000))
    assert owners.refused == 0


def test_of_too_many_owners_the_one_silent_longest_starts_anew(monkeypatch):
    monkeypatch.setattr(allowance, "MAX_OWNERS", 2)
    owners = Allowances(1)
    for owner in ("ann", "bob", "cid"):
        owners.take(owner, 0.0)
    assert owners.take("cid", 0.0) > 0.0
    assert owners.take("ann", 0.0) == 0.0
