"""kill -9 under load: of nodes, of the registry, of the supervisor, of everything at once."""

import random

import pytest

from p2pcli.cluster.chaos.plan import Fault, Kind

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("kind", "times"),
    [
        (Kind.NODE_KILLED, 10),
        (Kind.REGISTRY_KILLED, 5),
        (Kind.SUPERVISOR_KILLED, 3),
        (Kind.ALL_KILLED, 3),
    ],
)
def test_nothing_acknowledged_is_lost_or_done_twice(run, rounds, kind, times):
    chance = random.Random(kind.value)
    for number in range(times * rounds):
        strike = run.striker.strike(Fault(number, kind, 0.0, chance.randrange(100)))
        assert not strike.trouble
        assert strike.back
