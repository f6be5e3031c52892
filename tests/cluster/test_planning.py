"""From settings to a plan, and what a cluster that has run before keeps."""

from pathlib import Path

import msgspec
import pytest

from p2pcli.cluster.plan import ClusterPlan, MemberSlot, NodeSlot
from p2pcli.cluster.planning import PlanConflict, differences, plan_cluster
from p2pcli.config import Config, load


@pytest.fixture
def configured(tmp_path: Path):
    def settings(**flags: object) -> Config:
        return load(tmp_path, {}, None, {name.replace("__", "."): value for name, value in flags.items()})

    return settings


def settled(plan: ClusterPlan) -> ClusterPlan:
    """The plan after a first start on a machine where the default ports were taken."""
    return msgspec.structs.replace(
        plan,
        nodes=tuple(NodeSlot(node.name, 50000 + place) for place, node in enumerate(plan.nodes)),
        members=tuple(
            MemberSlot(member.name, 51000 + place, 52000 + place) for place, member in enumerate(plan.members)
        ),
    )


def test_a_new_cluster_has_the_nodes_and_members_of_the_settings(configured) -> None:
    plan = plan_cluster(configured())
    assert plan.nodes == (NodeSlot("client1"), NodeSlot("client2"), NodeSlot("client3"))
    assert plan.members == (MemberSlot("registry1", 30001, 20001), MemberSlot("registry2", 40001, 20002))
    assert [market.symbol for market in plan.markets] == ["BTC/USD"]
    assert plan.durable
    assert not plan.ephemeral


def test_members_beyond_the_list_of_ports_take_a_free_one(configured) -> None:
    assert plan_cluster(configured(registry__members=3)).members[2] == MemberSlot("registry3", 0, 0)


def test_a_cluster_that_ran_before_keeps_its_ports(configured) -> None:
    former = settled(plan_cluster(configured()))
    plan = plan_cluster(configured(), former)
    assert (plan.nodes, plan.members) == (former.nodes, former.members)


def test_ports_that_somebody_chooses_win_over_those_it_had(configured) -> None:
    former = settled(plan_cluster(configured()))
    plan = plan_cluster(configured(registry__http_ports=["31001", "31002"]), former)
    assert plan.members == (MemberSlot("registry1", 31001, 52000), MemberSlot("registry2", 31002, 52001))


def test_a_cluster_that_was_scaled_keeps_its_number_of_nodes_unless_told(configured) -> None:
    former = plan_cluster(configured(cluster__nodes=5))
    assert len(plan_cluster(configured(), former).nodes) == 5
    assert len(plan_cluster(configured(cluster__nodes=2), former).nodes) == 2


def test_bots_are_kept_as_nodes_are(configured) -> None:
    former = plan_cluster(configured(cluster__bots=2))
    assert plan_cluster(configured(), former).bots == 2
    assert plan_cluster(configured(cluster__bots=0), former).bots == 0
    assert differences(former, plan_cluster(configured(cluster__bots=3), former)) == [
        "bots: 2 runs, 3 is configured"
    ]


def test_new_markets_are_numbered_after_the_old_ones_which_stay(configured) -> None:
    former = plan_cluster(configured(markets=["ETH/USD", "BTC/USD"]))
    plan = plan_cluster(configured(markets=["SOL/USD", "BTC/USD"]), former)
    assert [(market.symbol, market.number) for market in plan.markets] == [
        ("ETH/USD", 1),
        ("BTC/USD", 2),
        ("SOL/USD", 3),
    ]


def test_the_rules_of_a_market_cannot_change(configured) -> None:
    former = plan_cluster(configured())
    with pytest.raises(PlanConflict, match="market BTC/USD exists with tick 1000000"):
        plan_cluster(configured(market_defaults__tick="0.05"), former)


def test_the_log_cannot_move(configured) -> None:
    former = plan_cluster(configured())
    with pytest.raises(PlanConflict, match="keeps its log at sqlite, the configuration says etcd://a:1"):
        plan_cluster(configured(log__url="etcd://a:1"), former)


def test_data_that_is_meant_to_stay_is_never_made_ephemeral(configured) -> None:
    with pytest.raises(PlanConflict, match="would delete"):
        plan_cluster(configured(), plan_cluster(configured()), ephemeral=True)


def test_nothing_of_an_ephemeral_cluster_stays(configured) -> None:
    former = settled(plan_cluster(configured(markets=["ETH/USD"]), ephemeral=True))
    plan = plan_cluster(configured(), former)
    assert not plan.ephemeral
    assert plan == plan_cluster(configured())


def test_an_ephemeral_cluster_is_not_durable(configured) -> None:
    assert not plan_cluster(configured(), ephemeral=True).durable


def test_equal_plans_do_not_differ_and_ports_do_not_count(configured) -> None:
    plan = plan_cluster(configured())
    assert differences(plan, settled(plan)) == []


def test_each_difference_is_one_line(configured) -> None:
    plan = plan_cluster(configured())
    wanted = plan_cluster(configured(cluster__nodes=5, logging__level="debug"), plan)
    assert differences(plan, wanted) == [
        "nodes: 3 runs, 5 is configured",
        "log level: info runs, debug is configured",
    ]


def test_limits_and_metrics_follow_the_settings_of_each_up(configured) -> None:
    former = plan_cluster(configured())
    assert (former.requests_per_minute, former.performance_threshold_s, former.metrics_port) == (0, 0.1, 0)
    chosen = configured(
        node__requests_per_minute=600, node__performance_threshold="0s", node__metrics_port=9100
    )
    plan = plan_cluster(chosen, former)
    assert (plan.requests_per_minute, plan.performance_threshold_s, plan.metrics_port) == (600, 0.0, 9100)


def test_a_log_on_etcd_and_what_opens_its_door_come_from_the_settings(configured, tmp_path) -> None:
    settings = configured(log__url="etcd://a:1,b:2", log__user="p2px", log__password_file="word")
    plan = plan_cluster(settings)
    assert (plan.engine, plan.log_access.user) == ("etcd", "p2px")
    assert plan.log_access.password_file.endswith("/word")
    made = msgspec.structs.replace(plan, log_identity="c0ffee")
    assert plan_cluster(settings, made).log_identity == "c0ffee"


def test_an_ephemeral_cluster_has_no_log_elsewhere(configured) -> None:
    with pytest.raises(PlanConflict, match="keeps its log in its folder"):
        plan_cluster(configured(log__url="etcd://a:1"), ephemeral=True)
