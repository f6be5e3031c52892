"""What each process is told."""

from pathlib import Path

import msgspec

from p2pcli.cluster.briefing import member_plan, node_plan
from p2pcli.cluster.folder import ClusterFolder
from p2pcli.cluster.plan import ClusterPlan, LogAccess, MemberSlot, NodeSlot
from p2pcli.market.instrument import UNITS, Instrument

BTC = Instrument("BTC/USD", 1, UNITS // 100, 1, 10**9, 10**13)
FOLDER = ClusterFolder(Path("/home/of"), "default")
PLAN = ClusterPlan(
    name="default",
    nodes=(NodeSlot("client1", 4001), NodeSlot("client2")),
    members=(MemberSlot("registry1", 30001, 20001), MemberSlot("registry2", 40001, 20002)),
    markets=(BTC,),
    durable=False,
)


def test_a_node_is_told_its_name_places_and_registries() -> None:
    plan = node_plan(PLAN, FOLDER, "client1").node
    assert (plan.cluster, plan.name, plan.port, plan.durable) == ("default", "client1", 4001, False)
    assert plan.folder == "/home/of/default/nodes/client1"
    assert plan.log == "sqlite:///home/of/default/data"
    assert plan.secret_path == "/home/of/default/secret"
    assert plan.registry == ["127.0.0.1:30001", "127.0.0.1:40001"]
    assert plan.markets == [BTC]


def test_a_log_on_etcd_is_told_with_the_cluster_and_what_opens_the_door() -> None:
    elsewhere = msgspec.structs.replace(
        PLAN,
        log_url="etcd://a:1,b:2",
        log_identity="c0ffee",
        log_access=LogAccess(user="p2px", password_file="/etc/word"),
    )
    log = node_plan(elsewhere, FOLDER, "client2").node.log
    assert log == "etcd://a:1,b:2/p2px/default?identity=c0ffee&user=p2px&password_file=%2Fetc%2Fword"
    prefixed = msgspec.structs.replace(PLAN, log_url="etcd://a:1/our")
    assert node_plan(prefixed, FOLDER, "client2").node.log == "etcd://a:1/our/default"


def test_nodes_have_metrics_ports_that_follow_their_numbers_or_none() -> None:
    assert node_plan(PLAN, FOLDER, "client2").node.metrics_port is None
    measured = msgspec.structs.replace(PLAN, metrics_port=9100)
    ports = [node_plan(measured, FOLDER, name).node.metrics_port for name in ("client1", "client2")]
    assert ports == [9100, 9101]


def test_a_node_is_told_the_limits_of_the_settings() -> None:
    plan = msgspec.structs.replace(PLAN, requests_per_minute=600, performance_threshold_s=0.25)
    node = node_plan(plan, FOLDER, "client1").node
    assert (node.requests_per_minute, node.slow_s) == (600, 0.25)


def test_every_member_is_told_of_the_whole_ring() -> None:
    plan = member_plan(PLAN, FOLDER, "registry2")
    assert (plan.name, plan.http_port, plan.dht_port) == ("registry2", 40001, 20002)
    assert plan.folder == "/home/of/default/registry/registry2"
    assert plan.bootstrap == ("127.0.0.1:20001", "127.0.0.1:20002")


def test_members_that_listen_everywhere_meet_at_an_address_that_other_machines_reach():
    plan = msgspec.structs.replace(PLAN, host="0.0.0.0", ring=("10.9.8.7:20001",))
    seeds = member_plan(plan, FOLDER, "registry2").bootstrap
    assert seeds[-1] == "10.9.8.7:20001"
    assert not any(seed.startswith("0.0.0.0:") for seed in seeds)
