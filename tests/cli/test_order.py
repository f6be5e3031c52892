# ruff: noqa: E501  (one case a line)
"""``p2px order`` as people and programs use it, with real processes."""

import json

import pytest

from p2pcli.market.commands import Place, Side
from p2pcli.node.client import ExchangeClient

pytestmark = pytest.mark.slow

ORDER_FIELDS = {
    "order_id", "client_order_id", "node", "owner", "market", "side", "type", "tif", "price", "quantity", "filled",
    "remaining", "status", "sequence", "trades",
}  # fmt: skip


def test_the_first_orders_of_the_contract_read_word_for_word(p2px):
    p2px.place("0.2@29995", Side.SELL, "client3")
    said = p2px("order", "buy", "0.5@30000", "--node", "client1")
    accepted, filled = said.out.splitlines()
    number = accepted.split()[1]
    assert accepted == f"accepted  {number}  BUY 0.5 BTC/USD @ 30000.00  gtc  on client1"
    assert filled == "filled    0.2 @ 29995.00 against client3        remaining 0.3"
    assert (said.code, said.err) == (0, "")


def test_an_order_as_json_has_exactly_the_documented_fields(p2px):
    p2px.place("0.2@29995", Side.SELL, "client3")
    said = p2px("order", "buy", "0.5@30000", "--node", "client1", "-o", "json").json
    assert said.keys() == ORDER_FIELDS
    assert (said["node"], said["owner"], said["side"], said["type"], said["tif"]) == (
        "client1",
        "client1",
        "buy",
        "limit",
        "gtc",
    )
    assert (said["price"], said["quantity"], said["filled"], said["remaining"]) == (
        "30000.00",
        "0.5",
        "0.2",
        "0.3",
    )
    assert said["status"] == "partially_filled"
    (trade,) = said["trades"]
    assert trade.keys() == {"trade_id", "price", "quantity", "maker_order_id", "taker_order_id"}
    assert trade["taker_order_id"] == said["order_id"]
    shown = p2px("order", "show", said["order_id"], "-o", "json").json
    assert shown == said
    line = p2px("-o", "jsonl", "order", "show", said["order_id"]).out
    assert line.count("\n") == 1
    assert json.loads(line) == said


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("abc", 2, "order 'abc' is not QTY@PRICE"),
        ("0.5", 2, "order '0.5' is not QTY@PRICE"),
        ("0@1", 2, "quantity must be above zero, not 0"),
        ("1@0", 2, "price must be above zero, not 0"),
        ("-1@5", 2, "quantity '-1' is not a plain decimal number"),
        ("0.5@30000.005", 2, "price 30000.005 is not a multiple of the tick 0.01 of BTC/USD"),
        ("1000001@5", 2, "quantity 1000001 is above the maximum 1000000 of BTC/USD"),
        ("999999999999@5", 2, "quantity 999999999999 is above the maximum 1000000 of BTC/USD"),
    ],
)
def test_wrong_order_text_is_one_clear_error_and_changes_nothing(p2px, text, code, message):
    said = p2px("order", "buy", text)
    first, second = said.err.splitlines()
    assert first == f"error: {message}"
    assert second.startswith("hint: ")
    assert (said.code, said.out) == (code, "")
    assert p2px("order", "ls", "-o", "json").json == []


def test_the_hint_names_the_nearest_valid_prices(p2px):
    assert (
        p2px("order", "buy", "0.5@30000.005").err.splitlines()[1]
        == "hint: nearest valid prices are 30000.00 and 30000.01"
    )


def test_market_may_be_written_in_capitals(p2px):
    assert "@ market  ioc" in p2px("order", "buy", "1@MARKET").out


def test_a_market_order_takes_what_is_there_and_drops_the_rest(p2px):
    p2px.place("0.2@100", Side.SELL, "client2")
    said = p2px("order", "buy", "0.5@market", "--node", "client1")
    assert said.code == 0
    assert said.out.splitlines()[0].endswith("BUY 0.5 BTC/USD @ market  ioc  on client1")
    assert said.out.splitlines()[-1] == "expired   0.3 found no counterparty"


def test_fills_that_fit_no_answer_are_shown_all_the_same(p2px):
    makers = 4000  # with names of 64 characters that take 4 bytes each, more than a frame
    near = p2px.client("client1")
    host, _, port = near.address.rpartition(":")
    credentials = p2px.folder.credentials()
    with ExchangeClient(host, int(port), credentials, owner="\N{GRINNING FACE}" * 64) as client:
        for _ in range(makers // 1000):
            client.submit("BTC/USD", [Place(Side.SELL, 1, 100)] * 1000)
    said = p2px("order", "buy", "0.00004@1", "--node", "client1", "-o", "json").json
    assert said["filled"] == "0.00004"
    assert len(said["trades"]) == makers


def test_fill_or_kill_does_nothing_when_it_cannot_fill(p2px):
    p2px.place("0.2@100", Side.SELL, "client2")
    said = p2px("order", "buy", "0.5@100", "--tif", "fok", "-o", "json").json
    assert (said["status"], said["filled"], said["trades"]) == ("expired", "0", [])


def test_a_post_only_order_that_would_trade_is_refused_with_the_price_in_its_way(p2px):
    p2px.place("1@100.50", Side.SELL, "client2")
    said = p2px("order", "buy", "1@101", "--post-only", "-o", "json")
    assert said.code == 1
    assert said.json["error"] == {
        "code": "refused",
        "message": "the post-only order would trade at once: the best ask is 100.50",
        "hint": "bid below 100.50, or leave --post-only out",
    }
    assert said.err == ""


def test_self_trade_prevention_is_told(p2px):
    p2px.place("1@100", Side.SELL, "client1")
    said = p2px("order", "buy", "1@100", "--node", "client1", "--stp", "cancel-oldest")
    assert "own resting order, 1 unfilled, instead of trading with it" in said.out


def test_the_same_client_id_is_answered_again_and_done_once(p2px):
    first = p2px("order", "buy", "1@5", "--client-id", "retry-1", "--node", "client1", "-o", "json").json
    again = p2px("order", "buy", "1@5", "--client-id", "retry-1", "--node", "client1", "-o", "json").json
    assert again == first
    text = p2px("order", "buy", "1@5", "--client-id", "retry-1", "--node", "client1")
    assert text.out.startswith("repeated  this id was answered before")
    other = p2px("order", "buy", "2@5", "--client-id", "retry-1", "--node", "client1")
    assert other.code == 1
    assert "client order id 'retry-1' was used before, with other content" in other.err
    assert len(p2px("order", "ls", "-o", "json").json) == 1


def test_orders_without_an_id_get_one_that_differs(p2px):
    ids = {p2px("order", "buy", "1@5", "-o", "json").json["client_order_id"] for _ in range(2)}
    assert len(ids) == 2


def test_the_second_market_prefixes_its_ids(p2px):
    said = p2px("order", "sell", "1@2000", "--market", "eth/usd", "-o", "json").json
    assert said["market"] == "ETH/USD"
    assert said["order_id"].startswith("2-")
    assert p2px("order", "show", said["order_id"]).out.startswith(
        f"order     {said['order_id']}  SELL 1 ETH/USD"
    )
    assert p2px("order", "cancel", said["order_id"]).code == 0


def test_amend_gives_a_new_total_and_reports_its_fills(p2px):
    order = p2px.place("1@100", Side.BUY, "client2")
    p2px.place("0.5@101", Side.SELL, "client3")
    said = p2px("order", "amend", order, "2@101")
    amended, filled = said.out.splitlines()
    assert amended == f"amended   {order}  BUY 2 BTC/USD @ 101.00  gtc  on client1"
    assert filled.split() == ["filled", "0.5", "@", "101.00", "against", "client3", "remaining", "1.5"]
    shown = p2px("order", "amend", order, "1.5@101", "-o", "json").json
    assert shown.keys() == ORDER_FIELDS
    assert (shown["owner"], shown["quantity"], shown["remaining"]) == ("client2", "1.5", "1")


def test_another_nodes_order_cannot_be_amended_in_this_ones_name(p2px):
    order = p2px.place("1@100", Side.BUY, "client2")
    said = p2px("order", "amend", order, "2@100", "--node", "client3")
    assert said.code == 1
    assert f"order {order} belongs to client2, not to client3" in said.err


def test_ls_shows_open_orders_and_with_all_the_closed_ones(p2px):
    open_one = p2px.place("1@100", Side.BUY, "client2")
    closed = p2px.place("1@99", Side.BUY, "client1")
    p2px("order", "cancel", closed)
    text = p2px("order", "ls").out.splitlines()
    assert text[0].split() == ["ORDER", "SIDE", "MARKET", "PRICE", "QTY", "FILLED", "STATUS", "TIF", "OWNER"]
    assert [line.split()[0] for line in text[1:]] == [open_one]
    rows = p2px("order", "ls", "--all", "-o", "jsonl").lines
    assert {row["order_id"]: row["status"] for row in rows}.items() >= {
        open_one: "open",
        closed: "cancelled",
    }.items()
    assert [row["order_id"] for row in p2px("order", "ls", "--node", "client2", "-o", "json").json] == [
        open_one
    ]
    assert p2px("order", "ls", "--node", "client1", "-o", "json").json == []
    assert p2px("order", "ls", "--all", "--owner", "nobody").err == "no orders\n"
    short = p2px("order", "ls", "--all", "--market", "BTC/USD", "-n", "1", "-o", "jsonl")
    assert short.err == "these are the newest 1 of BTC/USD; -n allows more\n"
    assert [row["order_id"] for row in short.lines] == [closed]


def test_no_open_orders_is_said_on_stderr(p2px):
    said = p2px("order", "ls")
    assert (said.out, said.err, said.code) == ("", "no open orders\n", 0)


@pytest.mark.parametrize(
    "words", [("show", "999999999"), ("cancel", "999999999"), ("amend", "999999999", "1@5")]
)
def test_an_unknown_order_is_exit_code_four(p2px, words):
    said = p2px("order", *words)
    assert said.code == 4
    assert said.err.startswith("error: no order 999999999 in BTC/USD\nhint: ")
