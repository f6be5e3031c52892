"""Which ids an owner's memory holds: at least the last so many, and those of open orders."""

import pytest

from p2pcli.market.commands import Amend, Cancel, CancelAll, Checkpoint, Command, Define, Place, Side
from p2pcli.market.events import Cancelled, Done, Placed, Reason, Refused, Repeated, Status
from p2pcli.market.notes import Notes
from p2pcli.node.memory import Memory, Remembered, Request, ids_of


def placing(order: int) -> Place:
    return Place(Side.BUY, 1, 1, client_order_id=f"p{order}")


def add(memory: Memory, *orders: int) -> None:
    """Remember a request that placed these orders, which rest."""
    for order in orders:
        memory.answers[f"p{order}"] = order
    commands: list[Command] = [placing(order) for order in orders]
    memory.keep(Request(orders[-1], orders[0], orders[-1], len(orders), commands, list(orders)))


def memory_of(*orders: int) -> Memory:
    memory = Memory()
    for order in orders:
        add(memory, order)
    return memory


def ids(memory: Memory) -> set[str]:
    return {command_id for command_id in memory.answers if command_id is not None}


def test_oldest_ids_are_forgotten_first():
    memory = memory_of(1, 2, 3, 4)
    memory.forget(2, open_orders=set())
    assert ids(memory) == {"p3", "p4"}


def test_a_request_is_forgotten_whole_once_the_others_are_enough():
    memory = memory_of(1)
    add(memory, 2, 3, 4)
    add(memory, 5)
    memory.forget(3, open_orders=set())
    assert ids(memory) == {"p2", "p3", "p4", "p5"}
    memory.forget(1, open_orders=set())
    assert ids(memory) == {"p5"}


def test_first_use_of_an_id_is_found_in_any_request_and_in_the_one_being_answered():
    memory = memory_of(1, 2)
    add(memory, 3, 4, 5)
    for order in (1, 2, 3, 4, 5, 4, 3, 5, 1):  # as they came, and back again
        found = memory.first(f"p{order}")
        assert found is not None
        assert (found.command, found.order) == (placing(order), order)
        assert found.outcome == Placed(order, Status.OPEN, 0, 1)
    memory.answers["p6"] = 6
    asking = Request(6, 6, 0, 0, [placing(6), placing(6)], [6])
    assert memory.first("p6", asking) == Remembered(placing(6), 6, [6])
    assert memory.first("p7", asking) is None


def test_id_of_an_open_order_is_kept_however_old():
    memory = memory_of(1, 2, 3, 4)
    memory.forget(2, open_orders={1})
    assert ids(memory) == {"p1", "p3", "p4"}
    assert [each.order for each in memory.kept()] == [1]
    assert memory.first("p1") == Remembered(placing(1), 1, [1])


def test_kept_ids_of_closed_orders_never_outnumber_those_of_open_ones_for_long():
    memory = Memory()
    for order in range(1, 2_001):
        add(memory, order)
        # The last hundred orders are open, and the first ten for ever.
        memory.forget(5, open_orders={*range(1, 11), *range(order - 100, order + 1)})
        assert len(memory.kept()) <= 2 * 110
    assert {f"p{order}" for order in range(1, 11)} <= ids(memory)
    assert len(memory) == 5 + len(memory.kept())


def test_id_of_a_cancel_is_not_kept_for_the_order_it_names():
    memory = Memory()
    cancel, outcome = Cancel(1, command_id="c"), Cancelled(1, 0, 1)
    memory.note("c", Remembered(cancel, 1, [outcome]))
    memory.keep(Request(1, 2, 1, 1, [cancel], [outcome]))
    assert memory.first("c") == Remembered(cancel, 1, [outcome])
    assert memory.order("c") == 0
    memory.forget(0, open_orders={1})
    assert ids(memory) == set()
    assert memory.first("c") is None


def test_refused_second_use_of_an_id_does_not_take_it_from_an_open_order():
    memory = Memory()
    memory.answers["p1"] = 1
    commands: list[Command] = [placing(1), CancelAll(command_id="p1")]
    memory.keep(Request(1, 1, 1, 1, commands, [1, Refused(Reason.ID_REUSED)]))
    memory.forget(0, open_orders={1})
    assert memory.first("p1") == Remembered(placing(1), 1, [1])


def test_what_nobody_can_ask_for_is_not_kept_with_a_request():
    memory = Memory()
    plain: list[Command] = [Cancel(1) for _ in range(9)]
    notes: Notes = [0, 1] * 9
    memory.answers["p5"] = 5
    memory.keep(Request(3, 5, 5, 1, [*plain, placing(5), placing(5)], [*notes, 5, Repeated(3, Done())]))
    (request,) = memory.requests()
    assert (request.commands, request.notes, request.ids) == ([placing(5)], [5], 1)


def test_id_that_was_forgotten_and_used_again_is_its_later_use():
    memory = memory_of(1, 2)
    again = placing(1)
    memory.keep(Request(3, 3, 2, 0, [again], [Repeated(1, Placed(1, Status.OPEN, 0, 1))]))
    memory.forget(1, open_orders=set())
    memory.answers["p1"] = 3
    memory.keep(Request(4, 3, 3, 1, [again], [3]))
    assert memory.first("p1") == Remembered(again, 4, [3])
    memory.forget(1, open_orders=set())
    assert ids(memory) == {"p1"}


def test_memory_comes_back_from_what_it_yields():
    memory = memory_of(1, 2)
    memory.note("c", Remembered(CancelAll(command_id="c"), 7, [Done()]))
    memory.keep(Request(7, 3, 2, 1, [CancelAll(command_id="c")], [Done()]))
    add(memory, 3, 4)
    memory.forget(3, open_orders={1})
    again = Memory.of(memory.requests(), memory.kept())
    assert ids(again) == ids(memory) == {"p1", "c", "p3", "p4"}
    assert again.requests() == memory.requests()
    assert again.kept() == memory.kept()
    assert all(again.first(each) == memory.first(each) for each in ids(memory))


def test_memory_that_no_owner_can_have_is_damage():
    one = Request(1, 1, 1, 1, [placing(1)], [1])
    bought = Remembered(placing(1), 1, [1])
    for requests, kept in (
        ([one, one], []),
        ([one], [bought]),
        ([], [bought, bought]),
        ([Request(1, 1, 1, 2, [placing(1)], [1])], []),  # counts an id that is not there
        ([Request(1, 1, 1, 1, [placing(1)], [])], []),
        ([Request(1, 1, 1, 1, [placing(1)], [Done()])], []),  # no order was placed
        ([Request(1, 1, 1, 1, [placing(1)], [-1])], []),  # ends too early
        ([], [Remembered(placing(1), 1, [Refused(Reason.ID_REUSED)])]),
        ([], [Remembered(CancelAll(command_id="c"), 1, [Done()])]),
    ):
        with pytest.raises(ValueError):
            Memory.of(requests, kept)


def test_each_command_says_which_ids_it_carries():
    assert ids_of(Place(Side.BUY, 1, 1, client_order_id="a")) == ("a", "a")
    assert ids_of(Cancel(0, "longer", "c")) == ("c", "longer")
    assert ids_of(Amend(0, 1, 1, "a", "longer")) == ("longer", "longer")
    assert ids_of(CancelAll(command_id="c")) == ("c", "c")
    assert ids_of(Define("A/B", 1, 1, 1, 1, 1)) == ids_of(Checkpoint(1, b"", 0)) == ("", "")
