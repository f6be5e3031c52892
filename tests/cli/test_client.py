"""``p2px client``: the example client, for real."""

import signal

import pytest

pytestmark = pytest.mark.slow


def test_it_places_a_ladder_and_then_as_many_orders_as_asked(p2px):
    rows = p2px(
        "client", "run", "client1", "--interval", "1ms", "--count", "5", "--seed", "7", "-o", "jsonl"
    ).lines
    assert len(rows) == 6 + 5
    assert {row["owner"] for row in rows} == {"client1"}
    assert [row["side"] for row in rows[:6]] == ["buy", "sell"] * 3


def test_it_goes_on_until_ctrl_c(p2px):
    with p2px.start("client", "run", "client2", "--interval", "1ms") as run:
        for _ in range(20):
            assert run.stdout.readline()
        run.send_signal(signal.SIGINT)
        run.stdout.read()
        assert run.wait() == 130
