"""The judge's own market: it agrees with the machine, though it shares nothing with it."""

import msgspec
import pytest
from driven import DEFINE, Driven, random_commands

from p2pcli.cluster.chaos.twin import Resting, Rules, Twin
from p2pcli.market.commands import CancelAll, Halt, Place, Resume, SelfTrade, Side
from p2pcli.market.events import Done
from p2pcli.node.body import decode_body
from p2pcli.node.export import Export
from p2pcli.node.record import Record


def rules(define) -> Rules:
    return Rules(
        define.max_price,
        define.max_quantity,
        define.price_band,
        define.max_open_orders,
        define.remembered_ids,
    )


def rows_of(driven: Driven, export: Export, owner, command):
    applied = driven.apply((owner, [command]))
    groups = decode_body(driven.entries[-1].batch.body).groups
    return list(export.rows(Record(applied.sequence, applied.time_ns, groups, applied.outcomes)))


def goes(driven: Driven, owner, command) -> bool:
    """Say whether a command without an order of its own takes any out of the book."""
    side = getattr(command, "side", None)
    return isinstance(command, CancelAll) and any(
        side in (None, view.side) for view in driven.machine.orders(owner)
    )


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"self_trade": SelfTrade.CANCEL_OLDEST, "max_open_orders": 3},
        {"self_trade": SelfTrade.CANCEL_NEWEST, "price_band": 60},
        {"self_trade": SelfTrade.CANCEL_BOTH, "remembered_ids": 5},
    ],
)
def test_it_agrees_with_the_machine_about_everything(seed, changes):
    define = msgspec.structs.replace(DEFINE, **changes)
    driven, export, twin = Driven(define), Export("BTC/USD"), Twin(rules(define))
    compared = 0
    # The definition is no row, but says what "default" means in those that follow.
    assert list(export.rows(Record(1, 0, decode_body(driven.entries[0].batch.body).groups, [[Done()]]))) == []
    for owner, command in random_commands(seed, 400):
        if isinstance(command, Halt | Resume | CancelAll) and not goes(driven, owner, command):
            command = msgspec.structs.replace(command, command_id="")  # no row tells the judge of it
        for row, trades in rows_of(driven, export, owner, command):
            expected = twin.take(row)
            compared += 1
            assert row["outcome"] == expected.outcome, row
            if row["op"] == "place" and expected.order:
                assert row["order"] == expected.order, row
            assert [
                (each["maker"], each["taker"], each["price"], each["qty"], each["buyer"], each["seller"])
                for each in trades
            ] == expected.trades, row
            assert not twin.is_crossed
    assert compared > 300
    assert [(view.order, view.remaining) for view in driven.machine.full_book()] == [
        (order.order, order.remaining) for order in twin.resting()
    ]


def test_a_crossed_book_is_seen():
    twin = Twin(Rules(1000, 1000))
    assert not twin.is_crossed
    for price, is_buy in ((101, True), (102, False)):
        twin._rest(Resting(1, "ann", is_buy, price, 1, 0, False, "allow"))
    assert not twin.is_crossed
    twin._rest(Resting(1, "ann", False, 101, 1, 0, False, "allow"))
    assert twin.is_crossed


def test_what_a_halt_refuses_is_taken_from_the_row():
    driven, export, twin = Driven(), Export("BTC/USD"), Twin(rules(DEFINE))
    assert rows_of(driven, export, "ann", Halt()) == []
    ((row, _),) = rows_of(driven, export, "ann", Place(Side.BUY, 1, 100))
    assert twin.take(row).outcome == "refused halted"
    rows_of(driven, export, "ann", Resume())
    ((row, _),) = rows_of(driven, export, "ann", Place(Side.BUY, 1, 100))
    assert (twin.take(row).outcome, row["order"]) == ("done", 2)
