"""Which ids an owner's memory holds: at least the last so many, and those of open orders."""

import msgspec
import pytest

from p2pcli.book.level import Moment, Order, Owner
from p2pcli.market.commands import Amend, Cancel, CancelAll, Checkpoint, Command, Define, Place, Side
from p2pcli.market.events import Cancelled, Done, Placed, Reason, Refused, Repeated, Status
from p2pcli.market.notes import Notes
from p2pcli.node.memory import Memory
from p2pcli.node.remembered import Remembered, Request, ids_of


def placing(order: int) -> Place:
    return Place(Side.BUY, 1, 1, client_order_id=f"p{order}")


class Kept:
    """A memory with the orders of its owner."""

    def __init__(self, *orders: int) -> None:
        self.owner = Owner("ann")
        self.memory = Memory(self.owner.orders)
        for order in orders:
            self.add(order)

    def add(self, *orders: int) -> None:
        """Remember a request that placed these orders, which are closed by now."""
        for order in orders:
            self.memory.answers[f"p{order}"] = order
        commands: list[Command] = [placing(order) for order in orders]
        self.memory.keep(Request(orders[-1], orders[0], orders[-1], len(orders), commands, list(orders)))

    def open(self, *orders: int) -> None:
        """Say that exactly these orders are open."""
        self.owner.orders.clear()
        for order in orders:
            self.owner.orders[order] = Order(order, self.owner, placing(order), 1, Moment(order, order))

    def ids(self) -> set[str]:
        """Return the ids that are remembered."""
        memory = self.memory
        every = {*memory.answers, *memory.older, *memory.kept}
        return {each for each in every if each is not None and memory.first(each) is not None}

    def again(self) -> "Kept":
        """Return what comes back from what this yields."""
        again = Kept()
        again.memory.restore(self.memory.requests())
        again.open(*self.owner.orders)
        for order in again.owner.orders.values():
            again.memory.restore_open(order, self.owner.orders[order.id].memo)
        return again


def test_oldest_ids_are_forgotten_first():
    kept = Kept(1, 2, 3, 4)
    kept.memory.forget(2)
    assert kept.ids() == {"p3", "p4"}


def test_a_request_is_forgotten_whole_once_the_others_are_enough():
    kept = Kept(1)
    kept.add(2, 3, 4)
    kept.add(5)
    kept.memory.forget(3)
    assert kept.ids() == {"p2", "p3", "p4", "p5"}
    kept.memory.forget(1)
    assert kept.ids() == {"p5"}


def test_what_was_forgotten_takes_room_until_as_many_new_ones_have_come():
    kept = Kept()
    for order in range(1, 1_001):
        kept.add(order)
        kept.memory.forget(10)
        assert kept.ids() == {f"p{each}" for each in range(max(1, order - 9), order + 1)}
        assert len(kept.memory.answers) + len(kept.memory.older) <= 2 * 10 + 2


def test_first_use_of_an_id_is_found_in_any_request_and_in_the_one_being_answered():
    kept = Kept(1, 2)
    memory = kept.memory
    kept.add(3, 4, 5)
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
    kept = Kept(1, 2, 3, 4)
    kept.open(1)
    kept.memory.forget(2)
    assert kept.ids() == {"p1", "p3", "p4"}
    assert kept.memory.first("p1") == Remembered(placing(1), 1, [1])
    kept.open()
    assert kept.ids() == {"p3", "p4"}


def test_first_answer_of_an_open_order_is_what_was_left_with_it():
    kept = Kept(1)
    kept.open(1)
    first = Remembered(placing(1), 1, [-1, 1, 1, 7, 0, 5, 3, 9, "bob"])
    kept.owner.orders[1].memo = first
    assert kept.memory.first("p1") == first
    kept.memory.forget(0)
    assert kept.memory.first("p1") == kept.again().memory.first("p1") == first


def test_kept_ids_of_closed_orders_never_outnumber_those_of_open_ones_for_long():
    kept = Kept()
    for order in range(1, 2_001):
        kept.add(order)
        kept.open(*range(1, 11), *range(max(11, order - 100), order + 1))  # ten for ever, the last hundred
        kept.memory.forget(5)
        assert len(kept.memory.kept) <= 2 * 110
    assert {f"p{order}" for order in range(1, 11)} <= kept.ids()


def test_id_of_a_cancel_is_not_kept_for_the_order_it_names():
    kept = Kept()
    memory = kept.memory
    cancel, outcome = Cancel(1, command_id="c"), Cancelled(1, 0, 1)
    kept.open(1)
    memory.note("c", Remembered(cancel, 1, [outcome]))
    memory.keep(Request(1, 2, 1, 1, [cancel], [outcome]))
    assert memory.first("c") == Remembered(cancel, 1, [outcome])
    assert memory.order("c") == 0
    memory.forget(0)
    assert memory.first("c") is None


def test_refused_second_use_of_an_id_does_not_take_it_from_an_open_order():
    kept = Kept()
    kept.open(1)
    kept.memory.answers["p1"] = 1
    again: list[Command] = [placing(1), Cancel(1, command_id="p1")]
    kept.memory.keep(Request(1, 1, 1, 1, again, [1, Refused(Reason.ID_REUSED)]))
    kept.memory.forget(0)
    assert kept.ids() == {"p1"}
    assert kept.memory.first("p1") == Remembered(placing(1), 1, [1])


def test_each_request_takes_the_ids_of_its_own_commands_with_it():
    memory = Kept().memory
    for number in range(1, 5):
        every = CancelAll(command_id=f"c{number}")
        memory.note(f"c{number}", Remembered(every, 1, [Done()]))  # all in one entry of the log
        if number % 2 == 0:
            two: list[Command] = [CancelAll(command_id=f"c{number - 1}"), every]
            memory.keep(Request(1, 1, 0, 2, two, [Done(), Done()]))
    memory.forget(2)
    assert [memory.first(f"c{number}") is not None for number in range(1, 5)] == [False, False, True, True]


def test_what_nobody_can_ask_for_is_not_kept_with_a_request():
    kept = Kept()
    memory = kept.memory
    plain: list[Command] = [Cancel(1) for _ in range(9)]
    notes: Notes = [0, 1] * 9
    memory.answers["p5"] = 5
    memory.keep(Request(3, 5, 5, 1, [*plain, placing(5), placing(5)], [*notes, 5, Repeated(3, Done())]))
    (request,) = memory.requests()
    assert msgspec.msgpack.decode(request, type=Request) == Request(3, 5, 5, 1, [placing(5)], [5])


def test_id_that_was_forgotten_and_used_again_is_its_later_use():
    kept = Kept(1, 2)
    memory = kept.memory
    again = placing(1)
    memory.keep(Request(3, 3, 2, 0, [again], [Repeated(1, Placed(1, Status.OPEN, 0, 1))]))
    memory.forget(1)
    memory.answers["p1"] = 3
    memory.keep(Request(4, 3, 3, 1, [again], [3]))
    assert memory.first("p1") == Remembered(again, 4, [3])
    memory.forget(1)
    assert kept.ids() == {"p1"}


def test_memory_comes_back_from_what_it_yields():
    kept = Kept(1, 2)
    memory = kept.memory
    memory.note("c", Remembered(CancelAll(command_id="c"), 7, [Done()]))
    memory.keep(Request(7, 3, 2, 1, [CancelAll(command_id="c")], [Done()]))
    kept.add(3, 4)
    kept.open(1, 4)
    memory.forget(3)
    again = kept.again()
    assert again.ids() == kept.ids() == {"p1", "c", "p3", "p4"}
    assert again.memory.requests() == memory.requests()
    assert all(again.memory.first(each) == memory.first(each) for each in kept.ids())


@pytest.mark.parametrize(
    "requests",
    [
        [Request(1, 1, 1, 1, [placing(1)], [1])] * 2,
        [Request(1, 1, 1, 2, [placing(1)], [1])],  # counts an id that is not there
        [Request(1, 1, 1, 1, [placing(1)], [])],
        [Request(1, 1, 1, 1, [placing(1)], [Done()])],  # no order was placed
        [Request(1, 1, 1, 1, [placing(1)], [2])],  # one that is not of this request
        [Request(1, 1, 1, 1, [placing(1)], [-1])],  # ends too early
        [[1, 2]],
    ],
)
def test_requests_that_no_owner_can_have_made_are_damage(requests):
    with pytest.raises(ValueError):
        Kept().memory.restore(msgspec.Raw(msgspec.msgpack.encode(each)) for each in requests)


@pytest.mark.parametrize(
    ("number", "name", "first"),
    [
        (1, "p2", None),  # the id is another order's
        (2, "p9", None),  # it is of a request that is remembered, but its id is not
        (1, "p1", Remembered(placing(2), 1, [1])),
        (1, "p1", Remembered(placing(1), 1, [2])),
        (1, "p1", Remembered(placing(1), 1, [])),
    ],
)
def test_open_orders_that_no_owner_can_have_are_damage(number, name, first):
    kept = Kept(2, 3)
    place = Place(Side.BUY, 1, 1, client_order_id=name)
    with pytest.raises(ValueError):
        kept.memory.restore_open(Order(number, kept.owner, place, 1, Moment(1, 1)), first)


def test_each_command_says_which_ids_it_carries():
    assert ids_of(Place(Side.BUY, 1, 1, client_order_id="a")) == ("a", "a")
    assert ids_of(Cancel(0, "longer", "c")) == ("c", "longer")
    assert ids_of(Amend(0, 1, 1, "a", "longer")) == ("longer", "longer")
    assert ids_of(CancelAll(command_id="c")) == ("c", "c")
    assert ids_of(Define("A/B", 1, 1, 1, 1, 1)) == ids_of(Checkpoint(1, b"", 0)) == ("", "")
