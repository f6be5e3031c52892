"""``p2px order import``: a result for every line, and nothing done twice."""

import json

import pytest

pytestmark = pytest.mark.slow

GOOD = """\
side,quantity,price,client_order_id
buy,1,100,{run}-1
buy,2,101,{run}-2
sell,1.5,101,{run}-3
"""


def test_every_line_of_a_csv_is_answered(p2px):
    said = p2px("order", "import", "-", text=GOOD.format(run="a"))
    lines = said.out.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["line", "2", "accepted"],
        ["line", "3", "accepted"],
        ["line", "4", "accepted"],
    ]
    assert lines[2].endswith("SELL 1.5 BTC/USD @ 101.00  gtc  filled 1.5")
    assert said.err.startswith("3 lines in ")
    assert said.err.endswith(": 3 accepted\n")
    assert said.code == 0


def test_the_same_file_again_changes_nothing(p2px, tmp_path):
    file = tmp_path / "orders.jsonl"
    file.write_text(
        '{"side":"buy","quantity":"1","price":"100","client_order_id":"again-1"}\n'
        '{"op":"amend","client_order_id":"again-1","quantity":"3","price":"99"}\n'
        '{"op":"amend","client_order_id":"again-1","quantity":"2","price":"98"}\n'
    )
    first = p2px("order", "import", str(file), "-o", "jsonl").lines
    before = p2px("order", "show", first[0]["order_id"], "-o", "json").json
    again = p2px("order", "import", str(file), "-o", "jsonl").lines
    assert [row["repeated"] for row in again] == [True] * 3
    assert [{**row, "repeated": False} for row in again] == first
    assert p2px("order", "show", first[0]["order_id"], "-o", "json").json == before
    assert (before["quantity"], before["price"]) == ("2", "98.00")


def test_bad_lines_are_named_and_skipped(p2px):
    text = "side,quantity,price\nbuy,1,100\nbuy,x,100\nsell,1,2,3\nbuy,1,99\n"
    said = p2px("order", "import", "-", text=text)
    assert [line.split()[1] for line in said.out.splitlines()] == ["2", "5"]
    complaints = said.err.splitlines()
    assert complaints[0].startswith(
        "line 3     error     quantity 'x' is not a plain decimal number; up to 12 d"
    )
    assert complaints[1] == (
        "line 4     error     4 values where the header has 3 fields; side,quantity,price"
    )
    assert complaints[-2] == "error: 2 of 4 lines were not answered"
    assert said.code == 1


def test_on_error_stop_carries_out_what_came_before(p2px):
    text = "side,quantity,price\nbuy,1,100\nbuy,x,100\nbuy,1,99\n"
    said = p2px("order", "import", "-", "--on-error", "stop", "-q", text=text)
    assert (said.code, said.out) == (1, "")
    assert [row["price"] for row in p2px("order", "ls", "-o", "json").json] == ["100.00"]


def test_a_refusal_is_an_answer(p2px):
    text = '{"op":"cancel","client_order_id":"never-seen"}\n'
    said = p2px("order", "import", "-", "-o", "jsonl", text=text)
    (row,) = said.lines
    assert (row["result"], row["error"]["code"], said.code) == ("refused", "refused", 0)


def test_json_is_one_document(p2px):
    said = p2px("order", "import", "-", "-o", "json", text="side,quantity,price\nbuy,1,100\nbuy,x,1\n")
    first, second = said.json["results"]
    assert (first["line"], first["result"], first["error"]) == (2, "accepted", None)
    assert (second["line"], second["result"], second["error"]["code"]) == (3, "error", "bad_number")
    assert said.code == 1


def test_markets_may_alternate(p2px):
    rows = [
        {"side": "buy", "quantity": "1", "price": "10", "market": market}
        for market in ("BTC/USD", "ETH/USD", "BTC/USD")
    ]
    said = p2px("order", "import", "-", "-o", "jsonl", text="\n".join(map(json.dumps, rows)))
    assert [row["order_id"].startswith("2-") for row in said.lines] == [False, True, False]


def test_many_lines_go_in_frames_and_none_is_lost(p2px):
    text = "side,quantity,price\n" + "".join(f"buy,1,{price}\n" for price in range(1, 1002))
    said = p2px("order", "import", "-", "-q", text=text)
    assert said.err.endswith(": 1001 accepted\n")
    assert len(p2px("order", "ls", "-n", "5000", "-o", "jsonl").lines) == 1001


@pytest.mark.parametrize(
    ("words", "text", "message"),
    [
        (("no-such-file",), "", "no-such-file cannot be read: No such file or directory"),
        (("-",), "buy,1,100\n", "line 1: the header has no field 'buy'"),
    ],
)
def test_a_file_that_is_none_is_bad_input(p2px, words, text, message):
    said = p2px("order", "import", *words, text=text)
    assert said.code == 2
    assert said.err.startswith(f"error: {message}")


def test_an_empty_file_is_nothing_to_do(p2px):
    said = p2px("order", "import", "-", text="")
    assert (said.code, said.out, said.err) == (0, "", "")
