"""The flows of a benchmark: the same for the same seed, within a market's limits, and of bounded book."""

from msgspec.structs import replace

from p2pcli.cluster.bench.flow import SWEEP, around, orders, resting, swept
from p2pcli.market.commands import CancelAll, Place, Side
from p2pcli.market.instrument import UNITS, Instrument

BTC = Instrument("BTC/USD", 1, UNITS // 100, 1, 10**9, 10**13)


def test_the_same_seed_gives_the_same_orders():
    assert orders(50, 7, 1000, 10) == orders(50, 7, 1000, 10) != orders(50, 8, 1000, 10)


def test_prices_and_quantities_stay_within_a_market_of_any_size():
    for instrument in (BTC, replace(BTC, max_price=1, max_quantity=100), replace(BTC, max_price=50)):
        price, lots = around(instrument)
        for order in [*orders(500, 1, price, lots), *resting(5_000, price, lots)]:
            assert isinstance(order, Place)
            assert order.price >= 1
            assert 1 <= order.quantity <= instrument.max_quantity


def test_what_shall_rest_meets_no_order_of_the_flow():
    flow, still = orders(5_000, 1, 1_000_000, 1), resting(5_000, 1_000_000, 1)
    for side, sign in ((Side.BUY, 1), (Side.SELL, -1)):
        mine = [sign * each.price for each in still if isinstance(each, Place) and each.side is side]
        others = [sign * each.price for each in flow if isinstance(each, Place) and each.side is not side]
        assert max(mine) < min(others)


def test_every_so_many_commands_all_before_are_cancelled():
    flow = swept(orders(2 * SWEEP + 1, 1, 1000, 10))
    assert [number for number, each in enumerate(flow) if isinstance(each, CancelAll)] == [
        SWEEP - 1,
        2 * SWEEP - 1,
    ]
