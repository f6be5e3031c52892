"""An order's life as history knows it, told as log records are."""

from p2pcli.cli.render.order_life import order_life
from p2pcli.market.commands import SelfTrade, Side, TimeInForce
from p2pcli.market.events import Status
from p2pcli.market.instrument import UNITS, Instrument
from p2pcli.market.views import FillView, OrderView

BTC = Instrument("BTC/USD", 1, UNITS // 100, UNITS // 10, 10**9, 10**13)
SECOND = 10**9


def order(price: int, status: Status, fills: list[FillView]) -> OrderView:
    filled = sum(fill.quantity for fill in fills)
    return OrderView(
        *(7, "", "client1", Side.BUY, price, 10, filled, 10 - filled, status, TimeInForce.GTC),
        *(False, SelfTrade.DEFAULT, 41, SECOND, fills),
    )


def test_a_life_is_its_placement_its_fills_and_how_it_stands():
    fill = FillView(3, 44, 2 * SECOND, 9950, 4, 7, 9, "client3")
    placed, filled, now = order_life(BTC, "client2", order(10_000, Status.PARTIALLY_FILLED, [fill]))
    assert placed == {
        "time": "1970-01-01T00:00:01.000Z",
        "level": "info",
        "process": "client2",
        "event": "placed",
        "order": "7",
        "market": "BTC/USD",
        "sequence": 41,
        "owner": "client1",
        "side": "buy",
        "quantity": "1",
        "price": "100.00",
    }
    assert (filled["event"], filled["sequence"], filled["trade"], filled["against"]) == (
        *("filled", 44, "3"),
        "client3",
    )
    assert (filled["quantity"], filled["price"], filled["time"]) == ("0.4", "99.50", now["time"])
    assert (now["event"], now["filled"], now["remaining"]) == ("partially_filled", "0.4", "0.6")


def test_a_market_order_that_found_nobody_has_two_records():
    placed, now = order_life(BTC, "client2", order(0, Status.EXPIRED, []))
    assert (placed["price"], now["event"], now["time"]) == ("market", "expired", placed["time"])
