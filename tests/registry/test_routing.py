import random

from hypothesis import given
from hypothesis import strategies as st

from p2pcli.registry.compact import Contact
from p2pcli.registry.node_id import distance
from p2pcli.registry.routing import RoutingTable

OWN = b"\0" * 20


def contact(number: int, first: int = 0x80, port: int | None = None) -> Contact:
    """The number-th contact among those whose id begins with the byte ``first``."""
    return Contact(bytes([first]) + number.to_bytes(19, "big"), ("10.0.0.1", port or 1000 + number))


def test_a_contact_is_learnt_from_any_packet_and_ourselves_never():
    table = RoutingTable(OWN)
    table.heard(contact(1), answered=False, now=0)
    table.heard(Contact(OWN, ("10.0.0.9", 9)), answered=True, now=0)
    assert table.closest(OWN, 20) == [contact(1)]
    assert table.knows(contact(1).address)


@given(st.sets(st.binary(min_size=20, max_size=20), max_size=60), st.binary(max_size=30))
def test_closest_are_the_nearest_in_order(ids, key):
    table = RoutingTable(OWN, k=1000)
    for number, node_id in enumerate(sorted(ids - {OWN})):
        table.heard(Contact(node_id, ("10.0.0.1", 1 + number)), answered=True, now=0)
    distances = [distance(one.id, key) for one in table.closest(key, 20)]
    assert distances == sorted(distance(node_id, key) for node_id in ids - {OWN})[:20]


def test_a_bucket_holds_k_and_the_table_stays_small():
    table = RoutingTable(OWN)
    chance = random.Random(1)
    for number in range(5_000):
        table.heard(Contact(chance.randbytes(20), ("10.0.0.1", 1 + number)), answered=True, now=0)
    assert 20 <= len(table) < 20 * 14


def test_a_full_bucket_keeps_who_still_answers_and_names_the_quietest_to_ping():
    table = RoutingTable(OWN)
    for number in range(20):
        table.heard(contact(number), answered=True, now=number)
    assert table.heard(contact(99), answered=True, now=25) == contact(0)
    assert not table.knows(contact(99).address)
    assert table.heard(contact(98), answered=True, now=0) is None  # all were heard from lately


def test_when_a_contact_is_dropped_the_latest_spare_takes_its_place():
    table = RoutingTable(OWN)
    for number in range(22):
        table.heard(contact(number), answered=True, now=0)
    table.remove(contact(3).address)
    assert table.knows(contact(21).address)
    assert not table.knows(contact(20).address)
    assert len(table) == 20


def test_a_proven_newcomer_takes_the_place_of_one_never_proven():
    table = RoutingTable(OWN)
    for number in range(20):
        table.heard(contact(number), answered=number != 7, now=0)
    table.heard(contact(99), answered=True, now=1)
    assert table.knows(contact(99).address)
    assert not table.knows(contact(7).address)


def test_a_known_id_keeps_the_address_at_which_it_answered():
    table = RoutingTable(OWN)
    table.heard(contact(1), answered=True, now=0)
    impostor = Contact(contact(1).id, ("10.6.6.6", 666))
    table.heard(impostor, answered=True, now=1)
    assert table.closest(OWN, 9) == [contact(1)]


def test_an_id_that_never_answered_gives_way_to_one_that_does():
    table = RoutingTable(OWN)
    table.heard(contact(1), answered=False, now=0)
    moved = Contact(contact(1).id, ("10.0.0.5", 5))
    table.heard(moved, answered=False, now=1)
    assert table.closest(OWN, 9) == [contact(1)]
    table.heard(moved, answered=True, now=1)
    assert table.closest(OWN, 9) == [moved]
    assert not table.knows(contact(1).address)


def test_a_new_id_that_answers_at_a_known_address_replaces_the_old_one():
    # A real Grape that restarts comes back at its address with another id.
    table = RoutingTable(OWN)
    table.heard(contact(1, port=5), answered=True, now=0)
    table.heard(contact(2, port=5), answered=False, now=1)
    assert table.closest(OWN, 9) == [contact(1, port=5)]
    table.heard(contact(2, port=5), answered=True, now=1)
    assert table.closest(OWN, 9) == [contact(2, port=5)]


def test_one_address_has_one_place_however_many_ids_it_names():
    table = RoutingTable(OWN)
    for number in range(100):
        table.heard(contact(number, first=number + 1, port=5), answered=False, now=0)
    assert len(table) == 1


def test_doubtful_are_the_unproven_and_the_quiet():
    table = RoutingTable(OWN)
    table.heard(contact(1), answered=True, now=0)
    table.heard(contact(2), answered=False, now=100)
    table.heard(contact(3), answered=True, now=100)
    assert table.doubtful(50, now=101) == [contact(1), contact(2)]


def test_version_changes_when_contacts_come_and_go_and_only_then():
    table = RoutingTable(OWN)
    versions = [table.version]
    table.heard(contact(1), answered=True, now=0)
    versions.append(table.version)
    table.heard(contact(1), answered=True, now=1)
    assert table.version == versions[-1]
    table.remove(contact(1).address)
    versions.append(table.version)
    assert len(set(versions)) == 3


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 40), st.integers(1, 30), st.booleans())))
def test_ids_and_addresses_stay_one_to_one_whatever_is_heard(heard):
    table = RoutingTable(OWN, k=3)
    for now, (kind, number, port, answered) in enumerate(heard):
        if kind == 0:
            table.remove(("10.0.0.1", port))
        else:
            table.heard(contact(number, first=1 << kind, port=port), answered, now)
        contacts = table.closest(b"", 1000)
        assert len(contacts) == len(table) == len({one.id for one in contacts})
        assert len({one.address for one in contacts}) == len(contacts)
        assert all(table.knows(one.address) for one in contacts)
