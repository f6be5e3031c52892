"""The same seed is the same run; everything that can befall a cluster does."""

from collections import Counter
from itertools import islice

from p2pcli.cluster.chaos.ledger import id_of
from p2pcli.cluster.chaos.plan import LONGEST_PAUSE_S, SHORTEST_PAUSE_S, Kind, Orders, faults
from p2pcli.market.commands import Amend, Cancel, CancelAll, Place


def steps(seed: int, client: int = 1, tag: str = "t", base: int = 1000, count: int = 500):
    return list(islice(Orders(seed, client, tag, base), count))


def test_the_same_seed_gives_the_same_faults():
    assert faults(7, 60) == faults(7, 60)
    assert faults(7, 60) != faults(8, 60)


def test_a_shorter_run_is_the_beginning_of_a_longer_one():
    short = faults(7, 20)
    assert faults(7, 60)[: len(short)] == short


def test_faults_come_in_order_and_before_the_end():
    planned = faults(3, 100, every=1.5)
    assert [fault.number for fault in planned] == list(range(1, len(planned) + 1))
    times = [fault.at for fault in planned]
    assert times == sorted(times)
    assert times[-1] < 100
    assert 50 < len(planned) < 90


def test_every_kind_of_fault_is_dealt():
    assert {fault.kind for fault in faults(1, 60)} == set(Kind)


def test_only_the_kinds_asked_for_are_dealt():
    wanted = (Kind.NODE_PAUSED, Kind.ALL_KILLED)
    assert {fault.kind for fault in faults(1, 60, kinds=wanted)} == set(wanted)
    assert faults(1, 60, kinds=()) == []


def test_pauses_are_as_long_as_they_may_be_and_kills_have_none():
    pauses = [fault.pause for fault in faults(1, 2000) if fault.kind.pauses]
    assert SHORTEST_PAUSE_S <= min(pauses) < 0.2
    assert 5 < max(pauses) <= LONGEST_PAUSE_S
    assert {fault.pause for fault in faults(1, 200) if not fault.kind.pauses} == {0.0}


def test_the_same_seed_gives_each_client_its_orders_again():
    assert steps(7) == steps(7)
    assert steps(7) != steps(8)
    assert steps(7, client=1) != steps(7, client=2)


def test_another_tag_changes_the_ids_and_nothing_else():
    for one, other in zip(steps(7, tag="a"), steps(7, tag="b"), strict=True):
        assert id_of(one.command).replace("a-", "b-") == id_of(other.command)
        assert (one.through, one.repeats) == (other.through, other.repeats)


def test_every_request_has_an_id_and_some_are_used_again():
    names = Counter(id_of(step.command) for step in steps(7))
    assert "" not in names
    assert len(names) < 500
    assert len(names) > 450


def test_clients_ask_for_everything_there_is():
    commands = [step.command for step in steps(7)]
    assert {type(command) for command in commands} == {Place, Cancel, Amend, CancelAll}
    places = [command for command in commands if isinstance(command, Place)]
    assert {place.tif for place in places} == {0, 1, 2}
    assert {place.self_trade for place in places} == {0, 1, 2, 3, 4}
    assert {place.post_only for place in places} == {True, False}
    assert any(place.price == 0 for place in places)


def test_some_requests_are_repeated_at_once_some_late_and_most_never():
    repeats = [repeat for step in steps(7) for repeat in step.repeats]
    assert {repeat.later for repeat in repeats} >= {0, 1, 12}
    assert sum(not step.repeats for step in steps(7)) > 400
    assert max(len(step.repeats) for step in steps(7)) == 4
