"""The little language of tests/scenarios/*.txt. Margin lines go in, indented lines come out.

    market band 500 cap 2 remember 3 max-price 200 max-quantity 9 stp cancel-oldest     (first line, optional)
    buy|sell ID QTY @ PRICE|market [ioc|fok] [post-only] [stp MODE] [id NAME] [by OWNER]
    amend ID|NAME QTY [@ PRICE] [id NAME] [by OWNER]
    cancel ID|NAME [id NAME] [by OWNER]        cancel all [buy|sell] [id NAME] [by OWNER]
    halt        resume        book        order ID

ID is the number the market will give (1, 2, 3 ...), written down so that a reader can follow it. ``by`` is
needed only where owners matter: without it everybody is "ann".

    trade QTY @ PRICE maker ID taker ID
    removed ID remaining QTY                   a resting order that went by the command of another
    expired | cancelled ...                    what became of an order, unless it rests or is filled
    amended ID QTY @ PRICE remaining QTY
    refused REASON NUMBERS
    repeated                                   and then what the first answer was
    done
    bid|ask QTY @ PRICE order ID               a line of the book, in priority order
    STATUS filled QTY remaining QTY of QTY     of one order
"""

from dataclasses import dataclass
from pathlib import Path

from p2pcli.market.commands import (
    Amend,
    Cancel,
    CancelAll,
    Command,
    Define,
    Halt,
    Place,
    Resume,
    SelfTrade,
    Side,
    TimeInForce,
)
from p2pcli.market.events import (
    Amended,
    Cancelled,
    CancelledAll,
    Done,
    Outcome,
    Placed,
    Refused,
    Removed,
    Repeated,
    Status,
)

SIDES = {"buy": Side.BUY, "sell": Side.SELL}
SETTINGS = {
    "band": "price_band",
    "cap": "max_open_orders",
    "remember": "remembered_ids",
    "max-price": "max_price",
    "max-quantity": "max_quantity",
}


@dataclass
class Step:
    """One margin line and the lines that must come of it."""

    place: str  # file:line
    text: str
    comes: list[str]


def steps(path: Path) -> list[Step]:
    """Return the steps of a file."""
    found: list[Step] = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        text = line.partition("#")[0].rstrip()
        if not text:
            continue
        if text.startswith(" "):
            found[-1].comes.append(text.strip())
        else:
            found.append(Step(f"{path.name}:{number}", text, []))
    return found


def definition(text: str, base: Define) -> Define:
    """Return the market that a ``market`` line describes."""
    words = text.split()[1:]
    fields = {name: getattr(base, name) for name in base.__struct_fields__}
    for name, value in zip(words[::2], words[1::2], strict=True):
        if name == "stp":
            fields["self_trade"] = _mode(value)
        else:
            fields[SETTINGS[name]] = int(value)
    return Define(**fields)


def command(text: str) -> tuple[str, Command]:
    """Return who asks, and what, in a margin line."""
    words = text.split()
    owner = _option(words, "by") or "ann"
    name = _option(words, "id")
    match words:
        case ["halt"]:
            return owner, Halt(name)
        case ["resume"]:
            return owner, Resume(name)
        case ["cancel", "all", *side]:
            return owner, CancelAll(SIDES[side[0]] if side else None, name)
        case ["cancel", which]:
            number, called = _which(which)
            return owner, Cancel(number, called, name)
        case ["amend", which, quantity, *price]:
            number, called = _which(which)
            return owner, Amend(number, int(quantity), int(price[1]) if price else 0, called, name)
        case ["buy" | "sell" as side, _, quantity, "@", price, *options]:
            mode = _option(options, "stp")
            post_only = "post-only" in options
            tif = next((each.upper() for each in options if each in ("ioc", "fok")), "GTC")
            return owner, Place(
                SIDES[side],
                int(quantity),
                0 if price == "market" else int(price),
                TimeInForce[tif],
                post_only,
                _mode(mode) if mode else SelfTrade.DEFAULT,
                name,
            )
    raise AssertionError(f"not a line of a scenario: {text}")


def lines(outcome: Outcome) -> list[str]:
    """Return what an outcome looks like in a scenario."""
    match outcome:
        case Repeated():
            return ["repeated", *lines(outcome.outcome)]
        case Refused():
            return [" ".join(["refused", _plain(outcome.reason.name), *map(str, outcome.numbers)])]
        case Cancelled():
            return [f"cancelled {outcome.order} remaining {outcome.remaining}"]
        case CancelledAll():
            return _removed(outcome.removed)
        case Done():
            return ["done"]
    found = [
        f"trade {fill.quantity} @ {fill.price} maker {fill.maker} taker {outcome.order}"
        for fill in outcome.fills
    ]
    found += _removed(outcome.removed)
    if isinstance(outcome, Amended):
        found.append(
            f"amended {outcome.order} {outcome.quantity} @ {outcome.price} remaining {outcome.remaining}"
        )
    if isinstance(outcome, Placed | Amended) and outcome.status in (Status.CANCELLED, Status.EXPIRED):
        found.append(_plain(outcome.status.name))
    return found


def _removed(removed: list[Removed]) -> list[str]:
    return [f"removed {each.order} remaining {each.remaining}" for each in removed]


def _option(words: list[str], name: str) -> str:
    if name not in words:
        return ""
    at = words.index(name)
    value = words[at + 1]
    del words[at : at + 2]
    return value


def _which(text: str) -> tuple[int, str]:
    return (int(text), "") if text.isdigit() else (0, text)


def _mode(text: str) -> SelfTrade:
    return SelfTrade[text.upper().replace("-", "_")]


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")
