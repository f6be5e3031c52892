"""Reads that are larger than a frame, or ask for what nobody can show."""

from p2pcli.market.commands import Cancel, Place, Side
from p2pcli.node.requests import FILLS_PAGE, ORDERS_PAGE, TRADES_PAGE

MARKET = "BTC/USD"
MAKERS = FILLS_PAGE + 500
FRAME = 500


def test_orders_fills_and_trades_of_any_number_are_read_whole(start_node):
    assert max(ORDERS_PAGE, TRADES_PAGE) < MAKERS, "every list takes several pages"
    with start_node().client("ann") as ann:
        for _ in range(MAKERS // FRAME):
            ann.submit(MARKET, [Place(Side.SELL, 1, 100)] * FRAME)
        makers = list(range(1, MAKERS + 1))
        assert [view.order for view in ann.orders(MARKET, limit=MAKERS - 1)] == makers[:-1]
        assert [view.order for view in ann.orders(MARKET, "ann", limit=MAKERS + 9)] == makers
        assert ann.orders(MARKET, "bob", limit=MAKERS) == []

        ann.submit(MARKET, [Place(Side.BUY, MAKERS - 1, 100), Cancel(MAKERS)])
        taker = MAKERS + 1
        assert [fill.maker for fill in ann.order(MARKET, taker).fills] == makers[:-1]
        everything = ann.orders(MARKET, "ann", closed=True, limit=MAKERS + 9)
        assert [view.order for view in everything] == [*makers, taker]
        assert len(everything[-1].fills) == ORDERS_PAGE
        for view in (everything[0], everything[-3], everything[-2]):
            assert view == ann.order(MARKET, view.order)
        assert [view.order for view in ann.orders(MARKET, closed=True, limit=3)] == [*makers, taker][-3:]
        assert ann.orders(MARKET, "bob", closed=True) == []

        trades = makers[:-1]
        assert [trade.trade for trade in ann.trades(MARKET, MAKERS)] == trades
        assert [trade.trade for trade in ann.trades(MARKET, MAKERS - 9)] == trades[8:]
        assert [trade.trade for trade in ann.trades(MARKET, MAKERS, after=5)] == trades[5:]
        assert [trade.trade for trade in ann.trades(MARKET, TRADES_PAGE, after=1)] == trades[1:][:TRADES_PAGE]


def test_numbers_below_zero_ask_for_nothing(start_node):
    with start_node().client() as client:
        client.submit(MARKET, [Place(Side.SELL, 1, 100)])
        assert client.book(MARKET, levels=-1).asks == []
        assert [view.order for view in client.orders(MARKET, closed=True, limit=-1)] == [1]
        assert client.trades(MARKET, -1, after=-(1 << 62)) == []
