"""``p2px keys`` and ``--key``: owners who prove who they are, on the command line and from Python."""

import json

import pytest

from p2pcli.cluster.exchange_client import ExchangeClient
from p2pcli.node.requests import Forbidden
from p2pcli.rpc.auth import KeyRefused, WrongOwner

pytestmark = pytest.mark.slow


@pytest.fixture
def ann(p2px, tmp_path) -> str:
    """The path of a key of ann."""
    path = tmp_path / "ann.key"
    said = p2px("keys", "create", "ann", "--out", str(path), "-o", "json")
    assert said.code == 0, said.err
    assert said.json["owner"] == "ann"
    return str(path)


def key_id(path: str) -> str:
    with open(path) as file:
        return json.load(file)["id"]


def test_a_key_trades_as_its_owner_in_every_market_through_every_node(p2px, ann):
    for market, node in (("BTC/USD", "client1"), ("ETH/USD", "client2")):
        said = p2px(
            *("order", "buy", "0.5@5", "--market", market, "--node", node, "--key", ann, "-o", "json")
        )
        assert said.code == 0, said.err
        assert (said.json["owner"], said.json["node"]) == ("ann", node)
    p2px.place("0.5@4")
    mine = p2px("order", "ls", "-o", "jsonl", P2PX_KEY=ann)
    assert {row["owner"] for row in mine.lines} == {"ann"}
    assert {row["owner"] for row in p2px("order", "ls", "-o", "jsonl").lines} > {"ann"}
    gone = p2px("order", "cancel", "--all", "--key", ann, "-o", "jsonl")
    assert gone.code == 0
    assert len(gone.lines) == len(mine.lines)
    for words in (("book", "show"), ("trades", "tail"), ("market", "ls")):
        assert p2px(*words, "--key", ann).code == 0


def test_a_key_can_not_touch_what_is_not_its_owners(p2px, ann):
    theirs = p2px.place("0.5@4")
    for words in (("cancel", theirs), ("amend", theirs, "0.4@4"), ("show", theirs)):
        said = p2px("order", *words, "--key", ann)
        assert said.code == 1
        assert said.err == "error: the key of ann shows that owner's orders only\n"
    halted = p2px("market", "halt", "BTC/USD", "--key", ann)
    assert (halted.code, halted.err.splitlines()[0]) == (
        1,
        "error: halting a market takes the cluster's secret; this is the key of ann",
    )
    for words in (("create", "bob"), ("ls",), ("revoke", "5f3a9c01d2e4")):
        said = p2px("keys", *words, "--key", ann)
        assert said.code == 2
        assert "that takes the cluster's secret" in said.err


def test_a_revoked_key_is_refused_and_listed_so(p2px, ann):
    placed = p2px("order", "buy", "0.5@5", "--key", ann, "-o", "json").json
    assert p2px("keys", "revoke", key_id(ann)).err == f"key {key_id(ann)} of ann is revoked\n"
    again = p2px("order", "buy", "0.5@5", "--key", ann)
    assert again.code == 6
    assert f"key {key_id(ann)} of ann was revoked" in again.err
    assert "hint: p2px keys create OWNER" in again.err
    rows = {row["id"]: row for row in p2px("keys", "ls", "-o", "json").json}
    assert rows[key_id(ann)]["state"] == "revoked"
    assert p2px("order", "show", placed["order_id"], "-o", "json").json["status"] == "open"
    assert p2px("order", "cancel", placed["order_id"]).code == 0
    assert p2px("keys", "revoke", key_id(ann)).code == 0
    assert p2px("keys", "revoke", "nothing").code == 4


def test_typical_mistakes_with_keys_are_named(p2px, ann, tmp_path):
    twice = p2px("keys", "create", "ann", "--out", ann)
    assert (twice.code, twice.err.splitlines()[1]) == (6, "hint: choose another --out")
    assert p2px("keys", "create", "ann smith").code == 2
    nothing = p2px("order", "ls", "--key", str(tmp_path / "nothing"))
    assert (nothing.code, "cannot read" in nothing.err) == (2, True)
    (tmp_path / "ann.key").chmod(0o644)
    open_to_all = p2px("order", "ls", "--key", ann)
    assert open_to_all.err == f"error: {ann} can be read by others\nhint: chmod 600 {ann}\n"
    (tmp_path / "ann.key").chmod(0o600)
    other = p2px("order", "ls", "--key", ann, "--name", "other")
    assert other.code == 2
    assert "is a key of cluster default, not of other" in other.err


def test_python_programs_trade_with_a_key(p2px, ann):
    with ExchangeClient("default", home=p2px.home, key=ann) as client:
        assert client.owner == "ann"
        order = client.buy("0.5", "5")
        assert order.owner == "ann"
        assert [one.order_id for one in client.orders()] == [order.order_id]
        with pytest.raises(Forbidden):
            client.orders(owner="client1")
        client.cancel(order.order_id)
        with pytest.raises(WrongOwner):
            ExchangeClient("default", home=p2px.home, key=ann, owner="bob")
        p2px("keys", "revoke", key_id(ann))
        with pytest.raises(KeyRefused):
            ExchangeClient("default", home=p2px.home, key=ann)


def test_a_key_is_good_in_a_market_that_was_added_later_once_it_is_granted_there(nowhere):
    p2px, up = nowhere, ("cluster", "up", "-n", "1", "--market", "BTC/USD")
    try:
        assert p2px(*up).code == 0
        for owner in ("ann", "bob"):
            assert p2px("keys", "create", owner).code == 0
        assert p2px("keys", "revoke", key_id(p2px.cwd / "bob.key")).code == 0
        assert p2px("cluster", "down").code == 0
        later = p2px(*up, "--market", "ETH/USD")
        assert (
            "note: keys that were given out before are not good in ETH/USD\nhint: p2px keys grant"
            in later.err
        )
        order = ("order", "buy", "1@5", "--market", "ETH/USD", "--key", "ann.key")
        refused = p2px(*order)
        assert (refused.code, "hint: p2px keys grant" in refused.err) == (1, True), refused.err
        given = p2px("keys", "grant", "-o", "json").json
        assert given == [{"id": key_id(p2px.cwd / "ann.key"), "owner": "ann", "markets": ["ETH/USD"]}]
        assert p2px(*order).code == 0
        rows = p2px("keys", "ls", "-o", "json").json
        assert {row["owner"]: (row["state"], row["missing"]) for row in rows} == {
            "ann": ("good", []),
            "bob": ("revoked", []),
        }
        again = p2px("keys", "grant", key_id(p2px.cwd / "bob.key"))
        assert (again.code, "was revoked, for good" in again.err) == (1, True)
    finally:
        p2px("cluster", "down")


def test_the_operator_trades_for_an_owner_and_clears_up_after_one(p2px, ann):
    assert p2px("order", "sell", "1@9", "--owner", "ann").code == 0
    mine = p2px("order", "buy", "0.5@5", "--owner", "ann", "--node", "client2", "-o", "json").json
    assert (mine["owner"], mine["node"]) == ("ann", "client2")
    p2px.place("0.5@4")
    rows = p2px("order", "ls", "--owner", "ann", "-o", "jsonl").lines
    assert [row["owner"] for row in rows] == ["ann", "ann"]
    assert len(p2px("order", "cancel", "--all", "--owner", "ann", "--side", "sell", "-o", "jsonl").lines) == 1
    assert len(p2px("order", "cancel", "--all", "--owner", "ann", "-o", "jsonl").lines) == 1
    other = p2px("order", "buy", "0.5@5", "--key", ann, "--owner", "bob")
    said = f"error: the key {key_id(ann)} is ann's, who cannot act for bob"
    assert (other.code, other.err.splitlines()[0]) == (2, said)


def test_a_key_sees_the_book_of_a_node_with_its_own_orders_marked(p2px, ann):
    p2px.place("1@4", node="client2")
    assert p2px("order", "buy", "0.5@5", "--key", ann).code == 0
    rows = p2px("book", "show", "--node", "client2", "--key", ann).out.splitlines()
    assert [row.startswith("*") for row in rows if ".00 " in row] == [True, False]


def test_the_log_says_which_key_was_granted_to_whom(p2px, ann):
    said = p2px("log", "show", "-n", "100000").out
    assert f"grant key {key_id(ann)} of ann" in said
    assert "define BTC/USD" in said
