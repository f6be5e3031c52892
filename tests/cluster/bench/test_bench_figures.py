"""Percentiles by rank, a histogram by powers of two, ratios only where both results have the mode."""

import msgspec
import pytest
from msgspec.structs import replace

from p2pcli.cluster.bench.figures import Figures, Ratios, Result, differences, figures, ratios


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


def test_the_slowest_node_is_the_one_with_the_longest_lag():
    found = figures("open", 1, 1.0, [0.1])
    assert found.slowest_node == 0
    assert replace(found, lag_ms={"client1": 1.0, "client2": 9.0}).slowest_node == 9


def result(*modes: Figures) -> Result:
    return Result(["BTC/USD"], 3, 1, "sqlite", True, 100, 256, 0, 200.0, 300.0, list(modes), {})


def of(mode: str, rate: int, p50: float, **cpu: float) -> Figures:
    return replace(figures(mode, rate, 1.0, [p50 / 1e6]), cpu_us=cpu)


def test_ratios_are_now_by_before_for_modes_that_both_have():
    now = result(of("closed", 300, 50, client1=20, bench=10), of("open", 1, 1))
    before = result(of("closed", 100, 100, client1=50, bench=10), of("batched", 1, 1))
    (found,) = ratios(now, before)
    assert found == Ratios("closed", *map(pytest.approx, (3, 0.5, 0.5, 0.5)))


def test_what_was_measured_in_another_way_is_named():
    here = result(of("open", 1, 1))
    assert differences(here, here) == []
    other = replace(here, clients=3, rate=1000, machine={"python": "3.12"})
    assert differences(here, other) == ["clients 1, was 3"]
    assert differences(other, replace(other, rate=5)) == ["rate 1000, was 5"]


def test_a_result_that_somebody_edited_to_nothing_is_none():
    edited = msgspec.json.encode(result(replace(of("open", 1, 1), p50=0.0)))
    with pytest.raises(msgspec.ValidationError, match="p50"):
        msgspec.json.decode(edited, type=Result)


def test_a_processor_time_that_is_not_known_has_no_ratio():
    (found,) = ratios(result(of("open", 1, 1, bench=5)), result(of("open", 1, 1)))
    assert found.cpu == 0
