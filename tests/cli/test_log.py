"""``p2px log``: the log shown and checked, running and stopped."""

import sqlite3

import pytest

pytestmark = pytest.mark.slow


def test_the_last_entries_are_shown_with_their_commands_and_hashes(p2px):
    p2px.place("1@100", node="client2")
    (row,) = p2px("log", "show", "-n", "1", "-o", "json").json
    assert (row["market"], row["node"]) == ("BTC/USD", "client2")
    assert [command["command"] for command in row["commands"]] == ["buy 1@100.00 gtc"]
    assert len(row["chain"]) == 64
    title, line = p2px("log", "show", "-n", "1").out.splitlines()
    assert title.split() == ["SEQUENCE", "TIME", "NODE", "CHAIN", "COMMANDS"]
    assert line.split()[0] == str(row["sequence"])
    assert line.endswith("buy 1@100.00 gtc")


def test_a_sound_log_is_said_to_be_sound(p2px):
    p2px.place("1@100")
    said = p2px("log", "check")
    assert said.code == 0
    assert said.out.splitlines()[0].startswith("BTC/USD  ok  entries 1 to ")
    first, second = p2px("log", "check", "-o", "json").json
    assert (first["market"], first["ok"], first["first"], first["problem"]) == ("BTC/USD", True, 1, None)
    assert (second["market"], second["ok"]) == ("ETH/USD", True)


def test_a_changed_entry_is_named(nowhere):
    assert nowhere("cluster", "up", "-n", "1").code == 0
    for price in ("1", "2", "3"):
        assert nowhere("order", "buy", f"1@{price}").code == 0
    assert nowhere("cluster", "down").code == 0
    with sqlite3.connect(nowhere.folder.data / "BTC-USD" / "log.db") as database:
        database.execute("UPDATE batch SET body = zeroblob(length(body)) WHERE sequence = 3")
    database.close()
    said = nowhere("log", "check")
    assert said.code == 1
    assert said.err.startswith("error: BTC/USD: entry 3 ")
    assert nowhere("log", "check", "-o", "json").json[0]["ok"] is False


def test_without_a_cluster_there_is_no_log(nowhere):
    for words in (("log", "show"), ("log", "check"), ("export", "somewhere")):
        assert nowhere(*words).code == 3
