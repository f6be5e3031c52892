"""A judge that finds nothing in a sound world, and in a doctored one exactly what was done to it."""

import msgspec
import pytest
from driven import random_commands
from world import NODES, World

from p2pcli.cluster.chaos.ledger import Telling, Told
from p2pcli.cluster.chaos.plan import Orders
from p2pcli.market.commands import Amend, Cancel, Place, Side
from p2pcli.market.events import Amended, Placed, Reason, Refused, Repeated, Status


def sell(quantity: int, price: int, name: str) -> Place:
    return Place(Side.SELL, quantity, price, client_order_id=name)


def buy(quantity: int, price: int, name: str) -> Place:
    return Place(Side.BUY, quantity, price, client_order_id=name)


@pytest.fixture
def world() -> World:
    world = World()
    world.tell("ann", sell(5, 100, "a1"))
    world.tell("ann", sell(5, 101, "a2"))
    world.tell("bob", buy(7, 101, "b1"))  # trades 5 @ 100 and 2 @ 101
    world.tell("ann", Amend(0, 4, 0, "a2", "a3"))
    world.tell("ann", sell(5, 100, "a1"))  # a repeat
    world.tell("ann", sell(6, 100, "a1"))  # another order of that id
    world.tell("bob", buy(3, 99, "b2"))
    world.tell("bob", Cancel(0, "b2", "b3"))
    return world


def found(world: World, **read: object) -> set[str]:
    return {violation.guarantee for violation in world.judge(**read).violations.listed()}


def telling(world: World, name: str) -> int:
    return next(place for place, each in enumerate(world.tellings) if each.name[1] == name)


def retold(world: World, name: str, **changes: object) -> None:
    place = telling(world, name)
    world.tellings[place] = msgspec.structs.replace(world.tellings[place], **changes)


def doctored(world: World, node: str, sequence: int, **changes: object) -> None:
    records = world.records[node]
    records[sequence - 1] = msgspec.structs.replace(records[sequence - 1], **changes)


def doctored_everywhere(world: World, sequence: int, outcome: object) -> None:
    for node in NODES:
        doctored(world, node, sequence, outcomes=[[outcome]])


def test_a_sound_world_is_sound(world):
    judge = world.judge()
    assert judge.violations.listed() == []
    assert (judge.entries, judge.commands, judge.trades) == (9, 8, 2)
    assert isinstance(world.tellings[4].outcome, Repeated)
    assert world.tellings[5].outcome == Refused(Reason.ID_REUSED)


def test_thousands_of_orders_of_chaos_are_sound():
    world = World()
    clients = [iter(Orders(1, number, f"t-{number}", 500)) for number in range(3)]
    for turn in range(600):
        world.tell(f"chaos{turn % 3}", next(clients[turn % 3]).command)
    assert world.judge().violations.listed() == []


def test_commands_without_ids_are_sound():
    world = World()
    for owner, command in random_commands(3, 300):
        world.driven.apply((owner, [command]))
    assert world.driven.machine.sequence > 300


def test_an_answer_that_is_in_no_log_is_a_loss(world):
    world.tellings.append(
        Telling("ann", sell(1, 105, "a9"), "client1", 90.0, 91.0, Told.OK, 99, Placed(9, Status.OPEN, 0, 1))
    )
    assert found(world) == {"S1"}


def test_an_answer_at_another_sequence_is_a_loss(world):
    retold(world, "a2", sequence=4)
    assert "S1" in found(world)


def test_another_outcome_than_was_told_is_a_loss(world):
    retold(world, "b1", outcome=Placed(3, Status.OPEN, 0, 7))
    assert found(world) == {"S1"}


def test_nodes_that_differ_about_an_entry_are_seen(world):
    doctored(world, "client2", 3, time_ns=1)
    assert found(world) == {"S3"}


def test_nodes_that_differ_in_the_end_are_seen(world):
    states = world.states()
    states[1] = msgspec.structs.replace(states[1], digest=bytes(32))
    assert found(world, states=states) == {"S3"}
    states = world.states()
    states[2] = msgspec.structs.replace(states[2], sequence=8)
    assert found(world, states=states) == {"S3"}


def test_a_record_that_is_missing_is_seen_unless_it_is_of_the_time_before(world):
    del world.records["client3"][3]
    assert found(world) == {"S2"}
    assert found(world, since=4) == set()


def test_without_the_beginning_nothing_is_said_about_what_should_have_happened(world):
    for node in NODES:
        del world.records[node][:3]
    world.tellings = world.tellings[3:4]
    assert "S4" not in found(world, since=3)


def test_a_log_with_a_hole_is_seen(world):
    log = world.log()
    del log[4]
    assert "S2" in found(world, log=log)


def test_a_changed_entry_is_seen_by_its_chain(world):
    log = world.log()
    log[4] = msgspec.structs.replace(log[4], chain=bytes(32))
    assert "S2" in found(world, log=log)
    log = world.log()
    log[4] = msgspec.structs.replace(log[4], epoch=7)
    assert "S2" in found(world, log=log)


def test_another_body_in_the_log_than_was_carried_out_is_seen(world):
    log = world.log()
    log[4] = msgspec.structs.replace(log[4], body=log[5].body)
    assert {"S2", "S3"} <= found(world, log=log)


def test_a_trimmed_log_is_sound(world):
    assert found(world, first=6) == set()


def test_an_entry_that_was_carried_out_though_it_is_a_repeat_is_seen(world):
    log = world.log()
    log[4] = msgspec.structs.replace(log[4], number=log[3].number)
    assert "S9" in found(world, log=log)


def test_a_wrong_trade_is_seen(world):
    placed = world.tellings[2].outcome
    assert isinstance(placed, Placed)
    fills = [msgspec.structs.replace(placed.fills[0], price=101), placed.fills[1]]
    changed = msgspec.structs.replace(placed, fills=fills)
    doctored_everywhere(world, 4, changed)
    retold(world, "b1", outcome=changed)
    assert found(world) == {"S4"}


def test_a_wrong_trade_number_is_seen(world):
    placed = world.tellings[2].outcome
    assert isinstance(placed, Placed)
    fills = [placed.fills[0], msgspec.structs.replace(placed.fills[1], trade=3)]
    changed = msgspec.structs.replace(placed, fills=fills)
    doctored_everywhere(world, 4, changed)
    retold(world, "b1", outcome=changed)
    assert found(world) == {"S6"}


def test_lots_that_do_not_add_up_are_seen(world):
    placed = world.tellings[2].outcome
    assert isinstance(placed, Placed)
    changed = msgspec.structs.replace(placed, filled=6)
    doctored_everywhere(world, 4, changed)
    retold(world, "b1", outcome=changed)
    assert found(world) == {"S5"}


def test_a_refusal_out_of_nowhere_is_seen(world):
    refused = Refused(Reason.PRICE_BAND, 2)
    doctored_everywhere(world, 3, refused)
    retold(world, "a2", outcome=refused)
    assert "S4" in found(world)


def test_another_book_than_expected_is_seen(world):
    states = world.states()
    states[0] = msgspec.structs.replace(states[0], book=states[0].book[:-1])
    assert found(world, states=states) == {"S4"}


def test_a_second_effect_is_seen(world):
    repeat = world.tellings[4].outcome
    assert isinstance(repeat, Repeated)
    doctored_everywhere(world, 6, Placed(4, Status.OPEN, 0, 5))
    assert "S9" in found(world)


def test_a_repeat_with_another_first_answer_is_seen(world):
    told = Repeated(2, Placed(1, Status.FILLED, 5, 0))
    world.tellings[4] = msgspec.structs.replace(world.tellings[4], outcome=told)
    doctored_everywhere(world, 6, told)
    assert found(world) == {"S9"}


def test_a_refusal_that_took_effect_is_seen(world):
    retold(world, "a2", told=Told.REFUSED, sequence=0, outcome=None, reason="busy")
    assert found(world) == {"S10"}


def test_a_refusal_of_one_sending_stands_beside_the_answer_of_another(world):
    place = telling(world, "a2")
    world.tellings.append(
        msgspec.structs.replace(
            world.tellings[place], told=Told.REFUSED, sequence=0, outcome=None, reason="busy"
        )
    )
    assert found(world) == set()


def test_what_stays_unknown_may_be_there_or_not(world):
    retold(world, "a2", told=Told.UNKNOWN, sequence=0, outcome=None)
    world.tellings.append(Telling("ann", sell(1, 90, "a7"), "client1", 1.0, 2.0, Told.UNKNOWN))
    assert found(world) == set()


def test_an_answer_that_overtakes_an_earlier_one_is_seen(world):
    late = world.tellings[-1].answered + 1
    retold(world, "a2", sent=late, answered=late + 1)
    assert found(world) == {"S11"}


def test_a_cancel_that_meets_another_order_is_seen(world):
    amended = world.tellings[3].outcome
    assert isinstance(amended, Amended)
    changed = msgspec.structs.replace(amended, order=3)
    doctored_everywhere(world, 5, changed)
    retold(world, "a3", outcome=changed)
    assert "S4" in found(world)


def test_of_many_violations_of_one_kind_some_are_told():
    world = World()
    for number in range(50):
        world.tell("ann", sell(1, 100 + number, f"a{number}"))
    for records in world.records.values():
        records.clear()
    listed = world.judge().violations.listed()
    assert max(len(violation.what) for violation in listed) < 300
    assert any("more" in violation.what for violation in listed)
    assert len(listed) < 120
