"""What programs hand in by mistake ends as one line that names it."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from p2pcli.cluster import arguments
from p2pcli.cluster.arguments import BadArgument
from p2pcli.market.instrument import UNITS, Instrument
from p2pcli.node.requests import NoSuchMarket

BTC, ETH = (Instrument(symbol, number, UNITS, UNITS, 9, 9) for number, symbol in enumerate(("B/U", "E/U"), 1))
MARKETS = {each.symbol: each for each in (ETH, BTC)}


@pytest.mark.parametrize(
    ("check", "given", "said"),
    [
        (arguments.text, 5, "it must be text, not int"),
        (arguments.text, None, "it must be text, not NoneType"),
        (arguments.flag, "yes", "it must be True or False, not 'yes'"),
        (arguments.count, 0, "it must be a whole number from 1 to 9, not '0'"),
        (arguments.count, 10, "not '10'"),
        (arguments.count, "5", "not '5'"),
        (arguments.seconds, 0, "it must be seconds, above zero, not '0'"),
        (arguments.seconds, float("nan"), "not 'nan'"),
        (arguments.seconds, "1s", "not '1s'"),
        (arguments.number_text, 0.5, "it 0.5 is not exact"),
    ],
)
def test_an_argument_of_another_kind_is_named(check: Callable[..., object], given: Any, said: str) -> None:
    limits = (9,) if check is arguments.count else ()
    with pytest.raises(BadArgument, match=said):
        check("it", given, *limits)


def test_a_choice_may_be_any_mistake() -> None:
    with pytest.raises(BadArgument, match="side '1' is none of buy, sell"):
        arguments.chosen("side", 1, {"buy": 1, "sell": 2})  # type: ignore[arg-type]


def test_a_decimal_of_a_million_zeros_is_not_written_out() -> None:
    assert arguments.number_text("it", Decimal("1E+1000000")) == "1E+1000000"
    assert arguments.number_text("it", Decimal("1E+2")) == "100"


def test_a_market_is_found_in_capitals_or_not_and_the_first_is_the_default() -> None:
    assert arguments.market_of_symbol(MARKETS, "c", "e-u") is ETH
    assert arguments.market_of_symbol(MARKETS, "c", None) is BTC
    with pytest.raises(NoSuchMarket, match="cluster c has no market 'X'"):
        arguments.market_of_symbol(MARKETS, "c", "X")
