"""``p2px cluster logs``: what processes wrote, merged."""

import json
import signal

import pytest

pytestmark = pytest.mark.slow


def test_lines_of_all_processes_are_merged_in_order_of_time(p2px):
    rows = p2px("cluster", "logs", "-o", "jsonl").lines
    assert {row["process"] for row in rows} >= {"client1", "client2", "client3", "registry1", "supervisor"}
    times = [row["time"] for row in rows]
    assert times == sorted(times)
    text = p2px("cluster", "logs", "client1", "-n", "5").out.splitlines()
    assert 1 <= len(text) <= 5
    assert all(line.startswith("client1 | ") for line in text)


def test_an_unknown_process_lists_those_there_are(p2px):
    said = p2px("cluster", "logs", "nobody")
    assert said.code == 4
    assert "client1" in said.err


def test_following_goes_on_with_new_lines(p2px):
    with p2px.start("cluster", "logs", "supervisor", "-n", "1", "-f", "-o", "jsonl") as follow:
        json.loads(follow.stdout.readline())
        p2px.hang_up()
        p2px("cluster", "restart", "client3")
        assert "client3" in json.loads(follow.stdout.readline())["event"]
        follow.send_signal(signal.SIGINT)
        follow.stdout.read()
        assert follow.wait() == 130
