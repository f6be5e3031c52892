"""Names and ports of a cluster's processes."""

import msgspec
import pytest

from p2pcli.cluster.plan import ClusterPlan, MemberSlot, NodeSlot, with_node_count, with_node_port

PLAN = ClusterPlan(
    name="default",
    nodes=(NodeSlot("client1", 4001), NodeSlot("client2", 4002), NodeSlot("client3", 4003)),
    members=(MemberSlot("registry1", 30001, 20001), MemberSlot("registry2", 40001, 20002)),
    markets=(),
    grapes=("10.0.0.1:30001",),
)


def names(plan: ClusterPlan) -> list[str]:
    return [node.name for node in plan.nodes]


def test_more_nodes_take_the_next_numbers_and_the_others_keep_their_ports() -> None:
    plan = with_node_count(PLAN, 5)
    assert names(plan) == ["client1", "client2", "client3", "client4", "client5"]
    assert [node.port for node in plan.nodes] == [4001, 4002, 4003, 0, 0]


def test_fewer_nodes_are_those_with_the_lowest_numbers() -> None:
    plan = msgspec.structs.replace(PLAN, nodes=tuple(NodeSlot(f"client{n}") for n in (10, 9, 2)))
    assert names(with_node_count(plan, 2)) == ["client2", "client9"]


def test_a_gap_is_filled_first() -> None:
    plan = msgspec.structs.replace(PLAN, nodes=(NodeSlot("client1"), NodeSlot("client3")))
    assert names(with_node_count(plan, 4)) == ["client1", "client2", "client3", "client4"]


@pytest.mark.parametrize("count", [1, 3, 64])
def test_the_count_is_what_was_asked_for(count: int) -> None:
    assert len(set(names(with_node_count(PLAN, count)))) == count


def test_a_port_is_remembered_for_its_node_alone() -> None:
    assert [node.port for node in with_node_port(PLAN, "client2", 9).nodes] == [4001, 9, 4003]


def test_nodes_may_ask_own_members_and_external_grapes() -> None:
    assert PLAN.registry == ("127.0.0.1:30001", "127.0.0.1:40001", "10.0.0.1:30001")


def test_the_engine_is_the_scheme_of_the_log() -> None:
    assert PLAN.engine == "sqlite"
    assert msgspec.structs.replace(PLAN, log_url="etcd://a:1,b:2").engine == "etcd"


def test_a_plan_survives_its_file() -> None:
    assert msgspec.json.decode(msgspec.json.encode(PLAN), type=ClusterPlan) == PLAN


def test_bots_are_processes_after_all_others() -> None:
    kinds = msgspec.structs.replace(PLAN, bots=2).kinds
    assert list(kinds.items())[-3:] == [("registry2", "registry"), ("bot1", "bot"), ("bot2", "bot")]
