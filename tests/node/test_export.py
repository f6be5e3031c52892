"""Export rows: one position a command, trades that point at their cause, buyer and seller by owner."""

from p2pcli.market.commands import Amend, CancelAll, Checkpoint, Command, Define, Place, SelfTrade, Side
from p2pcli.market.events import (
    Amended,
    CancelledAll,
    Done,
    Fill,
    Outcome,
    Placed,
    Reason,
    Refused,
    Removed,
    Repeated,
    Status,
)
from p2pcli.node.body import Group
from p2pcli.node.export import Export
from p2pcli.node.record import Record

SELL = Place(Side.SELL, 10, 100, client_order_id="s1")
DEFINE = Define("BTC/USD", 1, 1, 1, 100, 100, SelfTrade.CANCEL_OLDEST)


def exported(*answers: tuple[str, Command, Outcome]) -> tuple[list[dict], list[dict]]:
    record = Record(
        5,
        0,
        [Group(owner, [command]) for owner, command, _ in answers],
        [[outcome] for *_, outcome in answers],
    )
    pairs = list(Export("BTC/USD").rows(record))
    return [row for row, _ in pairs], [trade for _, trades in pairs for trade in trades]


def test_a_place_is_one_row_with_the_markets_own_self_trade_rule():
    rows, trades = exported(("ann", DEFINE, Done()), ("ann", SELL, Placed(1, Status.OPEN, 0, 10)))
    assert rows == [
        {
            "seq": 1,
            "id": "s1",
            "op": "place",
            "order": 1,
            "owner": "ann",
            "side": "sell",
            "type": "limit",
            "tif": "GTC",
            "post_only": False,
            "stp": "cancel-oldest",
            "price": 100,
            "qty": 10,
            "market": "BTC/USD",
            "outcome": "done",
        }
    ]
    assert trades == []


def test_a_trade_points_at_its_command_and_names_buyer_and_seller():
    fill = Fill(1, 100, 4, 1, "ann", 6)
    _, trades = exported(
        ("ann", SELL, Placed(1, Status.OPEN, 0, 10)),
        ("bob", Place(Side.BUY, 4), Placed(2, Status.FILLED, 4, 0, [fill])),
    )
    assert [(row["seq"], row["n"], row["buyer"], row["seller"]) for row in trades] == [(2, 1, "bob", "ann")]


def test_an_amend_that_trades_keeps_the_side_of_its_order():
    fill = Fill(1, 90, 4, 2, "bob", 0)
    amended = Amended(1, Status.PARTIALLY_FILLED, 10, 90, 4, 6, [fill])
    rows, trades = exported(
        ("ann", SELL, Placed(1, Status.OPEN, 0, 10)),
        ("bob", Place(Side.BUY, 4, 90), Placed(2, Status.OPEN, 0, 4)),
        ("ann", Amend(1, 10, 90), amended),
    )
    assert (rows[2]["op"], rows[2]["order"], rows[2]["price"], rows[2]["qty"]) == ("amend", 1, 90, 10)
    assert (trades[0]["seller"], trades[0]["buyer"], trades[0]["seq"]) == ("ann", "bob", 3)


def test_a_cancel_all_is_one_cancel_per_order():
    rows, _ = exported(("ann", CancelAll(), CancelledAll([Removed(1, 5), Removed(3, 2)])))
    assert [(row["seq"], row["op"], row["order"]) for row in rows] == [(1, "cancel", 1), (2, "cancel", 3)]


def test_repeats_and_refusals_are_marked():
    rows, trades = exported(
        ("ann", SELL, Repeated(1, Placed(1, Status.FILLED, 10, 0, [Fill(1, 100, 10, 9, "x", 0)]))),
        ("ann", Place(Side.BUY, 1, 1), Refused(Reason.HALTED, 7)),
    )
    assert [(row["order"], row["outcome"]) for row in rows] == [(1, "repeated"), (7, "refused halted")]
    assert trades == []


def test_what_nodes_say_to_each_other_takes_no_position():
    assert exported(("n", DEFINE, Done()), ("n", Checkpoint(1000, b"", 0), Done())) == ([], [])


def test_a_history_that_begins_late_knows_no_side_of_an_older_order():
    # Its node once began from a peer's snapshot; the order of this amend was placed before that.
    fill = Fill(7, 100, 4, 1, "bob", 6)
    amended = Amended(2, Status.FILLED, 4, 100, 4, 0, [fill])
    quiet = Amended(2, Status.OPEN, 4, 100, 0, 4)
    rows, trades = exported(("ann", Amend(2, 4), quiet), ("ann", Amend(2, 4, 100), amended))
    assert [row["order"] for row in rows] == [2, 2]
    assert [(trade["maker"], trade["taker"], trade["buyer"], trade["seller"]) for trade in trades] == [
        (1, 2, None, None)
    ]
