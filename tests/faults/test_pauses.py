"""SIGSTOP under load: shorter than the watchdog's patience, longer, and in the worst of moments."""

import pytest

from p2pcli.cluster.chaos.plan import Fault, Kind

pytestmark = pytest.mark.slow

LONG = 20.0  # nobody waits for so long: the watchdog ends it, of a node in the worst of its moments


@pytest.mark.parametrize(
    ("kind", "pauses"),
    [
        (Kind.NODE_PAUSED, (0.1, 0.7)),
        (Kind.WRITER_PAUSED, (0.3, LONG)),
        (Kind.REGISTRY_PAUSED, (0.3, LONG)),
        (Kind.SUPERVISOR_PAUSED, (0.3, 2.0)),
    ],
)
def test_a_paused_process_costs_time_and_nothing_else(run, rounds, kind, pauses):
    for number, pause in enumerate(pauses * rounds):
        strike = run.striker.strike(Fault(number, kind, 0.0, number, pause))
        assert not strike.trouble
        assert strike.was_killed == (pause == LONG), "a process that is silent for 5 s is replaced"
