"""Which ids an owner's memory holds: the last so many, and those of open orders."""

import pytest

from p2pcli.market.commands import Amend, Cancel, CancelAll, Checkpoint, Define, Place, Side
from p2pcli.market.events import Cancelled, Placed, Status
from p2pcli.node.memory import Memory, Remembered, ids_of


def placed(order: int) -> Remembered:
    command = Place(Side.BUY, 1, 1, client_order_id=f"p{order}")
    return Remembered(command, order, Placed(order, Status.OPEN, 0, 1))


def memory_of(*orders: int) -> Memory:
    memory = Memory()
    for order in orders:
        memory.add(f"p{order}", placed(order))
    return memory


def test_oldest_ids_are_forgotten_first():
    memory = memory_of(1, 2, 3, 4)
    memory.forget(2, open_orders=set())
    assert list(memory.answers) == ["p3", "p4"]


def test_id_of_an_open_order_is_kept_however_old():
    memory = memory_of(1, 2, 3, 4)
    memory.forget(2, open_orders={1})
    assert set(memory.answers) == {"p1", "p3", "p4"}
    assert [each.order for each in memory.kept()] == [1]


def test_kept_ids_of_closed_orders_never_outnumber_those_of_open_ones_for_long():
    memory = Memory()
    for order in range(1, 2_001):
        memory.add(f"p{order}", placed(order))
        # The last hundred orders are open, and the first ten for ever.
        memory.forget(5, open_orders={*range(1, 11), *range(order - 100, order + 1)})
        assert len(list(memory.kept())) <= 2 * 110
    assert {f"p{order}" for order in range(1, 11)} <= set(memory.answers)
    assert len(memory.answers) == len(memory.recent) + len(list(memory.kept()))


def test_id_of_a_cancel_is_not_kept_for_the_order_it_names():
    memory = Memory()
    memory.add("c", Remembered(Cancel(1, command_id="c"), 1, Cancelled(1, 0, 1)))
    memory.forget(0, open_orders={1})
    assert memory.answers == {}


def test_memory_comes_back_from_what_it_yields():
    memory = memory_of(1, 2, 3, 4)
    memory.forget(2, open_orders={1})
    again = Memory.of(memory.newest(), memory.kept())
    assert again.answers == memory.answers
    assert again.recent == memory.recent
    assert list(again.kept()) == list(memory.kept())


@pytest.mark.parametrize("orders", [(1, 1), (2, 1, 2)])
def test_id_that_occurs_twice_is_damage(orders):
    with pytest.raises(ValueError, match="twice"):
        Memory.of([placed(order) for order in orders], [])


def test_each_command_says_which_ids_it_carries():
    assert ids_of(Place(Side.BUY, 1, 1, client_order_id="a")) == ("a", "a")
    assert ids_of(Cancel(0, "longer", "c")) == ("c", "longer")
    assert ids_of(Amend(0, 1, 1, "a", "longer")) == ("longer", "longer")
    assert ids_of(CancelAll(command_id="c")) == ("c", "c")
    assert ids_of(Define("A/B", 1, 1, 1, 1, 1)) == ids_of(Checkpoint(1, b"", 0)) == ("", "")
