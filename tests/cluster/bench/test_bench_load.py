"""Loads against a real cluster: every command answered once, as many as asked, whatever goes round."""

from collections.abc import Callable, Iterator

import pytest

from p2pcli.cluster.api import Cluster
from p2pcli.cluster.bench.flow import orders
from p2pcli.cluster.bench.load import MODES, BenchFailed, Load, Trader
from p2pcli.cluster.bench.run import dial
from p2pcli.cluster.folder import ClusterFolder
from p2pcli.market.commands import Checkpoint
from p2pcli.node.client import ExchangeClient

pytestmark = pytest.mark.slow
MARKET = "BTC/USD"


@pytest.fixture(scope="module")
def connect() -> Iterator[Callable[[], ExchangeClient]]:
    with Cluster(nodes=1) as cluster:
        folder = ClusterFolder(cluster.home, "default")
        report = folder.report()
        assert report is not None
        yield lambda: dial(folder, report, "client1")


@pytest.mark.parametrize("mode", MODES)
def test_a_flow_goes_round_until_so_many_commands_are_answered(connect, mode):
    with connect() as one, connect() as two, connect() as reader:
        load = Load([Trader(one, MARKET), Trader(two, MARKET)], window=3, batch=4)
        reader.submit(MARKET, orders(1, 9, 1, 1))
        before = reader.orders(MARKET, closed=True, limit=1)[0].order
        figures = load.run(mode, orders(22, 1, 1000, 1), 5_000, count=88)
        after = reader.orders(MARKET, closed=True, limit=1)[0].order
        assert figures.orders == after - before == 88
        assert sum(figures.histogram.values()) == (2 * 12 if mode == "batched" else 88)
        assert 0 < load.acknowledged <= reader.book(MARKET).sequence


def test_time_ends_a_load_that_no_number_does(connect):
    with connect() as client:
        load = Load([Trader(client, MARKET)], window=3)
        figures = load.run("pipelined", orders(10, 1, 1000, 1), 0, count=1 << 40, seconds=0.2)
        assert figures.orders > 0
        assert figures.seconds >= 0.2


@pytest.mark.parametrize("mode", MODES)
def test_an_order_that_is_refused_ends_the_load_and_is_told(connect, mode):
    with connect() as client:
        load = Load([Trader(client, MARKET)], window=3, batch=1)
        flow = [*orders(5, 1, 1000, 1), Checkpoint(1, b"", 0)]  # which no client may say
        with pytest.raises(BenchFailed, match=f"{mode}: not a list of commands"):
            load.run(mode, flow, 10_000)
