"""Trades in columns."""

from p2pcli.cli.render.tape import Tape
from p2pcli.market.commands import Side
from p2pcli.market.instrument import Instrument
from p2pcli.market.views import TradeView

BTC = Instrument("BTC/USD", 1, tick=1_000_000, lot=1, max_price=10**11, max_quantity=10**14)


def trade(number, price, taker="client1"):
    return TradeView(number, number, 1_000_000_000, price, 50_000_000, Side.BUY, 1, 2, "client3", taker)


def test_a_title_before_the_first_trade_stands_over_usual_ones():
    tape = Tape()
    title = tape.title()
    (line,) = tape.lines(BTC, [trade(7, 3_000_000)])
    assert title.index("TAKER") == line.index("client1")
    assert line == "1970-01-01T00:00:01.000Z      7  buy   30000.00       0.5  client1  client3"


def test_columns_grow_and_never_shrink():
    tape = Tape()
    tape.lines(BTC, [trade(123_456_789, 3_000_000, taker="a-long-name")])
    short, long = tape.lines(BTC, [trade(1, 1)])[0], tape.lines(BTC, [trade(123_456_789, 3_000_000)])[0]
    assert short.index("client3") == long.index("client3")


def test_names_cannot_drive_the_terminal():
    (line,) = Tape().lines(BTC, [trade(1, 1, taker="\x1b[2Jx")])
    assert "\x1b" not in line
