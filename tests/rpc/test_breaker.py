"""The breaker opens after failures in a row, waits, and lets one trial through."""

import pytest

from p2pcli.rpc.breaker import Breaker, CircuitOpen


def tripped(at: float, reset_after: float = 10) -> Breaker:
    breaker = Breaker("client2", fail_max=3, reset_after=reset_after)
    for _ in range(3):
        breaker.before_call(at)
        breaker.on_failure(OSError("refused"), at)
    return breaker


def test_fewer_failures_than_the_limit_leave_it_closed():
    breaker = Breaker("client2", fail_max=3, reset_after=10)
    for _ in range(2):
        breaker.on_failure(OSError("refused"), now=1)
    breaker.before_call(now=1)
    assert breaker.state == "closed"


def test_a_success_between_failures_starts_the_count_anew():
    breaker = Breaker("client2", fail_max=3, reset_after=10)
    for _ in range(5):
        breaker.on_failure(OSError("refused"), now=1)
        breaker.on_failure(OSError("refused"), now=1)
        breaker.on_success()
    assert breaker.state == "closed"


def test_failures_in_a_row_open_it_until_the_reset_time():
    breaker = tripped(at=100)
    with pytest.raises(CircuitOpen, match=r"peer client2 failed 3 times, next trial in 0\.5 s"):
        breaker.before_call(now=109.5)
    breaker.before_call(now=110)
    assert breaker.state == "half-open"


def test_failed_trial_opens_the_breaker_for_another_full_period():
    breaker = tripped(at=100)
    breaker.before_call(now=110)
    breaker.on_failure(OSError("refused"), now=111)
    with pytest.raises(CircuitOpen):
        breaker.before_call(now=120)
    breaker.before_call(now=121)


def test_successful_trial_closes_it():
    breaker = tripped(at=100)
    breaker.before_call(now=110)
    breaker.on_success()
    assert breaker.state == "closed"
    assert breaker.failures == 0


def test_it_can_be_reset_by_hand():
    breaker = tripped(at=100)
    breaker.reset()
    breaker.before_call(now=100)
    assert breaker.state == "closed"
