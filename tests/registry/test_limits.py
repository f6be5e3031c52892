from p2pcli.registry.limits import Allowances, Silence

HERE, THERE = ("10.0.0.1", 1), ("10.0.0.2", 1)


def test_a_source_has_its_burst_and_then_its_rate():
    allowances = Allowances(per_second=10, burst=5, max_sources=10)
    assert sum(allowances.take("a", 0.0) for _ in range(100)) == 5
    assert sum(allowances.take("a", 1.0) for _ in range(100)) == 5  # never more than the burst
    taken = sum(allowances.take("a", 1.0 + tick / 100) for tick in range(1, 101))
    assert 9 <= taken <= 10


def test_sources_do_not_take_from_each_other():
    allowances = Allowances(per_second=1, burst=1, max_sources=10)
    assert allowances.take("a", 0.0)
    assert not allowances.take("a", 0.0)
    assert allowances.take("b", 0.0)


def test_many_sources_take_bounded_memory_and_the_latest_are_remembered():
    allowances = Allowances(per_second=1, burst=1, max_sources=10)
    for number in range(1_000):
        allowances.take(number, 0.0)
    assert len(allowances._left) == 10
    assert not allowances.take(999, 0.0)


def test_failures_count_in_a_row_and_any_packet_clears_them():
    silence = Silence()
    assert silence.failures(HERE, 0.0) == 0
    assert silence.failed(HERE, asked_at=0.0, now=2.0) == 1
    assert silence.failed(HERE, asked_at=2.5, now=4.5) == 2
    assert silence.failures(HERE, 5.0) == 2
    assert silence.failures(THERE, 5.0) == 0
    silence.heard(HERE, now=5.0)
    assert silence.failures(HERE, 5.0) == 0


def test_a_query_asked_before_an_address_was_heard_from_is_no_failure():
    silence = Silence()
    silence.heard(HERE, now=1.0)
    assert silence.failed(HERE, asked_at=0.5, now=2.5) == 0
    assert silence.failures(HERE, 2.5) == 0
    assert silence.failed(HERE, asked_at=1.5, now=3.5) == 1


def test_queries_under_way_together_count_as_one_failure():
    silence = Silence()
    for number in range(50):
        silence.failed(HERE, asked_at=number / 100, now=2.0)
    assert silence.failures(HERE, 2.0) == 1


def test_failures_are_forgotten_after_a_while():
    silence = Silence()
    silence.failed(HERE, asked_at=0.0, now=2.0)
    assert silence.failures(HERE, 2.0 + Silence.FORGET_S - 1) == 1
    assert silence.failures(HERE, 2.0 + Silence.FORGET_S) == 0


def test_many_silent_addresses_take_bounded_memory():
    silence = Silence()
    for number in range(Silence.MAX_ADDRESSES + 100):
        silence.failed(("10.0.0.1", number), asked_at=0.0, now=1.0)
        silence.heard(("10.0.0.2", number), now=1.0)
    assert len(silence._failures) <= Silence.MAX_ADDRESSES
    assert len(silence._heard_at) <= Silence.MAX_ADDRESSES
