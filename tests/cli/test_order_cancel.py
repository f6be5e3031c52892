"""``p2px order cancel``: one, some, all."""

import pytest

from p2pcli.market.commands import Side

pytestmark = pytest.mark.slow


def test_an_order_is_cancelled_in_its_owners_name_through_any_node(p2px):
    order = p2px.place("1.5@100", node="client3")
    said = p2px("order", "cancel", order)
    assert (said.code, said.out) == (0, f"cancelled {order}  1.5 BTC/USD unfilled\n")


def test_a_closed_order_is_refused_with_its_status(p2px):
    order = p2px.place("1@100")
    p2px("order", "cancel", order)
    said = p2px("order", "cancel", order)
    assert said.code == 1
    assert said.err == f"error: order {order} is already cancelled\nhint: p2px order show {order}\n"


def test_another_nodes_order_is_refused_with_its_owner(p2px):
    order = p2px.place("1@100", node="client3")
    said = p2px("order", "cancel", order, "--node", "client2")
    assert said.code == 1
    assert said.err.splitlines()[0] == f"error: order {order} belongs to client3, not to client2"
    assert p2px("order", "show", order, "-o", "json").json["status"] == "open"


def test_of_several_the_good_ones_go_and_the_bad_ones_are_told(p2px):
    one, two = p2px.place("1@100"), p2px.place("2@99", node="client2")
    said = p2px("order", "cancel", one, "999999", two)
    assert said.out.splitlines() == [
        f"cancelled {one}  1 BTC/USD unfilled",
        f"cancelled {two}  2 BTC/USD unfilled",
    ]
    assert said.err.startswith("error: no order 999999 in BTC/USD\n")
    assert said.code == 4


def test_json_of_one_is_a_document_and_of_several_an_array(p2px):
    one, two = p2px.place("1@100"), p2px.place("2@99")
    assert p2px("order", "cancel", one, "-o", "json").json == {
        "order_id": one,
        "owner": "client1",
        "market": "BTC/USD",
        "status": "cancelled",
        "cancelled": "1",
    }
    first, second = p2px("order", "cancel", two, one, "-o", "json").json
    assert first["order_id"] == two
    assert second["error"]["code"] == "order_closed"


def test_all_means_every_open_order_of_one_node(p2px):
    mine = [p2px.place("1@100"), p2px.place("1@200", Side.SELL)]
    other = p2px.place("1@99", node="client2")
    said = p2px("order", "cancel", "--all", "--node", "client1")
    assert [line.split()[1] for line in said.out.splitlines()] == mine
    assert [row["order_id"] for row in p2px("order", "ls", "-o", "json").json] == [other]
    nothing = p2px("order", "cancel", "--all", "--node", "client1")
    assert (nothing.code, nothing.out, nothing.err) == (0, "", "client1 has no open orders\n")


def test_all_of_one_side_leaves_the_other(p2px):
    bid, ask = p2px.place("1@100"), p2px.place("1@200", Side.SELL)
    said = p2px("order", "cancel", "--all", "--node", "client1", "--side", "sell", "-o", "json").json
    assert [row["order_id"] for row in said] == [ask]
    assert p2px("order", "show", bid, "-o", "json").json["status"] == "open"
