"""The scaling model: arithmetic and simulation agree where nothing waits; the page shows what they say."""

from pathlib import Path

import msgspec
import pytest

from benchmarks.scaling import COSTS, Measured, pages
from benchmarks.scaling_model import SOON_MS, Case, Costs, most_orders, needs, simulate

ROOT = Path(__file__).resolve().parents[2]
CHEAP = Costs(
    commit_order_us=10.0,
    commit_entry_us=100.0,
    apply_order_us=5.0,
    apply_entry_us=50.0,
    log_ms=2.0,
    log_appends_per_s=1000.0,
    log_bytes=50.0,
    history_bytes=50.0,
    node_mib=30.0,
    resting_bytes=400.0,
)
SMALL = Case(markets=4, machines=3, orders_per_s=10.0, cores=2)


def test_an_idle_exchange_answers_in_the_time_of_an_append_and_its_own_work():
    run = simulate(SMALL, CHEAP, seconds=50.0, seed=7)
    assert run.p50_ms == pytest.approx(CHEAP.log_ms + 0.11, abs=0.02)
    assert run.answered_per_s == pytest.approx(40.0, rel=0.1)
    assert not run.grows


def test_the_simulation_is_as_busy_as_the_arithmetic_says():
    case = msgspec.structs.replace(SMALL, orders_per_s=60.0)
    need, run = needs(case, CHEAP), simulate(case, CHEAP, seconds=50.0, seed=7)
    assert run.core_share == pytest.approx(need.core_share, rel=0.2)
    assert run.log_share == pytest.approx(need.entries_per_s / CHEAP.log_appends_per_s, rel=0.1)


def test_one_seed_gives_one_result():
    assert simulate(SMALL, CHEAP, 5.0, seed=3) == simulate(SMALL, CHEAP, 5.0, seed=3)
    assert simulate(SMALL, CHEAP, 5.0, seed=3) != simulate(SMALL, CHEAP, 5.0, seed=4)


def test_a_log_that_everybody_waits_for_makes_larger_batches_and_not_fewer_answers():
    crowded = Case(markets=200, machines=3, orders_per_s=50.0, cores=2)
    run = simulate(crowded, CHEAP, seconds=6.0, seed=1)
    assert run.answered_per_s == pytest.approx(10_000, rel=0.1)
    assert run.orders_per_entry > 5
    assert run.p50_ms > SOON_MS
    apart = simulate(msgspec.structs.replace(crowded, logs=20), CHEAP, seconds=6.0, seed=1)
    assert apart.p50_ms < SOON_MS / 5


def test_more_than_the_cores_can_do_grows_without_end():
    assert simulate(Case(markets=1, machines=1, orders_per_s=200_000.0, cores=1), CHEAP, 1.0, seed=1).grows


def test_the_most_orders_fit_and_a_few_more_do_not():
    most = most_orders(SMALL, CHEAP)
    for factor, fits in ((0.99, True), (1.01, False)):
        case = msgspec.structs.replace(SMALL, orders_per_s=most * factor)
        assert needs(case, CHEAP).fits is fits


def test_the_page_shows_the_tables_of_the_costs_that_were_measured():
    measured = msgspec.json.decode(COSTS.read_bytes(), type=Measured)
    page = (ROOT / "docs/scaling.md").read_text()
    for table in "\n".join(pages(measured.costs)).split("<!-- scaling: ")[1:]:
        assert table.strip() in page, "python -m benchmarks.scaling prints the tables anew"
