"""``p2px client``: the example client, for real."""

import signal

import pytest

from p2pcli.market.commands import Side

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


def test_a_person_is_told_how_it_stands_and_what_others_took(p2px):
    with p2px.start("client", "run", "client1", "--interval", "1h", "--seed", "7") as run:
        first = run.stdout.readline()
        assert first.split()[:2] == ["status", "BTC/USD"]
        assert first.endswith("client1 has 0 open\n")
        assert sum(run.stdout.readline().startswith("accepted") for _ in range(6)) == 6
        assert "client1 has 6 open" in run.stdout.readline()
        run.send_signal(signal.SIGINT)
        run.stdout.read()
    with p2px.start("client", "run", "client2", "--interval", "50ms", "--seed", "7") as run:
        while "client2 has 6 open" not in run.stdout.readline():
            pass
        p2px.place("5@1", Side.SELL, "client3")  # everything there is
        while "taken by client3" not in (line := run.stdout.readline()):
            assert line
        assert line.startswith("traded    ")
        run.send_signal(signal.SIGINT)
        run.stdout.read()
