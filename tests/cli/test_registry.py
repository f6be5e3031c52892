"""``p2px registry``: asked through the command line."""

import json
import signal

import pytest

pytestmark = pytest.mark.slow


def test_a_node_is_found_by_its_name(p2px):
    said = p2px("registry", "lookup", "p2px:default:node:client2", "-o", "json").json
    client = p2px.folder.report().child("client2")
    assert said == {"name": "p2px:default:node:client2", "addresses": [client.addresses["rpc"]]}
    assert p2px("registry", "lookup", "p2px:default:node:client2").out == client.addresses["rpc"] + "\n"


def test_what_nobody_announced_is_exit_code_four(p2px):
    said = p2px("registry", "lookup", "no:such:service")
    assert (said.code, said.err.splitlines()[0]) == (4, "error: nobody announced 'no:such:service'")


def test_what_is_announced_and_put_is_found_again(p2px):
    assert p2px("registry", "announce", "rest:util:net", "1337").code == 0
    assert p2px("registry", "lookup", "rest:util:net").out == "127.0.0.1:1337\n"
    key = p2px("registry", "put", "hello world").out
    assert key == "6d33adc2b6b2c14c3036feefb7fedbca1a880527\n"
    assert p2px("registry", "get", key.strip()).out == "hello world\n"


def test_show_lists_members_and_the_nodes_addresses(p2px):
    said = p2px("registry", "show", "-o", "json").json
    assert [member["name"] for member in said["members"]] == ["registry1", "registry2"]
    nodes = {node.addresses["rpc"] for node in p2px.folder.report().nodes}
    # A node that left is announced until its announcement expires.
    assert set(said["announced"]["p2px:default:node"]) >= nodes


def test_a_member_runs_in_the_foreground_until_it_is_told_to_stop(nowhere):
    with nowhere.start("registry", "run", "--dp", "0", "--aph", "0", "-o", "jsonl") as member:
        http = json.loads(member.stdout.readline())["http"]
        assert nowhere("registry", "announce", "here", "4000", "--registry", http).code == 0
        assert nowhere("registry", "lookup", "here", "--registry", http).out == "127.0.0.1:4000\n"
        member.send_signal(signal.SIGTERM)
        assert member.wait() == 0
        assert member.stderr.read() == ""


def test_a_registry_that_is_not_there_is_exit_code_three(nowhere):
    assert nowhere("registry", "lookup", "x").code == 3
    said = nowhere("registry", "lookup", "x", "--registry", "127.0.0.1:1")
    assert said.code == 3
    assert "127.0.0.1:1" in said.err
