"""``p2px cluster``: a cluster's life, told in text and JSON."""

import json
import os
import signal
import socket
from collections.abc import Iterator

import pytest

pytestmark = pytest.mark.slow

NODE_FIELDS = {
    *("name", "state", "pid", "rpc", "sequence", "digest", "open_orders", "trades", "restarts", "uptime_s"),
}


@pytest.fixture
def own(nowhere) -> Iterator:
    """A shell for a cluster of its own; whatever a test leaves running is stopped."""
    yield nowhere
    nowhere.hang_up()
    assert nowhere("cluster", "down", "--wipe").code == 0


def test_up_shows_the_processes_and_the_next_commands_to_type(own):
    said = own("cluster", "up", "-n", "2")
    assert said.code == 0
    rows = [line.split() for line in said.out.splitlines()]
    assert rows[0] == ["NAME", "KIND", "STATE", "PID", "ADDRESS", "UPTIME", "RESTARTS"]
    assert [row[0] for row in rows[1:]] == ["client1", "client2", "registry1", "registry2", "supervisor"]
    assert "cluster default is ready: 2 nodes, 2 registry members" in said.err
    for word in ("p2px order sell 1.5@30000 --node client2", "p2px book show", "p2px trades tail"):
        assert word in said.err

    own("order", "sell", "1.5@30000", "--node", "client2")
    own("order", "buy", "0.5@30000", "--node", "client1")
    book, trades = own("book", "show", "-o", "json").json, own("trades", "tail", "-o", "jsonl").lines

    again = own("cluster", "up", "-n", "2")
    assert again.code == 0
    assert "cluster default was running already" in again.err

    assert own("cluster", "down").err == "cluster default stopped\n"
    stopped = own("cluster", "status", "-o", "json")
    assert (stopped.code, stopped.json["state"]) == (3, "stopped")
    assert own("cluster", "status").err.startswith("error: no cluster is running")
    assert own("cluster", "ls", "-o", "json").json == [
        {"cluster": "default", "state": "stopped", "folder": str(own.home / "default")}
    ]

    assert own("cluster", "up").code == 0
    after = own("book", "show", "-o", "json").json
    assert (after["bids"], after["asks"]) == (book["bids"], book["asks"])
    assert own("trades", "tail", "-o", "jsonl").lines == trades


def test_processes_are_stopped_started_restarted_and_scaled_by_name(own):
    assert own("cluster", "up", "-n", "2").code == 0
    stopped = own("cluster", "stop", "client2", "-o", "json").json
    assert {row["name"]: row["state"] for row in stopped}["client2"] == "stopped"
    said = own("order", "buy", "1@5", "--node", "client2")
    assert said.code == 3
    assert said.err == (
        "error: node client2 of cluster default is stopped\nhint: p2px cluster start client2\n"
    )
    assert own("cluster", "start", "client2").code == 0
    assert own("order", "buy", "1@5", "--node", "client2").code == 0
    restarted = own("cluster", "restart", "client1", "-o", "json").json
    assert {row["name"]: row["restarts"] for row in restarted}["client1"] == 1
    scaled = own("cluster", "scale", "3", "-o", "json").json
    assert [row["name"] for row in scaled if row["kind"] == "node"] == ["client1", "client2", "client3"]
    assert own("verify").code == 0
    unknown = own("cluster", "restart", "client9")
    assert (unknown.code, unknown.out) == (4, "")
    assert "client9" in unknown.err


def test_a_killed_node_is_restarted_and_orders_go_on_meanwhile(own):
    assert own("cluster", "up", "-n", "2").code == 0
    assert own("cluster", "kill", "client1").code == 0
    assert own("order", "buy", "1@5").code == 0
    # client1 is back once it answers under its name again
    with own.start("cluster", "status", "-w", "-o", "jsonl") as watch:
        for line in watch.stdout:
            nodes = {node["name"]: node for node in json.loads(line)["nodes"]}
            if nodes["client1"]["restarts"] == 1 and nodes["client1"]["sequence"]:
                break
        watch.send_signal(signal.SIGINT)
        assert watch.wait() == 130
        watch.stdout.read()
    assert own("verify").code == 0


@pytest.mark.parametrize("was_here", [False, True], ids=["never was one", "was stopped"])
def test_without_a_cluster_every_command_says_how_to_start_one(nowhere, was_here):
    if was_here:
        assert nowhere("cluster", "up", "-n", "1", "--market", "BTC/USD").code == 0
        assert nowhere("cluster", "down").code == 0
    groups = (
        ("order", "buy", "0.5@30000"),
        ("book", "show"),
        ("trades", "tail"),
        ("market", "ls"),
        ("verify",),
        ("cluster", "status"),
        ("cluster", "stop", "client1"),
        ("registry", "show"),
    )
    for words in groups:
        said = nowhere(*words)
        assert said.err == "error: no cluster is running\nhint: p2px cluster up -n 3\n", words
        assert (said.code, said.out) == (3, ""), words


def test_down_without_a_cluster_is_no_error(nowhere):
    said = nowhere("cluster", "down")
    assert (said.code, said.err) == (0, "cluster default was not running\n")


def test_no_clusters_yet(nowhere):
    said = nowhere("cluster", "ls")
    assert (said.code, said.out) == (0, "")
    assert nowhere("cluster", "ls", "-o", "json").json == []


def test_status_has_the_documented_shape(p2px):
    p2px.place("1@100")
    said = p2px("cluster", "status", "-o", "json")
    assert said.code == 0
    status = said.json
    assert status.keys() == {"cluster", "state", "log", "nodes", "registry", "supervisor"}
    assert (status["cluster"], status["state"], status["log"]) == ("default", "ready", "sqlite")
    assert [node["name"] for node in status["nodes"]] == ["client1", "client2", "client3"]
    for node in status["nodes"]:
        assert node.keys() >= NODE_FIELDS
        assert node["sequence"].keys() == node["digest"].keys() == {"BTC/USD", "ETH/USD"}
    assert [member["name"] for member in status["registry"]] == ["registry1", "registry2"]
    assert all(member.keys() >= {"name", "pid", "http", "dht", "state"} for member in status["registry"])
    assert status["supervisor"]["pid"] > 0


def test_another_cluster_has_another_name_and_is_reached_by_it(own):
    assert own("cluster", "up", "-n", "1", "--name", "other", "--ephemeral").code == 0
    try:
        assert own("order", "buy", "1@5").code == 3
        assert own("order", "buy", "1@5", "--name", "other").code == 0
        assert own("--name", "other", "book", "show", "-o", "json").json["bids"]
        assert [row["cluster"] for row in own("cluster", "ls", "-o", "json").json] == ["other"]
    finally:
        assert own("cluster", "down", "--name", "other").code == 0


@pytest.mark.parametrize("columns", [80, 140])
@pytest.mark.parametrize(
    "words", [("cluster", "status"), ("cluster", "ps"), ("order", "ls"), ("market", "ls"), ("config", "show")]
)
def test_tables_fit_the_terminal_and_cut_nothing(p2px, columns, words):
    p2px.place("0.12345678@12345.67")
    with p2px.terminal(*words, columns=columns) as terminal:
        said = terminal.finish()
    assert said.code == 0
    lines = said.plain.splitlines()
    assert max(map(len, lines)) <= columns
    assert "…" not in said.out
    if words == ("order", "ls"):
        assert "12345.67  0.12345678" in "\n".join(lines)


def test_bots_trade_beside_the_nodes_and_end_with_the_cluster(own):
    up = own("cluster", "up", "-n", "1", "--bots", "2", "--ephemeral", P2PX_CLUSTER_BOT_INTERVAL="20ms")
    assert (up.code, "1 node, 2 registry members, 2 bots" in up.err) == (0, True)
    with own.start("trades", "tail", "-n", "1", "-f", "-o", "jsonl") as follow:
        trade = json.loads(follow.stdout.readline())
        follow.send_signal(signal.SIGINT)
    assert {trade["maker"], trade["taker"]} <= {"bot1", "bot2"}
    (record,) = own("cluster", "logs", "bot1", "-n", "1", "-o", "jsonl").lines
    assert (record["process"], record["node"]) == ("bot1", "client1")
    again = own("cluster", "up", "--bots", "3")
    assert "note: bots: 2 runs, 3 is configured\n" in again.err
    assert "hint: p2px cluster scale " in again.err
    rows = own("cluster", "scale", "--bots", "1", "-o", "json").json
    (bot,) = [row for row in rows if row["kind"] == "bot"]
    assert (bot["name"], bot["state"]) == ("bot1", "running")
    (shown,) = own("cluster", "status", "-o", "json").json["bots"]
    assert shown["pid"] == bot["pid"]
    assert "bot1" in own("cluster", "status").out
    assert own("cluster", "scale").code == 2
    own.hang_up()
    assert own("cluster", "down").code == 0
    with pytest.raises(ProcessLookupError):
        os.kill(bot["pid"], 0)


def test_a_registry_that_does_not_answer_is_said_and_leaves_the_cluster_degraded(own):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # and never listens
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        up = own("cluster", "up", "-n", "1", "--grape", address, "--ephemeral")
        assert up.code == 1
        assert f"warning: no registry answers: {address}" in up.err
        assert "cluster default runs, degraded: 1 node, 0 registry members" in up.err
        status = own("cluster", "status", "-o", "json")
        assert (status.code, status.json["state"]) == (1, "degraded")
        assert own("order", "buy", "1@5").code == 0


def test_a_password_of_etcd_that_others_can_read_is_named_before_anything_starts(nowhere):
    password = nowhere.cwd / "password"
    password.write_text("secret")
    password.chmod(0o644)
    said = nowhere(
        *("cluster", "up", "--log", "etcd://127.0.0.1:1"),
        P2PX_LOG_USER="root",
        P2PX_LOG_PASSWORD_FILE=str(password),
    )
    assert said.code == 2
    assert said.err == (
        f"error: the password file {password} can be read by others\nhint: chmod 600 {password}\n"
    )
    assert not nowhere.folder.path.exists()
