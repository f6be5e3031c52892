"""Counts and recovery times, from tellings and strikes that were made up."""

import pytest

from p2pcli.cluster.chaos.ledger import Telling, Told
from p2pcli.cluster.chaos.plan import Kind
from p2pcli.cluster.chaos.report import (
    Spread,
    Strike,
    bites,
    counts,
    figures,
    orders_ok_after,
    spread,
    unhealed,
)
from p2pcli.market.commands import CancelAll


def told(owner: str, sent: float, answered: float, kind: Told = Told.OK, through: str = "client1", **more):
    return Telling(owner, CancelAll(None, "x"), through, sent, answered, kind, **more)


def struck(at: float = 10.0, process: str = "client1", kind: Kind = Kind.NODE_KILLED, **more) -> Strike:
    return Strike(1, kind, process, at, **more)


@pytest.mark.parametrize(
    ("times", "found"),
    [
        ([], None),
        ([3.0], Spread(3.0, 3.0, 3.0)),
        ([2.0, 1.0], Spread(1.0, 2.0, 2.0)),
        ([float(number) for number in range(1, 101)], Spread(50.0, 99.0, 100.0)),
    ],
)
def test_a_percentile_is_the_smallest_time_that_covers_it(times, found):
    assert spread(times) == found


def test_each_sending_counts_once_as_what_was_told():
    tellings = [
        told("ann", 1, 2),
        told("ann", 3, 5, is_repeat=True),
        told("bob", 1, 2, Told.REFUSED, reason="busy"),
        told("bob", 1, 2, Told.UNKNOWN),
    ]
    found = counts(tellings, load_s=4.0)
    assert (found.sent, found.ok, found.refused, found.unknown, found.repeats) == (4, 2, 1, 1, 1)
    assert found.refusals == {"busy": 1}
    assert (found.ok_per_s, found.latency) == (0.5, Spread(1, 2, 2))


def test_a_fault_bites_when_a_request_is_under_way_through_its_node():
    assert bites(struck(), [told("ann", 9.9, 10.1)])
    assert not bites(struck(), [told("ann", 9.9, 10.1, through="client2")])
    assert not bites(struck(), [told("ann", 9.8, 9.9), told("ann", 10.1, 10.2)])


def test_a_fault_of_another_process_bites_whatever_is_under_way():
    assert bites(struck(process="registry1"), [told("ann", 9.9, 10.1, through="client2")])


def test_orders_are_ok_again_when_every_client_had_one():
    tellings = [told("ann", 9, 10.5), told("ann", 11, 12), told("bob", 9, 14), told("bob", 14, 15)]
    assert orders_ok_after(struck(), tellings) == 4.0


def test_a_client_that_never_had_an_ok_again_leaves_no_time():
    tellings = [told("ann", 9, 10.5), told("bob", 11, 30, Told.UNKNOWN)]
    assert orders_ok_after(struck(), tellings) is None
    assert orders_ok_after(struck(), []) is None


def test_a_client_whose_load_was_over_does_not_count():
    tellings = [told("ann", 11, 12), told("bob", 5, 6)]
    assert orders_ok_after(struck(), tellings) == 2.0


def test_there_is_one_row_for_each_kind_that_struck():
    strikes = [
        struck(10.0, back=11.0, caught_up=12.0),
        Strike(2, Kind.NODE_KILLED, "client2", 20.0, back=23.0, caught_up=24.0),
        Strike(3, Kind.ALL_KILLED, "everything"),
    ]
    tellings = [told("ann", 9.9, 10.1), told("ann", 19.9, 20.2), told("ann", 21, 22)]
    (row,) = figures(strikes, tellings)
    assert (row.kind, row.struck, row.bit) == ("node-killed", 2, 1)
    assert row.back == Spread(1.0, 3.0, 3.0)
    assert row.caught_up == Spread(2.0, 4.0, 4.0)
    assert row.orphans_gone is None


def test_a_process_that_is_not_back_is_a_violation():
    (violation,) = unhealed([struck(trouble="no answer for 60 s"), struck(back=11.0), struck(0.0)])
    assert violation.guarantee == "recovery"
    assert "client1 is not back after fault 1: no answer for 60 s" in violation.what
