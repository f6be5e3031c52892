"""What a Python program hands in, as it may be, turned into what it must be. Values in, values out.

Types are checked too: most programs that trade have no type checker, and a float or a number for a name
must end as one clear line before anything is sent.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import TypeVar

from p2pcli.errors import BadInput
from p2pcli.market.instrument import Instrument, first_market, symbol_meant
from p2pcli.node.requests import NoSuchMarket

Number = str | int | Decimal  # never float: 0.1 + 0.2 is not 0.3

_Shape = TypeVar("_Shape")


class BadArgument(BadInput):
    """An argument that the method does not take."""

    code = "bad_argument"


def number_text(what: str, number: Number | None) -> str:
    """Return an exact number as decimal text. Raises ``BadArgument`` for a float."""
    match number:
        case str():
            return number
        case bool() | float() | None:
            raise BadArgument(
                f"{what} {number!r} is not exact", hint=f'write it as text or Decimal: "{number}"'
            )
        case int():
            return str(number)
        case Decimal():
            if not number.is_finite() or abs(number.adjusted()) > 40:  # as many zeros would be written
                return str(number)
            plain = f"{number:f}"
            return plain.rstrip("0").rstrip(".") if "." in plain else plain
    raise BadArgument(f"{what} must be text, int or Decimal, not {type(number).__name__}")


def chosen(what: str, word: str, known: Mapping[str, _Shape]) -> _Shape:
    """Return what a word stands for. Raises ``BadArgument`` for any other."""
    if not isinstance(word, str) or word not in known:
        raise BadArgument(f"{what} {str(word)[:60]!a} is none of {', '.join(known)}")
    return known[word]


def market_of_symbol(instruments: Mapping[str, Instrument], cluster: str, market: str | None) -> Instrument:
    """Return the market of that symbol, in capitals or not; None means the first. Raises ``NoSuchMarket``."""
    if market is None:
        return first_market(instruments.values())
    symbol = symbol_meant(text("market", market))
    if symbol not in instruments:
        raise NoSuchMarket(
            f"cluster {cluster} has no market {market[:60]!a}",
            hint=f"its markets are {', '.join(instruments)}",
        )
    return instruments[symbol]


def text(what: str, given: str) -> str:
    """Return what must be text. Raises ``BadArgument``."""
    if not isinstance(given, str):
        raise BadArgument(f"{what} must be text, not {type(given).__name__}")
    return given


def flag(what: str, given: bool) -> bool:
    """Return what must be True or False. Raises ``BadArgument``."""
    if not isinstance(given, bool):
        raise BadArgument(f"{what} must be True or False, not {str(given)[:60]!a}")
    return given


def count(what: str, number: int, largest: int) -> int:
    """Return how many are wanted. Raises ``BadArgument`` unless it is 1 to ``largest``."""
    if not isinstance(number, int) or not 1 <= number <= largest:
        raise BadArgument(f"{what} must be a whole number from 1 to {largest}, not {str(number)[:60]!a}")
    return number


def seconds(what: str, given: float) -> float:
    """Return a length of time. Raises ``BadArgument`` unless it is above zero."""
    if not isinstance(given, int | float) or not 0 < given < float("inf"):
        raise BadArgument(f"{what} must be seconds, above zero, not {str(given)[:60]!a}")
    return float(given)
