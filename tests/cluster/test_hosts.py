"""Nodes that host some of the markets: planned from the settings, and as a real cluster."""

import itertools
import threading

import pytest

from p2pcli import Cluster
from p2pcli.cluster.folder import ClusterFolder
from p2pcli.cluster.planning import PlanConflict, plan_cluster
from p2pcli.config import load
from p2pcli.market.commands import Place, Side
from p2pcli.node.roaming import RoamingClient

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


@pytest.mark.slow
def test_a_host_killed_under_forwarded_load_loses_and_doubles_nothing():
    hosts = ["client1=BTC/USD", "client2=BTC/USD+ETH/USD", "client3=ETH/USD"]
    with Cluster(3, MARKETS[:2], settings={"cluster.hosts": hosts}) as cluster:
        folder = ClusterFolder(cluster.home, "default")
        host, _, port = folder.report().child("client1").addresses["rpc"].rpartition(":")
        failed: list[Exception] = []
        placed: list[str] = []
        stop = threading.Event()

        def trade(name: str) -> None:
            with RoamingClient(lambda: [(host, int(port))], folder.credentials(), name, 20) as trader:
                for number in itertools.takewhile(lambda _: not stop.is_set(), itertools.count()):
                    order = Place(
                        Side.BUY if number % 2 else Side.SELL,
                        1,
                        90 + number % 20,
                        client_order_id=f"{name}-{number}",
                    )
                    try:
                        trader.submit("ETH/USD", [order])
                    except Exception as error:  # noqa: BLE001  the test looks at it
                        failed.append(error)
                        return
                    placed.append(order.client_order_id)

        traders = [threading.Thread(target=trade, args=(name,)) for name in ("ann", "bob", "carol")]
        for trader in traders:
            trader.start()
        for victim in ("client2", "client3", "client2"):
            cluster.kill(victim)
            cluster.wait()
        stop.set()
        for trader in traders:
            trader.join(30)
        assert failed == []
        assert cluster.verify().ok
        seen = []
        for name in ("ann", "bob", "carol"):
            with cluster.client("client3", owner=name) as client:
                seen += [order.client_order_id for order in client.history(10_000, "ETH/USD")]
        assert sorted(seen) == sorted(placed)
