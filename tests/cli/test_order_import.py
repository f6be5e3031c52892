"""``p2px order import``: a result for every line, and nothing done twice."""

import json
import subprocess
from signal import SIGINT

import pytest

from .conftest import PROGRAM

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


def test_a_file_longer_than_the_exchange_remembers_is_resumed(nowhere, tmp_path):
    lines = [f"{side},1,100,{number}-{side}" for number in range(150) for side in ("sell", "buy")]
    header = "side,quantity,price,client_order_id"

    def imported(upto):
        text = "\n".join([header, *lines[:upto]]) + "\n"
        said = nowhere("order", "import", "-", "-q", text=text)
        assert said.code == 0, said.err
        return said.err.partition(" s: ")[2].strip()

    def trades():
        return len(nowhere("trades", "tail", "-n", "1000", "-o", "jsonl").lines)

    few = {"P2PX_MARKET_DEFAULTS_REMEMBERED_IDS": "10"}
    assert nowhere("cluster", "up", "-n", "1", "--ephemeral", **few).code == 0
    try:
        assert imported(250) == "250 accepted"
        assert imported(300) == "300 accepted; 250 of them in an earlier import"
        assert trades() == 150
        lines[4] = "sell,1,100,another"  # a line that was mended: the others are known wherever they stand
        lines.insert(0, "buy,1,1,first")
        assert imported(301) == "301 accepted; 299 of them in an earlier import"
        assert trades() == 150
        notes = nowhere.folder.answered_path.read_bytes()
    finally:
        assert nowhere("cluster", "down", "--wipe").code == 0
    assert not nowhere.folder.answered_path.exists()

    # The same notes beside an exchange that begins anew, as of a cluster elsewhere that was wiped.
    assert nowhere("cluster", "up", "-n", "1", "--ephemeral", **few).code == 0
    try:
        nowhere.folder.answered_path.write_bytes(notes)
        text = "\n".join([header, *lines]) + "\n"
        said = nowhere("order", "import", "-", "-q", text=text)
        assert said.err.startswith("earlier imports count no more: this exchange does not know order 3")
        assert said.err.endswith(": 301 accepted\n")
        assert trades() == 150
    finally:
        assert nowhere("cluster", "down").code == 0


def test_a_terminal_shows_a_bar_below_the_answers_and_a_pipe_none(p2px, tmp_path):
    file = tmp_path / "orders.csv"
    file.write_text("side,quantity,price\n" + "buy,1,100\n" * 300)
    with p2px.terminal("order", "import", str(file)) as terminal:
        shown = terminal.finish().out
    assert "[----" in shown
    assert "0%" in shown
    lines = [line.rpartition("\r")[2].removeprefix("\x1b[K") for line in shown.splitlines()]
    assert len([line for line in lines if line.startswith("line ")]) == 300
    assert lines[-1].startswith("300 lines in ")
    assert "%" not in p2px("order", "import", str(file)).err
    with p2px.terminal("order", "import", str(file), TERM="dumb") as terminal:
        assert "%" not in terminal.finish().out


def test_a_slow_pipe_is_not_made_to_wait_for_a_full_frame(p2px):
    with p2px.terminal("order", "import", "-") as terminal:
        terminal.send("side,quantity,price\nbuy,1,100\n")
        terminal.until("BUY 1 BTC/USD")
        terminal.send("buy,2,100\n\4")
        said = terminal.finish()
    assert said.code == 0
    assert ": 2 accepted" in said.out


def test_an_interrupted_import_says_how_it_goes_on(p2px, tmp_path):
    with p2px.terminal("order", "import", "-") as terminal:
        terminal.send("side,quantity,price,client_order_id\nbuy,1,100,i-1\n" + "buy,x,1,\n")
        terminal.until("quantity 'x'")
        terminal.send_signal(SIGINT)
        said = terminal.finish()
    assert said.code == 130
    assert said.out.rstrip().endswith(
        "import the file again: lines with a client order id are not done twice"
    )


def test_a_closed_standard_input_is_named(p2px):
    command = ["sh", "-c", 'exec "$@" <&-', "sh", *PROGRAM, "order", "import", "-"]
    done = subprocess.run(
        command, env=p2px.environ, cwd=p2px.cwd, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, "error: standard input is closed")


def test_what_was_dropped_or_refused_is_said_also_when_it_is_said_again(p2px):
    text = "side,quantity,price,client_order_id\nbuy,1,,d-1\nbuy,1,100,d-2\nsell,1,100,d-3\n"
    assert p2px("order", "import", "-", text=text).out.splitlines()[0].endswith("@ market  ioc  expired")
    p2px("market", "halt", "BTC/USD")
    more = text + "buy,1,100,d-4\n"
    p2px("order", "import", "-", text=more)
    p2px("market", "resume", "BTC/USD")
    said = p2px("order", "import", "-", text=more)
    assert said.out.splitlines()[-1].endswith("only cancels are taken  (again)")
    assert said.err.endswith("3 accepted, 1 refused; 4 of them in an earlier import\n")
    alone = p2px("order", "buy", "1@100", "--client-id", "d-4", "--node", "client1")
    assert alone.code == 1
    assert "hint: so this id was answered before, at sequence " in alone.err
