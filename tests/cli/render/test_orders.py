"""What people read about an order, word for word where CLI.md promises the words."""

from p2pcli.cli.render.orders import (
    amended_lines,
    cancelled_line,
    fill_lines,
    order_page,
    placed_lines,
    placed_view,
    repeated_line,
)
from p2pcli.market.commands import Place, Side, TimeInForce
from p2pcli.market.events import Amended, Fill, Placed, Removed, Status
from p2pcli.market.instrument import Instrument
from p2pcli.market.views import FillView

BTC = Instrument("BTC/USD", 1, tick=1_000_000, lot=1, max_price=10**11, max_quantity=10**14)
BUY = Place(Side.BUY, 50_000_000, 3_000_000, client_order_id="mine")


def test_placed_order_reads_as_the_contract_shows():
    fill = Fill(7, 2_999_500, 20_000_000, 900, "client3", 0)
    placed = Placed(1042, Status.PARTIALLY_FILLED, 20_000_000, 30_000_000, [fill])
    view = placed_view(BUY, "client1", 17, placed)
    assert placed_lines(BTC, view, [], "client1") == [
        "accepted  1042  BUY 0.5 BTC/USD @ 30000.00  gtc  on client1",
        "filled    0.2 @ 29995.00 against client3        remaining 0.3",
    ]


def test_remaining_counts_down_over_the_fills_to_zero():
    fills = [FillView(n, 5, 0, 3_000_000, 25_000_000, 900 + n, 1042, f"client{n}") for n in (2, 3)]
    lines = fill_lines(BTC, fills, 50_000_000)
    assert [line.rpartition("remaining ")[2] for line in lines] == ["0.25", "0"]


def test_a_long_counterparty_keeps_two_spaces_before_remaining():
    fill = FillView(1, 5, 0, 3_000_000, 1, 900, 1042, "a-very-long-owner-name-indeed-" + "x" * 20)
    (line,) = fill_lines(BTC, [fill], 1)
    assert line.endswith("x  remaining 0")


def test_market_order_shows_the_word_market_and_what_expired():
    market = Place(Side.SELL, 100_000_000, 0, TimeInForce.IOC)
    view = placed_view(market, "client1", 3, Placed(9, Status.EXPIRED, 40_000_000, 0, []))
    assert placed_lines(BTC, view, [], "client1") == [
        "accepted  9  SELL 1 BTC/USD @ market  ioc  on client1",
        "expired   0.6 found no counterparty",
    ]


def test_killed_fill_or_kill_says_so():
    order = Place(Side.BUY, 100_000_000, 100, TimeInForce.FOK)
    view = placed_view(order, "client1", 3, Placed(9, Status.EXPIRED, 0, 0))
    assert placed_lines(BTC, view, [], "client1")[-1] == "expired   1 could not be filled at once"


def test_self_trade_prevention_names_what_it_took_out():
    view = placed_view(BUY, "client1", 3, Placed(9, Status.CANCELLED, 0, 0))
    lines = placed_lines(BTC, view, [Removed(4, 10_000_000)], "client1")
    assert lines[1:] == [
        "cancelled 4  own resting order, 0.1 unfilled, instead of trading with it",
        "cancelled 0.5 instead of trading with an order of the same owner",
    ]


def test_amend_shows_only_the_fills_it_caused():
    view = placed_view(BUY, "client1", 3, Placed(9, Status.OPEN, 0, 0))
    amended = Amended(
        9, Status.PARTIALLY_FILLED, 70_000_000, 3_000_100, 30_000_000, 40_000_000,
        [Fill(8, 3_000_100, 10_000_000, 901, "client2", 0)],
    )  # fmt: skip
    lines = amended_lines(BTC, view, amended, "client1")
    assert lines[0].startswith("amended   9  BUY 0.5 BTC/USD @ 30000.00")
    # 0.7 in all, 0.2 of it filled before, 0.1 by this amend
    assert lines[1] == "filled    0.1 @ 30001.00 against client2        remaining 0.4"


def test_an_amend_down_to_what_had_traded_says_that_it_closed_the_order():
    view = placed_view(BUY, "client1", 3, Placed(9, Status.FILLED, 0, 0))
    amended = Amended(9, Status.FILLED, 20_000_000, 3_000_000, 20_000_000, 0, [])
    assert amended_lines(BTC, view, amended, "client1")[1:] == [
        "filled    with the 0.2 that had traded before: it is closed"
    ]


def test_cancelled_and_repeated_lines():
    second = Instrument("ETH/USD", 2, tick=1_000_000, lot=1, max_price=10**11, max_quantity=10**14)
    assert cancelled_line(second, 5, 30_000_000) == "cancelled 2-5  0.3 ETH/USD unfilled"
    assert repeated_line(17) == (
        "repeated  this id was answered before, at sequence 17: nothing was done again"
    )


def test_order_page_shows_status_average_and_every_fill():
    fills = [
        FillView(1, 5, 1_000_000_000, 2_999_500, 10_000_000, 900, 1042, "client3"),
        FillView(2, 6, 2_000_000_000, 3_000_000, 20_000_000, 901, 1042, "client2"),
    ]
    view = placed_view(BUY, "client1", 17, Placed(1042, Status.PARTIALLY_FILLED, 30_000_000, 20_000_000))
    page = order_page(BTC, type(view)(*[getattr(view, f) for f in view.__struct_fields__[:-1]], fills))
    assert page[1] == "status    partially_filled  filled 0.3 of 0.5  remaining 0.2  average 29998.33333333"
    assert page[3] == "client id mine"
    assert page[5] == (
        "filled    0.2 @ 30000.00 against client2  trade 2  1970-01-01T00:00:02.000Z  remaining 0.2"
    )


def test_escape_sequences_in_names_are_shown_not_obeyed():
    fill = FillView(1, 5, 0, 3_000_000, 1, 900, 1042, "evil\x1b[2J\n")
    (line,) = fill_lines(BTC, [fill], 1)
    assert "\x1b" not in line
    assert "\n" not in line
    assert "evil\\x1b[2J\\n" in line
