"""The Python API against one real cluster: what a program asks, and what it gets back."""

import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

import p2pcli
from p2pcli import Cluster, ExchangeClient
from p2pcli.cluster.arguments import BadArgument
from p2pcli.cluster.exchange_client import NoSuchNode
from p2pcli.cluster.folder import ClusterNotRunning
from p2pcli.cluster.results import Level
from p2pcli.errors import BadInput, NotFound
from p2pcli.market.refusals import CommandRefused, ForeignOrder, OrderClosed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(nodes=2, markets=["BTC/USD", "ETH/USD"]) as cluster:
        yield cluster


@pytest.fixture
def ann(cluster: Cluster) -> Iterator[ExchangeClient]:
    with cluster.client("client1", owner="ann") as client:
        yield client
        client.cancel_all()


@pytest.fixture
def bob(cluster: Cluster) -> Iterator[ExchangeClient]:
    with cluster.client("client2", owner="bob") as client:
        yield client
        client.cancel_all()


def test_an_order_comes_back_in_exact_decimals(ann: ExchangeClient) -> None:
    order = ann.buy("0.5", Decimal("30000.10"), client_order_id="first")
    assert (order.side, order.status, order.tif, order.owner, order.market) == (
        *("buy", "open", "gtc", "ann"),
        "BTC/USD",
    )
    assert order.price == Decimal("30000.10")
    assert order.quantity == order.remaining == Decimal("0.5")
    assert order.client_order_id == "first"
    assert order.is_open
    assert ann.order(order.order_id) == order
    assert ann.order(int(order.order_id)) == order


def test_two_clients_at_two_nodes_trade_and_see_the_same(ann: ExchangeClient, bob: ExchangeClient) -> None:
    rests = ann.sell(1, 100)
    takes = bob.buy("0.4", "101")
    (fill,) = takes.fills
    assert (takes.status, fill.price, fill.quantity, fill.counterparty) == (
        *("filled", Decimal(100), Decimal("0.4")),
        "ann",
    )
    assert (fill.maker_order_id, fill.taker_order_id) == (rests.order_id, takes.order_id)
    trade = bob.trades(1)[0]
    assert (trade.maker, trade.taker, trade.taker_side) == ("ann", "bob", "buy")
    assert trade.trade_id == fill.trade_id
    book = bob.book()
    assert (book.asks, book.bids, book.spread) == ((Level(Decimal(100), Decimal("0.6"), 1),), (), None)
    assert book.last_price == Decimal(100)


def test_a_client_reads_its_own_writes_also_at_another_node(cluster: Cluster, ann: ExchangeClient) -> None:
    ann.buy(1, 10)
    ann._reader.first = "client2"  # the next question begins there
    ann._reader.close()
    assert [level.price for level in ann.book().bids] == [Decimal(10)]


def test_amend_cancel_and_history(ann: ExchangeClient) -> None:
    order = ann.buy(2, 10)
    amended = ann.amend(order.order_id, "1.5", "9.5")
    assert (amended.quantity, amended.price, amended.status) == (Decimal("1.5"), Decimal("9.5"), "open")
    assert ann.amend(order.order_id, 1).price == Decimal("9.5")
    assert [one.order_id for one in ann.orders()] == [order.order_id]
    cancelled = ann.cancel(order.order_id)
    assert (cancelled.status, cancelled.remaining, cancelled.is_open) == ("cancelled", 0, False)
    assert ann.orders() == []
    assert ann.history(1) == [cancelled]


def test_a_repeated_client_order_id_takes_effect_once(ann: ExchangeClient) -> None:
    first = ann.buy(1, 10, client_order_id="again")
    assert ann.buy(1, 10, client_order_id="again") == first
    assert len(ann.orders()) == 1
    with pytest.raises(CommandRefused, match="was used before"):
        ann.buy(2, 10, client_order_id="again")


def test_market_orders_and_times_in_force(ann: ExchangeClient, bob: ExchangeClient) -> None:
    ann.sell(1, 100)
    taken = bob.buy("0.25")
    assert (taken.price, taken.tif, taken.status) == (None, "ioc", "filled")
    assert bob.buy(5, 100, tif="fok").status == "expired"
    with pytest.raises(CommandRefused, match="would trade at once"):
        bob.buy(1, 100, post_only=True)
    assert ann.buy(1, 100, stp="cancel-oldest").status == "open"


def test_the_second_market_has_its_own_book_and_ids(ann: ExchangeClient) -> None:
    order = ann.sell(3, 5, "ETH/USD")
    assert order.order_id.startswith("2-")
    assert ann.order(order.order_id).market == "ETH/USD"
    assert ann.orders("ETH/USD") == [order]
    assert ann.book(1, "BTC/USD").asks == ()
    assert ann.cancel_all("ETH/USD") == [order.order_id]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((0.1, 100), "quantity 0.1 is not exact"),
        ((1, 0.1), "price 0.1 is not exact"),
        ((True, 1), "quantity True is not exact"),
        (("1e3", 1), "is not a plain decimal number"),
        ((Decimal("NaN"), 1), "is not a plain decimal number"),
        ((1, "0.001"), "is not a multiple of the tick"),
        ((-1, 1), "is not a plain decimal number"),
        (([], 1), "must be text, int or Decimal"),
    ],
)
def test_a_number_that_is_none_or_not_exact_is_refused_before_it_is_sent(
    ann: ExchangeClient, words: tuple[object, object], said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        ann.buy(*words)  # type: ignore[arg-type]


def test_a_decimal_may_be_written_in_any_of_its_ways(ann: ExchangeClient) -> None:
    order = ann.buy(Decimal("0.50000000000"), Decimal("1E+2"))
    assert (order.quantity, order.price) == (Decimal("0.5"), Decimal(100))


def test_words_that_nobody_knows_are_refused(ann: ExchangeClient) -> None:
    with pytest.raises(BadArgument, match="tif 'day' is none of gtc, ioc, fok"):
        ann.buy(1, 1, tif="day")
    with pytest.raises(BadArgument, match="stp 'maybe'"):
        ann.buy(1, 1, stp="maybe")
    with pytest.raises(BadInput, match="has 1 to 64 characters, this one has 0"):
        ann.buy(1, 1, client_order_id="")
    with pytest.raises(NotFound, match="no market 'XMR/USD'"):
        ann.book(market="XMR/USD")
    with pytest.raises(NotFound, match="market number 7"):
        ann.order("7-1")
    with pytest.raises(NotFound, match="no order 999999"):
        ann.order(999999)


def test_a_foreign_order_cannot_be_cancelled(ann: ExchangeClient, bob: ExchangeClient) -> None:
    order = ann.buy(1, 10)
    with pytest.raises(ForeignOrder, match="belongs to ann, not to bob"):
        bob.cancel(order.order_id)
    assert ann.cancel(order.order_id).status == "cancelled"
    with pytest.raises(OrderClosed, match="is already cancelled"):
        ann.amend(order.order_id, 2)
    with pytest.raises(CommandRefused, match="is not an open order of ann") as refused:
        ann.cancel(10**9)
    assert refused.value.reason == "unknown_order"


def test_without_a_market_every_market_is_meant(ann: ExchangeClient, bob: ExchangeClient) -> None:
    orders = [ann.buy(1, 10), ann.sell(1, 20, "ETH/USD"), ann.sell(1, 20)]
    bob.buy(1, 10)
    assert ann.orders() == orders
    assert ann.history(2) == orders[1:]
    assert ann.orders(limit=1) == orders[:1]
    assert ann.cancel_all(side="sell") == [orders[2].order_id, orders[1].order_id]
    assert ann.cancel_all() == [orders[0].order_id]
    assert len(bob.orders()) == 1


def test_a_full_book_has_every_order_in_the_order_it_fills(ann: ExchangeClient, bob: ExchangeClient) -> None:
    second, first, third = ann.buy(1, 10), bob.buy(1, 11), bob.buy(1, 10)
    book = bob.full_book()  # who has seen all three
    assert (book.bids, book.asks) == ((first, second, third), ())


def test_a_halted_market_says_so_by_a_reason_that_programs_can_read(ann: ExchangeClient) -> None:
    assert ann.halt("eth-usd").halted
    with pytest.raises(CommandRefused, match="is halted") as refused:
        ann.buy(1, 1, "ETH/USD")
    assert refused.value.reason == "halted"
    assert ann.history(1)[-1].status == "rejected"
    assert not ann.resume("ETH/USD").halted


def test_the_average_price_of_fills_is_exact_to_eight_decimals(
    ann: ExchangeClient, bob: ExchangeClient
) -> None:
    ann.sell("0.00000001", "10.01")
    ann.sell("0.00000002", "10.02")
    taken = bob.buy("0.00000003", 11)
    assert taken.average_price == Decimal("10.01666667")
    assert bob.buy(1, 1).average_price is None
    assert taken.time_ns == taken.fills[0].time_ns > 0


def test_trades_are_followed_from_the_call_on(ann: ExchangeClient, bob: ExchangeClient) -> None:
    ann.sell(1, 100)
    following = ann.follow_trades()
    bob.buy(1, 100)
    assert next(following).quantity == 1
    with pytest.raises(BadArgument, match="after=2-1 is no trade of BTC/USD"):
        ann.follow_trades(after="2-1")


def test_without_an_owner_orders_belong_to_the_node(cluster: Cluster) -> None:
    with cluster.client("client2") as client:
        order = client.buy(1, 1)
        assert order.owner == "client2"
        client.cancel_all()


def test_nodes_and_clusters_that_are_not_there_are_named(cluster: Cluster, tmp_path: Path) -> None:
    with pytest.raises(NoSuchNode, match="no node 'client9'; its nodes are client1, client2"):
        cluster.client("client9")
    with pytest.raises(ClusterNotRunning):
        ExchangeClient("default", home=tmp_path)


def test_the_cluster_describes_itself_and_its_nodes_agree(cluster: Cluster, ann: ExchangeClient) -> None:
    ann.buy(1, 10)
    status = cluster.status()
    assert (status.state, [node.name for node in status.nodes]) == ("ready", cluster.nodes)
    verdict = cluster.verify()
    assert verdict.ok, verdict.problems
    assert verdict.sequences.keys() == {"BTC/USD", "ETH/USD"}


def test_a_client_goes_on_when_its_node_is_killed(cluster: Cluster, ann: ExchangeClient) -> None:
    before = ann.buy(1, 10)
    cluster.kill("client1")
    after = ann.buy(1, 11)
    assert [one.order_id for one in ann.orders()] == [before.order_id, after.order_id]
    cluster.wait()
    assert cluster.verify().ok


def test_a_stopped_node_is_a_problem_until_it_is_started(cluster: Cluster) -> None:
    cluster.stop("client2")
    verdict = cluster.verify()
    assert verdict.problems == ("client2 does not serve: it is stopped",)
    cluster.start("client2")
    assert cluster.verify().ok


def test_a_cluster_that_is_kept_goes_on_where_it_was(tmp_path: Path) -> None:
    def again() -> Cluster:
        return Cluster(nodes=1, home=tmp_path, ephemeral=False)

    with again() as cluster, cluster.client() as client:
        order = client.buy(1, 10)
    with again() as cluster, cluster.client() as client:
        assert client.orders() == [order]


def test_nothing_is_left_of_a_temporary_cluster() -> None:
    cluster = Cluster(nodes=1, settings={"registry.members": 1})
    with cluster:
        home = cluster.home
        assert home.exists()
    assert not home.exists()
    cluster.down()


def test_the_package_loads_its_api_only_when_asked() -> None:
    code = "import sys, p2pcli; print(sorted(name for name in sys.modules if 'p2pcli' in name))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "['p2pcli']"
    with pytest.raises(AttributeError, match="Exchange"):
        p2pcli.Exchange  # noqa: B018
    for name in p2pcli.__all__:
        assert getattr(p2pcli, name)


def test_trades_are_followed_from_the_first_through_a_kill(
    cluster: Cluster, ann: ExchangeClient, bob: ExchangeClient
) -> None:
    ann.sell(3, 100)
    with cluster.client("client1") as reader:
        known = reader.trades(10_000)
        bob.buy(1, 100)
        following = reader.follow_trades(after=known[-1].trade_id if known else 0)
        first = next(following)
        cluster.kill("client1")
        bob.buy(2, 100)
        second = next(following)
        assert (first.quantity, second.quantity) == (1, 2)
        assert int(second.trade_id) == int(first.trade_id) + 1
        assert next(reader.follow_trades(after=0)).trade_id == "1"
    cluster.wait()


def test_markets_tell_their_rules_and_their_day(ann: ExchangeClient, bob: ExchangeClient) -> None:
    ann.sell(1, 150)
    bob.buy(1, 150)
    btc, eth = bob.markets()  # who has seen the trade
    assert (btc.symbol, btc.tick, btc.halted) == ("BTC/USD", Decimal("0.01"), False)
    assert btc.last_price == 150
    assert btc.high_24h is not None
    assert btc.high_24h >= 150
    assert btc.volume_24h >= 1
    assert (eth.symbol, eth.max_open_orders, eth.price_band_bp) == ("ETH/USD", None, None)
