"""``p2px node join``: one more node, found through the registry alone."""

import json
import signal

import pytest

pytestmark = pytest.mark.slow


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
        assert joined.stderr.read() == "node client4 joins cluster default\n"
        assert joined.stdout.read() == ""


@pytest.mark.parametrize(("name", "code"), [("client1", 6), ("registry1", 6), ("a/b", 2), ("x" * 65, 2)])
def test_a_name_that_is_taken_or_none_is_refused(p2px, name, code):
    said = p2px("node", "join", "--name", name)
    assert (said.code, said.out) == (code, "")


def test_without_a_cluster_there_is_nothing_to_join(nowhere):
    assert nowhere("node", "join").code == 3
