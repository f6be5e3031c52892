"""Completion: the scripts, and what they offer."""

import pytest


def offered(shell, *words):
    """Return what bash would offer for the last word of a line."""
    line = " ".join(("p2px", *words))
    said = shell(_P2PX_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=str(len(words)))
    assert said.code == 0, said.err
    return [row.partition(",")[2] for row in said.out.splitlines() if row]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(nowhere, shell):
    said = nowhere("completion", shell)
    assert said.code == 0
    assert f"_P2PX_COMPLETE={shell}_complete" in said.out


def test_commands_and_options_are_offered(nowhere):
    assert offered(nowhere, "or") == ["order"]
    assert offered(nowhere, "book", "") == ["diff", "show"]
    assert offered(nowhere, "order", "buy", "1@5", "--po") == ["--post-only"]
    assert offered(nowhere, "order", "buy", "1@5", "--tif", "") == ["gtc", "ioc", "fok"]


def test_without_a_cluster_nothing_is_offered_and_nothing_is_wrong(nowhere):
    assert offered(nowhere, "order", "buy", "1@5", "--node", "") == []
    assert offered(nowhere, "order", "cancel", "") == []


@pytest.mark.slow
def test_nodes_markets_and_open_orders_are_offered(p2px):
    order = p2px.place("1@5", node="client2")
    assert offered(p2px, "order", "buy", "1@5", "--node", "cl") == ["client1", "client2", "client3"]
    assert offered(p2px, "book", "show", "--market", "E") == ["ETH/USD"]
    assert offered(p2px, "order", "cancel", "") == [order]
    assert offered(p2px, "cluster", "restart", "r") == ["registry1", "registry2"]
