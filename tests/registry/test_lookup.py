import random

from hypothesis import given
from hypothesis import strategies as st

from p2pcli.registry.compact import Contact
from p2pcli.registry.lookup import GRACE_S, MAX_QUESTIONS, PATIENCE_S, SUSPECT_PATIENCE_S, WIDTH, Lookup
from p2pcli.registry.node_id import distance

KEY = b"\0" * 20


def contact(number: int) -> Contact:
    """A contact whose distance from ``KEY`` is ``number``."""
    return Contact(number.to_bytes(20, "big"), ("10.0.0.1", number))


def lookup(*numbers: int, seeds=(), failures=None, now: float = 0.0) -> Lookup:
    table = failures or {}
    return Lookup(KEY, map(contact, numbers), seeds, lambda address, _: table.get(address[1], 0), now)


def hears(one: Lookup, number: int, *names: int, now: float = 0.0) -> None:
    one.heard(contact(number).address, contact(number).id, map(contact, names), now)


def asked(one: Lookup, now: float = 0.0) -> list[int]:
    return [port for _, port in one.ask(now)]


def test_the_closest_are_asked_first_and_each_once():
    one = lookup(30, 10, 20)
    assert asked(one) == [10, 20, 30]
    assert asked(one) == []


def test_no_more_than_the_width_are_under_way():
    one = lookup(*range(1, 31))
    assert asked(one) == list(range(1, WIDTH + 1))
    hears(one, 1)
    assert asked(one) == [WIDTH + 1]


def test_closer_contacts_from_replies_are_asked_next_and_the_lookup_ends_when_none_is_left():
    one = lookup(50)
    asked(one)
    assert not one.finished(0)
    hears(one, 50, 40, 45)
    assert asked(one) == [40, 45]
    hears(one, 40, 50)
    hears(one, 45)
    assert one.finished(0)


def test_only_the_twenty_closest_are_asked():
    one = lookup(*range(1, 41))
    total = asked(one)
    while total and not one.finished(0):
        for number in list(total)[-WIDTH:]:
            hears(one, number)
        more = asked(one)
        if not more:
            break
        total += more
    assert total == list(range(1, 21))
    assert one.finished(0)


def test_one_that_fails_lets_the_next_closest_move_up():
    one = lookup(*range(1, 22))
    total = asked(one)
    for number in total:
        hears(one, number) if number != 5 else one.failed(contact(5).address)
    assert asked(one) == [17, 18, 19, 20, 21]


def test_a_lookup_without_contacts_and_seeds_is_finished_at_once():
    assert lookup().finished(0)


def test_seeds_are_asked_also_when_their_id_is_unknown():
    one = lookup(seeds=[("10.0.0.1", 7)])
    assert asked(one) == [7]
    hears(one, 7, 3)
    assert asked(one) == [3]


def test_a_silent_contact_is_waited_for_only_a_moment_after_the_last_reply():
    one = lookup(1, 2)
    asked(one)
    hears(one, 1, now=0.1)
    assert one.give_up(0.1 + GRACE_S - 0.01) == []
    assert one.give_up(0.1 + GRACE_S) == [(contact(2).address, 0.0)]
    assert one.finished(0.1 + GRACE_S)


def test_a_contact_asked_late_has_its_own_moment():
    one = lookup(1)
    asked(one)
    hears(one, 1, 2, now=0.1)
    asked(one, now=0.2)
    assert one.give_up(0.1 + GRACE_S) == []
    assert one.give_up(0.2 + GRACE_S) == [(contact(2).address, 0.2)]


def test_when_nobody_replies_patience_is_longer():
    one = lookup(1, 2)
    asked(one)
    assert one.give_up(PATIENCE_S - 0.01) == []
    assert not one.finished(PATIENCE_S - 0.01)
    assert len(one.give_up(PATIENCE_S)) == 2
    assert one.finished(PATIENCE_S)


def test_one_that_was_silent_before_is_asked_but_not_waited_for():
    one = lookup(1, 2, failures={2: 1})
    assert asked(one) == [1, 2]
    hears(one, 1)
    assert one.finished(0)


def test_when_only_suspects_are_left_they_get_a_moment():
    one = lookup(2, failures={2: 1})
    asked(one)
    assert not one.finished(SUSPECT_PATIENCE_S - 0.01)
    assert one.finished(SUSPECT_PATIENCE_S)


def test_nobody_waits_for_those_silent_again_and_again():
    one = lookup(2, failures={2: 2})
    assert asked(one) == [2]
    assert one.finished(0)


def test_suspects_do_not_take_the_places_of_others():
    one = lookup(*range(1, 21), failures=dict.fromkeys(range(1, 17), 1))
    assert len(asked(one)) == 20


def test_a_late_reply_is_heard_as_long_as_the_lookup_runs():
    one = lookup(1, 2)
    asked(one)
    one.give_up(PATIENCE_S)
    hears(one, 1, 5, now=PATIENCE_S)
    assert asked(one, PATIENCE_S) == [5]


def test_one_that_was_asked_in_vain_is_asked_again_when_it_shows_up():
    one = lookup(seeds=[("10.0.0.1", 7)])
    assert asked(one) == [7]
    one.meet(contact(7))
    assert asked(one) == [7]
    one.give_up(PATIENCE_S)
    one.meet(contact(7))
    assert asked(one) == [7]
    hears(one, 7)
    one.meet(contact(7))
    assert one.finished(0)


def test_replies_that_always_name_closer_contacts_end():
    one = lookup(1_000_000)
    total, frontier, next_number = 0, asked(one), 1_000_000
    while frontier:
        for number in frontier:
            names = range(next_number - 20, next_number)
            next_number -= 20
            hears(one, number, *names)
            total += 1
        frontier = asked(one)
    assert total <= MAX_QUESTIONS
    assert one.finished(0)


@given(st.integers(0, 2**32), st.integers(1, 150))
def test_in_a_network_without_loss_the_lookup_finds_the_closest(seed, size):
    chance = random.Random(seed)
    ids = [chance.randbytes(20) for _ in range(size)]
    network = [Contact(node_id, ("10.0.0.1", 1 + at)) for at, node_id in enumerate(ids)]
    nearest = sorted(network, key=lambda one: distance(one.id, KEY))
    # Everybody knows the 20 contacts nearest to itself and some at random, as a routing table does.
    knows = {
        one.address: sorted(network, key=lambda other: distance(one.id, other.id))[:21]
        + chance.sample(network, min(size, 10))
        for one in network
    }
    search = Lookup(KEY, knows[network[0].address], (), lambda *_: 0, 0.0)
    heard = set()
    while questions := search.ask(0.0):
        for address in questions:
            peer = network[address[1] - 1]
            named = sorted(knows[address], key=lambda one: distance(one.id, KEY))[:20]
            search.heard(address, peer.id, named, 0.0)
            heard.add(peer)
    assert search.finished(0.0)
    assert set(nearest[:20]) <= heard
