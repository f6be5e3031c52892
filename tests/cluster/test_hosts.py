"""Nodes that host some of the markets: planned from the settings, and as a real cluster."""

import pytest

from p2pcli import Cluster
from p2pcli.cluster.planning import PlanConflict, plan_cluster
from p2pcli.config import load

MARKETS = ("BTC/USD", "ETH/USD", "SOL/USD")


def planned(tmp_path, yaml: str):
    (tmp_path / "p2px.yaml").write_text(yaml)
    return plan_cluster(load(tmp_path, {"HOME": str(tmp_path)}))


@pytest.mark.parametrize(
    "hosts",
    ["{client2: [ETH/USD], client3: [ETH/USD, BTC/USD]}", "[client2=ETH/USD, client3=ETH/USD+BTC/USD]"],
)
def test_a_mapping_and_a_list_of_texts_say_the_same(tmp_path, hosts):
    plan = planned(tmp_path, f"cluster: {{hosts: {hosts}}}\nmarkets: [BTC/USD, ETH/USD]")
    assert [node.hosts for node in plan.nodes] == [(), ("ETH/USD",), ("ETH/USD", "BTC/USD")]


def test_a_market_that_nobody_hosts_and_one_that_does_not_exist_are_refused(tmp_path):
    with pytest.raises(PlanConflict, match="no node hosts market ETH/USD"):
        planned(tmp_path, "cluster: {nodes: 1, hosts: {client1: [BTC/USD]}}\nmarkets: [BTC/USD, ETH/USD]")
    with pytest.raises(PlanConflict, match="client9 is to host SOL/USD, which is no market"):
        planned(tmp_path, "cluster: {hosts: {client9: SOL/USD}}\nmarkets: [BTC/USD, ETH/USD]")


@pytest.mark.slow
def test_each_node_bears_its_share_and_any_node_takes_every_order():
    hosts = ["client1=BTC/USD+ETH/USD", "client2=ETH/USD+SOL/USD", "client3=SOL/USD+BTC/USD"]
    with Cluster(3, MARKETS, settings={"cluster.hosts": hosts}) as cluster:
        for node in cluster.nodes:
            with cluster.client(node) as client:
                for market in MARKETS:
                    order = client.buy(1, 100, market)
                    assert (order.owner, order.status) == (node, "open")
                    assert client.sell(1, 100, market).status == "filled"
                assert set(client.instruments) == set(MARKETS)
        shares = {node.name: set(node.sequence) for node in cluster.status().nodes}
        assert shares == {
            "client1": {"BTC/USD", "ETH/USD"},
            "client2": {"ETH/USD", "SOL/USD"},
            "client3": {"SOL/USD", "BTC/USD"},
        }
        assert cluster.verify().ok
        cluster.kill("client2")
        with cluster.client("client1") as client:
            assert client.buy(1, 50, "SOL/USD").status == "open", "client3 has it too"
        cluster.wait()
        assert cluster.verify().ok
