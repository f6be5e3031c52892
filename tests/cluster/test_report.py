"""What a cluster looks like to others."""

import msgspec
import pytest

from p2pcli.cluster.report import (
    MAX_CHILD_BYTES,
    MAX_ERROR_TEXT,
    ChildReport,
    ClusterReport,
    ClusterState,
    NoSuchChild,
    State,
    state_of,
)

REPORT = ClusterReport(
    "default",
    ClusterState.READY,
    "sqlite",
    77,
    (ChildReport("client1", "node", State.RUNNING), ChildReport("registry1", "registry", State.BACKOFF)),
)


def test_nodes_and_members_are_told_apart() -> None:
    assert [child.name for child in REPORT.nodes] == ["client1"]
    assert [child.name for child in REPORT.members] == ["registry1"]


def test_a_child_is_found_by_name() -> None:
    assert REPORT.child("registry1").state is State.BACKOFF


def test_an_unknown_child_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(NoSuchChild, match="'client9'") as caught:
        REPORT.child("client9")
    assert caught.value.hint == "its processes are client1, registry1"


@pytest.mark.parametrize(
    ("states", "was_ready", "is_ending", "whole"),
    [
        ([State.RUNNING, State.STARTING], False, False, ClusterState.STARTING),
        ([State.RUNNING, State.RUNNING], True, False, ClusterState.READY),
        ([State.RUNNING, State.STOPPED], True, False, ClusterState.READY),
        ([State.RUNNING, State.BACKOFF], True, False, ClusterState.DEGRADED),
        ([State.RUNNING, State.STARTING], True, False, ClusterState.DEGRADED),
        ([State.STOPPING, State.STOPPED], True, True, ClusterState.STOPPING),
        ([State.STOPPED, State.STOPPED], True, True, ClusterState.STOPPED),
        ([State.STOPPED], False, True, ClusterState.STOPPED),
    ],
)
def test_the_state_of_the_whole_follows_from_the_children_that_are_wanted(
    states: list[State], was_ready: bool, is_ending: bool, whole: ClusterState
) -> None:
    assert state_of(states, was_ready=was_ready, is_ending=is_ending) is whole


def test_uptime_counts_only_while_it_serves() -> None:
    child = ChildReport("client1", "node", State.RUNNING, serving_since=100.0)
    assert child.uptime_s(107.5) == 7.5
    assert msgspec.structs.replace(child, state=State.BACKOFF).uptime_s(107.5) == 0


def test_a_child_never_takes_more_room_in_a_report_than_was_reckoned_with() -> None:
    child = ChildReport(
        "client64" * 8,
        "registry",
        State.STOPPING,
        2**22,
        {"http": "255.255.255.255:65535", "dht": "255.255.255.255:65535", "id": "f" * 40},
        2**31,
        1e15 + 0.123456789,
        "\N{PILE OF POO}" * MAX_ERROR_TEXT,
    )
    assert len(msgspec.json.encode(child)) < MAX_CHILD_BYTES
