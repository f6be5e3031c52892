"""What records say about one order: placed, filled as maker and taker, amended, cancelled."""

from driven import Driven

from p2pcli.market.commands import Amend, Cancel, CancelAll, Command, Place, SelfTrade, Side, TimeInForce
from p2pcli.market.events import (
    Amended,
    Cancelled,
    CancelledAll,
    Fill,
    Outcome,
    Placed,
    Reason,
    Refused,
    Removed,
    Repeated,
    Status,
)
from p2pcli.market.notes import Notes
from p2pcli.market.views import OrderView
from p2pcli.node.body import Group
from p2pcli.node.record import Record, amended_takers, later, placement, placements, touched, trades

SELL_TEN = Place(Side.SELL, 10, 100, client_order_id="s")


def record(sequence: int, *answers: tuple[str, Command, Outcome]) -> Record:
    groups = [Group(owner, [command]) for owner, command, _ in answers]
    return Record(sequence, sequence * 1000, groups, [[outcome] for _, _, outcome in answers])


def as_notes(made: Record) -> list[Notes]:
    """Structs are notes too, those that the machine writes when something unusual happened."""
    return [list(outcomes) for outcomes in made.outcomes]


def resting() -> OrderView:
    view = placement(record(1, ("ann", SELL_TEN, Placed(1, Status.OPEN, 0, 10))), 1)
    assert view is not None
    return view


def bought(quantity: int, left: int, order: int = 2, sequence: int = 2) -> Record:
    fill = Fill(sequence - 1, 100, quantity, 1, "ann", left)
    placed = Placed(order, Status.FILLED, quantity, 0, [fill])
    return record(sequence, ("bob", Place(Side.BUY, quantity, 100), placed))


def test_an_order_is_shown_as_it_was_placed():
    assert resting() == OrderView(
        1,
        "s",
        "ann",
        Side.SELL,
        100,
        10,
        0,
        10,
        Status.OPEN,
        TimeInForce.GTC,
        False,
        SelfTrade.DEFAULT,
        1,
        1000,
    )


def after(view: OrderView, *records: Record) -> OrderView:
    return later({view.order: view}, records)[view.order]


def test_a_refused_order_is_shown_as_rejected():
    view = placement(record(1, ("ann", SELL_TEN, Refused(Reason.HALTED, 1))), 1)
    assert view is not None
    assert (view.status, view.filled, view.remaining, view.cancelled) == (Status.REJECTED, 0, 0, 10)


def test_a_takers_fills_name_the_maker():
    view = placement(bought(4, 6), 2)
    assert view is not None
    assert [(fill.trade, fill.quantity, fill.counterparty) for fill in view.fills] == [(1, 4, "ann")]


def test_a_makers_fills_add_up_and_name_the_takers():
    view = after(resting(), bought(4, 6), bought(6, 0, order=3, sequence=3))
    assert (view.filled, view.remaining, view.status) == (10, 0, Status.FILLED)
    assert [(fill.taker, fill.counterparty) for fill in view.fills] == [(2, "bob"), (3, "bob")]
    assert view.notional == 1000


def test_quantity_is_filled_remaining_and_cancelled_at_every_step():
    cancel = record(3, ("ann", Cancel(1), Cancelled(1, 4, 6)))
    for view in (resting(), after(resting(), bought(4, 6)), after(resting(), bought(4, 6), cancel)):
        assert view.filled + view.remaining + view.cancelled == view.quantity
    assert view.status is Status.CANCELLED
    assert view.cancelled == 6


def test_cancel_all_and_self_trade_prevention_cancel_too():
    everything = record(2, ("ann", CancelAll(), CancelledAll([Removed(1, 10)])))
    prevented = record(
        2, ("ann", Place(Side.BUY, 5, 100), Placed(2, Status.OPEN, 0, 5, [], [Removed(1, 10)]))
    )
    for cause in (everything, prevented):
        assert after(resting(), cause).status is Status.CANCELLED
        assert touched(cause.groups, as_notes(cause)) == [1]


def test_an_amend_that_trades_shows_as_fills_of_the_amended_order():
    amended = Amended(1, Status.PARTIALLY_FILLED, 12, 90, 3, 9, [Fill(7, 95, 3, 5, "cat", 0)])
    cause = record(4, ("ann", Amend(1, 12, 90), amended))
    view = after(resting(), cause)
    assert (view.quantity, view.price, view.filled, view.remaining) == (12, 90, 3, 9)
    assert [fill.counterparty for fill in view.fills] == ["cat"]
    assert sorted(touched(cause.groups, as_notes(cause))) == [1, 5]
    assert amended_takers([cause]) == {1}
    (trade,) = trades(cause, {1: Side.SELL})
    assert (trade.taker_side, trade.taker, trade.maker, trade.taker_owner, trade.maker_owner) == (
        Side.SELL,
        1,
        5,
        "ann",
        "cat",
    )


def test_a_trade_names_both_sides():
    (trade,) = trades(bought(4, 6), {})
    assert (trade.trade, trade.price, trade.quantity, trade.taker_side) == (1, 100, 4, Side.BUY)
    assert (trade.maker, trade.taker, trade.maker_owner, trade.taker_owner) == (1, 2, "ann", "bob")


def test_a_repeated_answer_is_not_a_second_order():
    again = record(2, ("ann", SELL_TEN, Repeated(1, Placed(1, Status.OPEN, 0, 10))))
    assert list(placements(again)) == []
    assert touched(again.groups, as_notes(again)) == []
    assert after(resting(), again) == resting()


def test_plain_orders_touch_their_makers_and_cancels_what_they_name():
    driven = Driven()
    driven.do("ann", Place(Side.SELL, 3, 100))
    driven.do("ann", Place(Side.SELL, 3, 101))
    applied = driven.apply(
        ("bob", [Place(Side.BUY, 1, 90), Place(Side.BUY, 5, 101), Place(Side.BUY, 1, 99)]),
        ("ann", [Cancel(2), Cancel(2)]),
    )
    assert touched(applied.groups, applied.notes) == [1, 2, 2]
    assert touched([], []) == []


def test_an_entry_that_was_not_admitted_says_nothing():
    ignored = Record(5, 5000, [Group("ann", [SELL_TEN])], [])
    assert list(placements(ignored)) == []
