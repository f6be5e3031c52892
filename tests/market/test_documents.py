"""The JSON shapes of CLI.md: exactly these names, decimal text for prices and quantities."""

from p2pcli.cli.render.orders import placed_view
from p2pcli.market.commands import Place, Side, TimeInForce
from p2pcli.market.depth import Level
from p2pcli.market.documents import book_document, order_document, trade_document
from p2pcli.market.events import Fill, Placed, Status
from p2pcli.market.instrument import Instrument
from p2pcli.market.views import BookView, TradeView

BTC = Instrument("BTC/USD", 1, tick=1_000_000, lot=1, max_price=10**11, max_quantity=10**14)
ETH = Instrument("ETH/USD", 2, tick=5_000_000, lot=10_000, max_price=10**11, max_quantity=10**14)


def test_order_document():
    place = Place(Side.BUY, 50_000_000, 3_000_000, client_order_id="mine")
    fill = Fill(7, 2_999_500, 20_000_000, 900, "client3", 0)
    view = placed_view(
        place, "client1", 17, Placed(1042, Status.PARTIALLY_FILLED, 20_000_000, 30_000_000, [fill])
    )
    assert order_document(BTC, "client1", view) == {
        "order_id": "1042",
        "client_order_id": "mine",
        "node": "client1",
        "owner": "client1",
        "market": "BTC/USD",
        "side": "buy",
        "type": "limit",
        "tif": "gtc",
        "price": "30000.00",
        "quantity": "0.5",
        "filled": "0.2",
        "remaining": "0.3",
        "status": "partially_filled",
        "sequence": 17,
        "trades": [
            {
                "trade_id": "7",
                "price": "29995.00",
                "quantity": "0.2",
                "maker_order_id": "900",
                "taker_order_id": "1042",
            }
        ],
    }


def test_market_order_has_no_price_and_later_markets_prefix_ids():
    view = placed_view(Place(Side.SELL, 1, 0, TimeInForce.IOC), "client1", 3, Placed(9, Status.EXPIRED, 0, 0))
    document = order_document(ETH, "client1", view)
    assert document["type"] == "market"
    assert document["price"] is None
    assert document["client_order_id"] is None
    assert document["order_id"] == "2-9"


def test_book_document():
    view = BookView(17, bids=[Level(3_000_000, 100, 1)], asks=[Level(3_000_500, 30, 2)])
    assert book_document(BTC, "client2", view) == {
        "market": "BTC/USD",
        "node": "client2",
        "sequence": 17,
        "bids": [{"price": "30000.00", "quantity": "0.000001", "orders": 1}],
        "asks": [{"price": "30005.00", "quantity": "0.0000003", "orders": 2}],
        "spread": "5.00",
    }


def test_spread_is_null_while_a_side_is_empty():
    assert book_document(BTC, "client2", BookView(0, [], []))["spread"] is None


def test_trade_document():
    view = TradeView(7, 17, 123, 3_000_000, 50_000_000, Side.SELL, 900, 1042, "client3", "client1")
    assert trade_document(BTC, view) == {
        "trade_id": "7",
        "sequence": 17,
        "market": "BTC/USD",
        "price": "30000.00",
        "quantity": "0.5",
        "taker_side": "sell",
        "maker_order_id": "900",
        "taker_order_id": "1042",
        "maker": "client3",
        "taker": "client1",
        "time_ns": 123,
    }
