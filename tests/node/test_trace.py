"""Every order that an outcome is about is named, and none twice."""

import msgspec

from p2pcli.market.events import (
    Amended,
    Cancelled,
    CancelledAll,
    Done,
    Fill,
    Placed,
    Reason,
    Refused,
    Removed,
    Repeated,
    Status,
)
from p2pcli.node.trace import MAX_NAMED, named, orders_of

from .conftest import BTC

FILL = Fill(1, 100, 5, 3, "bob", 0)


def test_each_outcome_names_the_orders_it_touched():
    outcomes = [
        Placed(9, Status.FILLED, 5, 0, [FILL], [Removed(4, 1)]),
        Amended(8, Status.OPEN, 5, 100, 0, 5, [FILL], [Removed(5, 1)]),
        Cancelled(7, 0, 1),
        CancelledAll([Removed(1, 1), Removed(2, 1)]),
        Refused(Reason.HALTED, 6),
        Refused(Reason.ID_REUSED),
        Done(),
    ]
    assert orders_of(outcomes) == [1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_a_repeat_is_told_where_it_was_first_answered():
    assert orders_of([Repeated(3, Cancelled(7, 0, 1))]) == []


def test_many_orders_take_several_records_that_no_log_line_cuts():
    outcomes = [Cancelled(number, 0, 1) for number in range(1, 2 * MAX_NAMED + 2)]
    parts = list(named(BTC, outcomes))
    assert [len(part) for part in parts] == [MAX_NAMED, MAX_NAMED, 1]
    assert [name for part in parts for name in part] == [
        str(number) for number in range(1, 2 * MAX_NAMED + 2)
    ]


def test_orders_of_a_later_market_carry_its_number():
    second = msgspec.structs.replace(BTC, number=2)
    assert list(named(second, [Cancelled(7, 0, 1)])) == [["2-7"]]
