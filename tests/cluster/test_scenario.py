"""The example client's orders: around the market, repeatable, always valid."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from p2pcli.cluster.scenario import first_orders, middle, next_order
from p2pcli.market.commands import Side
from p2pcli.market.depth import Level
from p2pcli.market.instrument import Instrument
from p2pcli.market.views import BookView

BTC = Instrument("BTC/USD", 1, tick=1_000_000, lot=1, max_price=10**11, max_quantity=10**14)
EMPTY = BookView(0, [], [])


def test_a_market_that_never_traded_begins_at_30000():
    assert BTC.price_text(middle(BTC, EMPTY)) == "30000.00"


def test_the_middle_is_between_the_best_prices_else_the_last():
    assert middle(BTC, BookView(0, [Level(100, 1, 1)], [Level(110, 1, 1)], last_price=7)) == 105
    assert middle(BTC, BookView(0, [Level(100, 1, 1)], [], last_price=7)) == 7
    assert middle(BTC, BookView(0, [], [Level(110, 1, 1)])) == 110


def test_it_begins_with_three_bids_below_and_three_asks_above():
    orders = list(first_orders(BTC, EMPTY))
    bids = [BTC.price_text(o.price) for o in orders if o.side is Side.BUY]
    asks = [BTC.price_text(o.price) for o in orders if o.side is Side.SELL]
    assert bids == ["29970.00", "29940.00", "29910.00"]
    assert asks == ["30030.00", "30060.00", "30090.00"]
    assert [BTC.quantity_text(o.quantity) for o in orders] == ["0.1", "0.1", "0.2", "0.2", "0.3", "0.3"]


def test_the_same_seed_places_the_same_orders():
    def orders(seed):
        random = Random(seed)
        return [next_order(BTC, EMPTY, random) for _ in range(50)]

    assert orders(7) == orders(7) != orders(8)


def test_a_random_order_stays_within_forty_basis_points_of_the_middle():
    random = Random(1)
    prices = {order.price for order in (next_order(BTC, EMPTY, random) for _ in range(500)) if order.price}
    assert len(prices) > 100
    assert 2_988_000 <= min(prices) < 3_000_000 < max(prices) <= 3_012_000


@given(
    tick=st.integers(1, 10**12),
    lot=st.integers(1, 10**12),
    max_price=st.integers(1, 10**6),
    max_quantity=st.integers(1, 10**6),
    best=st.integers(1, 10**6),
    seed=st.integers(0, 1000),
)
def test_every_order_lies_within_the_markets_limits(tick, lot, max_price, max_quantity, best, seed):
    instrument = Instrument("A/B", 1, tick, lot, max_price, max_quantity)
    price = min(best, max_price)
    for book in (EMPTY, BookView(0, [Level(price, 1, 1)], [Level(price, 1, 1)])):
        for order in [*first_orders(instrument, book), next_order(instrument, book, Random(seed))]:
            assert 1 <= order.quantity <= max_quantity
            assert 0 <= order.price <= max_price
