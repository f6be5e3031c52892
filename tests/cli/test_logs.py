"""``p2px cluster logs``: what processes wrote, merged."""

import json
import re
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


def test_an_order_that_no_log_names_is_told_from_history(p2px):
    placed = p2px("order", "buy", "0.5@30000", "--node", "client1", "-o", "json").json
    said = p2px("cluster", "logs", "--order", placed["order_id"], "-o", "jsonl")
    assert "no log line names order" in said.err
    assert [row["event"] for row in said.lines] == ["placed", "open"]
    assert said.lines[0]["sequence"] == placed["sequence"]
    text = p2px("cluster", "logs", "--order", placed["order_id"]).out
    assert f"placed  order={placed['order_id']}" in text


def test_what_is_no_order_id_and_an_order_nobody_placed_are_told_apart(p2px):
    assert p2px("cluster", "logs", "--order", "x").code == 2
    assert p2px("cluster", "logs", "--request", "x").code == 2
    assert p2px("cluster", "logs", "--order", "999999").code == 4


def request_told(said):
    return re.search(r"^request (\S+):", said.err, re.MULTILINE)[1]


def test_at_level_debug_one_order_is_followed_across_processes(nowhere):
    shell = nowhere
    up = shell("cluster", "up", "-n", "2", "--ephemeral", P2PX_LOGGING_LEVEL="debug")
    assert up.code == 0, up.err
    try:
        said = shell("order", "buy", "0.5@30000", "--node", "client1", "-o", "json", "-v")
        placed, request = said.json, request_told(said)
        shell("verify")  # both nodes have applied it now
        rows = shell("cluster", "logs", "--order", placed["order_id"], "-o", "jsonl").lines
        told = {row["process"]: row["event"] for row in rows if row["sequence"] == placed["sequence"]}
        assert told == {"client1": "committed", "client2": "applied"}
        asked = shell("cluster", "logs", "--request", request, "-o", "jsonl").lines
        assert [row for row in rows if row["sequence"] == placed["sequence"]] == asked
        said = shell("order", "cancel", placed["order_id"], "-v", "--node", "client2")
        assert said.code == 1
        (refused,) = shell("cluster", "logs", "client2", "--request", request_told(said), "-o", "jsonl").lines
        assert (refused["event"], refused["orders"]) == ("committed", [placed["order_id"]])
    finally:
        shell.hang_up()
        assert shell("cluster", "down").code == 0
