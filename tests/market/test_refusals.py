# ruff: noqa: E501  (one case a line)
"""Every reason has words, in decimals, with a way on."""

import pytest

from p2pcli.market.commands import Amend, Cancel, Halt, Place, SelfTrade, Side
from p2pcli.market.events import Reason, Refused
from p2pcli.market.instrument import Instrument
from p2pcli.market.refusals import refusal

BTC = Instrument(
    "BTC/USD", 1, tick=1_000_000, lot=1_000_000, max_price=10**11, max_quantity=10**6,
    self_trade=SelfTrade.ALLOW,
)  # fmt: skip
BUY = Place(Side.BUY, 50, 3_000_000, client_order_id="a-1")
SELL = Place(Side.SELL, 50, 3_000_000)


@pytest.mark.parametrize(
    ("command", "refused", "message", "hint"),
    [
        (BUY, Refused(Reason.HALTED), "market BTC/USD is halted: only cancels are taken", "p2px market resume BTC/USD"),
        (BUY, Refused(Reason.QUANTITY_RANGE, 1, [2_000_000, 10**6]),
         "quantity 20000 is above the maximum 10000 of BTC/USD", "the largest valid quantity is 10000"),
        (BUY, Refused(Reason.QUANTITY_RANGE, 1, [0, 10**6]),
         "quantity must be above zero, not 0", "the largest valid quantity of BTC/USD is 10000"),
        (BUY, Refused(Reason.PRICE_RANGE, 1, [10**11 + 1, 10**11]),
         "price 1000000000.01 is above the maximum 1000000000.00 of BTC/USD", "the largest valid price is 1000000000.00"),
        (BUY, Refused(Reason.PRICE_BAND, 1, [4_000_000, 2_700_000, 3_300_000]),
         "price 40000.00 is outside the band 27000.00 to 33000.00 around the last trade of BTC/USD",
         "the nearest price allowed now is 33000.00"),
        (SELL, Refused(Reason.PRICE_BAND, 1, [100, 2_700_000, 3_300_000]),
         "price 1.00 is outside the band 27000.00 to 33000.00 around the last trade of BTC/USD",
         "the nearest price allowed now is 27000.00"),
        (BUY, Refused(Reason.WOULD_TRADE, 1, [2_999_500]),
         "the post-only order would trade at once: the best ask is 29995.00",
         "bid below 29995.00, or leave --post-only out"),
        (SELL, Refused(Reason.WOULD_TRADE, 1, [3_000_500]),
         "the post-only order would trade at once: the best bid is 30005.00",
         "ask above 30005.00, or leave --post-only out"),
        (Amend(7, 50, 100), Refused(Reason.WOULD_TRADE, 7, [3_000_500]),
         "the amended post-only order would trade at once: the best opposite price is 30005.00",
         "the order stays as it was; choose a price on its own side of the book"),
        (BUY, Refused(Reason.TOO_MANY_OPEN, 1, [100, 100]),
         "client1 has 100 open orders in BTC/USD, the maximum is 100", "p2px order ls --node client1"),
        (Cancel(7), Refused(Reason.UNKNOWN_ORDER, 7), "order 7 is not an open order of client1", "p2px order ls"),
        (Cancel(0, "a-9"), Refused(Reason.UNKNOWN_ORDER), "client order id 'a-9' is not an open order of client1",
         "p2px order ls"),
        (BUY, Refused(Reason.ID_REUSED), "client order id 'a-1' was used before, with other content",
         "choose another id, or repeat the first command unchanged to get its answer again"),
        (Halt("h-1"), Refused(Reason.ID_REUSED), "command id 'h-1' was used before, with other content",
         "choose another id, or repeat the first command unchanged to get its answer again"),
    ],
)  # fmt: skip
def test_refusal_says_what_stood_against_it_and_what_to_do(command, refused, message, hint):
    error = refusal(BTC, command, refused, "client1")
    assert (error.message, error.hint) == (message, hint)
    assert error.exit_code == 1


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_words(reason):
    numbers = {
        Reason.QUANTITY_RANGE: [5, 4], Reason.PRICE_RANGE: [5, 4], Reason.PRICE_BAND: [1, 2, 3],
        Reason.WOULD_TRADE: [5], Reason.TOO_MANY_OPEN: [5, 5], Reason.ID_TOO_LONG: [65, 64],
        Reason.TOO_MANY_KEYS: [10_000],
    }.get(reason, [])  # fmt: skip
    error = refusal(BTC, BUY, Refused(reason, 1, numbers), "client1")
    assert error.message
    assert "None" not in error.message


def test_every_code_says_it_was_refused():
    assert refusal(BTC, BUY, Refused(Reason.HALTED), "client1").code == "refused"
