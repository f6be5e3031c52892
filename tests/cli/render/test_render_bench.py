"""A benchmark's result as people read it."""

from p2pcli.cli.render.bench import bars, compared, heading, table, usage
from p2pcli.cluster.bench.figures import Figures, Ratios, Result

OPEN = Figures(
    *(
        "open",
        2000,
        2.0,
        1000.0,
        500.0,
        700.0,
        2000.0,
        9000.0,
        12_345.0,
        {"512": 900, "1024": 90, "16384": 10},
    ),
    orders_per_entry=1.25,
    cpu_us={"client1": 300.25, "client2": 100.0, "registry1": 0.01},
    memory_mib={"client1": (30.2, 41.9), "client2": (30.4, 30.1)},
    lag_ms={"client1": 0.5, "client2": 12.4},
)
RESULT = Result(
    *(["BTC/USD"], 3, 2, "etcd://127.0.0.1:2379", False, 100, 256, 1_000_000, 200.0, 900.0, [OPEN]),
    {"cores": "2", "processor": "Z80", "python": "3.11.7"},
)


def test_the_heading_says_what_was_measured_on_what():
    assert heading(RESULT) == [
        "BTC/USD on 3 nodes, 2 clients   1,000,000 orders resting   log: etcd://127.0.0.1:2379, not synced",
        "disk: fdatasync 200 us, p99 900 us   cores 2 processor Z80 python 3.11.7",
    ]


def test_a_mode_is_a_row_with_its_latencies_and_the_lag_of_the_slowest_node():
    assert table(RESULT).rows == [
        *[
            (
                "open",
                "1,000",
                "0.50 ms",
                "0.70 ms",
                "2.00 ms",
                "9.00 ms",
                "12.35 ms",
                "2.5",
                "10.0",
                "1.2",
                "12 ms",
            )
        ]
    ]


def test_processes_that_used_nothing_are_left_out_and_memory_says_how_it_grew():
    assert usage(OPEN) == [
        "open: 400.3 us of processor an order: client1 300.2, client2 100.0",
        "open: MiB of memory: client1 42 (+12), client2 30 (+0)",
    ]


def test_the_longest_bar_is_the_fullest_power_of_two_and_none_is_empty():
    title, first, second, third = bars(OPEN)
    assert title == "open: frames answered within"
    assert (first.count("#"), second.count("#"), third.count("#")) == (40, 4, 1)
    assert first.startswith("      0.512 ms       900 ")


def test_a_comparison_leaves_out_what_was_not_known_before():
    assert compared(Ratios("open", 1.5, 0.5, 2.0, 0.8)) == (
        "open: 1.50 x the orders a second, 0.50 x the p50, 2.00 x the p99,"
        " 0.80 x the processor time an order of"
    )
    assert "processor" not in compared(Ratios("open", 1.5, 0.5, 2.0, 0.0))
