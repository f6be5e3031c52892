"""Percentiles by rank, a histogram by powers of two, ratios only where both results have the mode."""

import pytest

from p2pcli.cluster.bench.figures import Result, figures, ratios


def test_percentiles_are_ranks_of_the_latencies_in_any_order():
    found = figures("closed", 1000, 2.0, [n / 1e6 for n in range(1000, 0, -1)])
    assert (found.orders_per_s, found.max) == (500, pytest.approx(1000))
    assert [found.p50, found.p90, found.p99, found.p99_9] == pytest.approx([501, 901, 991, 1000])


def test_one_latency_is_every_percentile():
    found = figures("closed", 1, 1.0, [0.002])
    assert {found.p50, found.p90, found.p99, found.p99_9, found.max} == {2000.0}


def test_the_histogram_counts_every_frame_once_below_a_power_of_two():
    found = figures("open", 4, 1.0, [0.0000005, 0.000511, 0.000512, 0.1])
    assert found.histogram == {"1": 1, "512": 1, "1024": 1, "131072": 1}


def test_ratios_are_now_by_before_for_modes_that_both_have():
    def result(*modes: tuple[str, float, float]) -> Result:
        measured = [figures(mode, int(rate), 1.0, [p50 / 1e6]) for mode, rate, p50 in modes]
        return Result("BTC/USD", 3, 1, 200.0, measured, {}, {})

    now, before = result(("closed", 300, 50), ("open", 1, 1)), result(("closed", 100, 100), ("batched", 1, 1))
    assert ratios(now, before) == [("closed", pytest.approx(3), pytest.approx(0.5))]
