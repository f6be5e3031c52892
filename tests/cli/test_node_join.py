"""``p2px node join``: one more node, found through the registry alone."""

import json
import shutil
import signal
from pathlib import Path

import pytest

from .conftest import Shell

pytestmark = pytest.mark.slow


@pytest.fixture
def elsewhere(running: Shell, tmp_path: Path) -> Shell:
    """A machine of its own, as far as files go: a home with the cluster's secret, and a cluster file."""
    report, plan = running.folder.report(), running.folder.plan()
    shell = Shell(tmp_path / "home")
    settings = f"""
        log: {{url: "sqlite://{running.folder.data}"}}
        markets: [{", ".join(market.symbol for market in plan.markets)}]
        registry:
          grapes: [{report.members[0].addresses["http"]}]
          ring: ["{report.members[0].addresses["dht"]}"]
        """
    (tmp_path / "cluster.yaml").write_text(settings)
    shell.folder.path.mkdir(parents=True)
    shutil.copy(running.folder.secret_path, shell.folder.secret_path)
    return shell


def test_a_node_of_another_machine_is_found_from_both_machines_and_leaves_in_peace(p2px, elsewhere):
    with elsewhere.start(
        "node", "join", "--cluster-file", "cluster.yaml", "--name", "bob", "-o", "jsonl"
    ) as joined:
        rpc = json.loads(joined.stdout.readline())["rpc"]
        for machine in (p2px, elsewhere):
            said = machine("order", "sell", "1@100", "--node", "bob", "-o", "json").json
            assert (said["node"], said["owner"], said["status"]) == ("bob", "bob", "open")
            seen = {node["name"]: node for node in machine("cluster", "status", "-o", "json").json["nodes"]}
            assert (seen["bob"]["state"], seen["bob"]["rpc"]) == ("joined", rpc)
            nodes = machine("verify", "-o", "json").json["markets"]["BTC/USD"]["nodes"]
            assert set(nodes) == {"client1", "client2", "client3", "bob"}
        assert (
            elsewhere("order", "buy", "2@100", "--node", "client2", "-o", "json").json["status"] == "filled"
        )
        twice = elsewhere("node", "join", "--cluster-file", "cluster.yaml", "--name", "bob")
        assert (twice.code, twice.err.splitlines()[0]) == (6, "error: node bob runs on this machine already")
        taken = elsewhere("node", "join", "--cluster-file", "cluster.yaml", "--name", "client1")
        assert taken.code == 6
        assert "cluster default has a node client1 already" in taken.err
        joined.send_signal(signal.SIGTERM)
        assert joined.wait() == 0
        lines = joined.stderr.read().splitlines()
        assert lines[0] == "node bob joins cluster default from 127.0.0.1"
        assert lines[-1] == "node bob has left"
    assert p2px("verify").code == 0


def test_without_credentials_or_a_log_that_is_reached_from_here_nothing_joins(p2px, elsewhere):
    file = elsewhere.cwd / "cluster.yaml"
    file.write_text(file.read_text().replace(f"sqlite://{p2px.folder.data}", "sqlite"))
    said = elsewhere("node", "join", "--cluster-file", "cluster.yaml")
    assert (said.code, "in a folder of its first machine" in said.err) == (2, True)
    elsewhere.folder.secret_path.unlink()
    said = elsewhere("node", "join", "--cluster-file", "cluster.yaml")
    assert (said.code, "has no credentials of cluster default" in said.err) == (2, True)


def test_a_file_that_names_no_registry_leads_nowhere(elsewhere):
    (elsewhere.cwd / "empty.yaml").write_text("log: {url: sqlite:///nowhere}")
    said = elsewhere("node", "join", "--cluster-file", "empty.yaml")
    assert (said.code, "name no registry" in said.err) == (2, True)


def test_the_machine_that_began_the_cluster_needs_no_file(p2px, elsewhere):
    said = p2px("node", "join", "--cluster-file", str(elsewhere.cwd / "cluster.yaml"))
    assert (said.code, "was begun on this machine" in said.err) == (6, True)


def test_a_joined_node_trades_with_the_others_and_leaves_in_peace(p2px):
    order = p2px.place("1@100", node="client2")
    with p2px.start("node", "join", "-o", "jsonl") as joined:
        rpc = json.loads(joined.stdout.readline())["rpc"]
        assert p2px("registry", "lookup", "p2px:default:node:client4").out == f"{rpc}\n"
        said = p2px("order", "sell", "1@100", "--node", "client4", "-o", "json").json
        assert (said["owner"], said["status"]) == ("client4", "filled")
        assert p2px("order", "show", order, "-o", "json").json["status"] == "filled"
        assert p2px("book", "diff", "client1", "client4").code == 0
        joined.send_signal(signal.SIGTERM)
        assert joined.wait() == 0
        assert joined.stderr.readline() == "node client4 joins cluster default\n"
        assert joined.stdout.read() == ""


@pytest.mark.parametrize(("name", "code"), [("client1", 6), ("registry1", 6), ("a/b", 2), ("x" * 65, 2)])
def test_a_name_that_is_taken_or_none_is_refused(p2px, name, code):
    said = p2px("node", "join", "--name", name)
    assert (said.code, said.out) == (code, "")


def test_without_a_cluster_there_is_nothing_to_join(nowhere):
    assert nowhere("node", "join").code == 3


def test_a_token_without_a_cluster_file_is_bad_usage(nowhere):
    said = nowhere("node", "join", "--token", "p2px-join-x")
    assert (said.code, "--cluster-file FILE --token TOKEN" in said.err) == (2, True)
