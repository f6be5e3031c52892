"""A market's past as plain rows, for checks by programs that know nothing of p2px. Pure.

A *position* counts commands 1, 2, 3 ... in the order applied: place, cancel and amend each take one, and
a cancel-all takes one per order that it cancelled. Numbers are whole ticks and lots.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from p2pcli.market.commands import Amend, Cancel, CancelAll, Command, Define, Place, SelfTrade, Side
from p2pcli.market.documents import SELF_TRADE_NAMES
from p2pcli.market.events import Amended, CancelledAll, Outcome, Placed, Refused, Repeated
from p2pcli.market.views import OrderView
from p2pcli.node.record import Record

Row = dict[str, Any]


class Export:
    """Turns records, given in sequence from the first, into command rows and trade rows."""

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self.position = 0  # commands so far
        self._self_trade = SelfTrade.ALLOW
        self._owners: dict[int, tuple[str, Side]] = {}  # by order id; an amend names neither

    def rows(self, record: Record) -> Iterator[tuple[Row, list[Row]]]:
        """Yield each command of the record as a row, with the rows of the trades it caused."""
        for number, (owner, command, outcome) in enumerate(record.answers()):
            if isinstance(command, Define):
                self._self_trade = command.self_trade
                continue
            name = _command_id(command) or f"{record.sequence}.{number}"
            for row in self._commands(owner, command, outcome):
                self.position += 1
                full = {"seq": self.position, "id": name, **row, "market": self._symbol}
                full["outcome"] = _outcome_word(outcome)
                yield full, self._trades(owner, command, outcome)

    def _commands(self, owner: str, command: Command, outcome: Outcome) -> Iterator[Row]:
        first = outcome.outcome if isinstance(outcome, Repeated) else outcome
        order = getattr(first, "order", 0)
        match command:
            case Place():
                stp = self._self_trade if command.self_trade is SelfTrade.DEFAULT else command.self_trade
                yield {
                    "op": "place",
                    "order": order,
                    "owner": owner,
                    "side": command.side.name.lower(),
                    "type": "limit" if command.price else "market",
                    "tif": command.tif.name,
                    "post_only": command.post_only,
                    "stp": SELF_TRADE_NAMES[stp],
                    "price": command.price or None,
                    "qty": command.quantity,
                }
            case Cancel():
                yield {"op": "cancel", "order": command.order or order, "owner": owner}
            case Amend():
                yield {
                    "op": "amend",
                    "order": command.order or order,
                    "owner": owner,
                    "price": command.price or None,
                    "qty": command.quantity,
                }
            case CancelAll() if isinstance(outcome, CancelledAll):
                for gone in outcome.removed:
                    yield {"op": "cancel", "order": gone.order, "owner": owner}

    def _trades(self, owner: str, command: Command, outcome: Outcome) -> list[Row]:
        if not isinstance(outcome, Placed | Amended):
            return []
        if isinstance(command, Place):
            self._owners[outcome.order] = owner, command.side
        # An amended order may be older than this history, which then began from a peer's snapshot.
        taker, side = self._owners.get(outcome.order, (owner, None))
        buys, sells = side is Side.BUY, side is Side.SELL
        return [
            {
                "seq": self.position,
                "n": fill.trade,
                "market": self._symbol,
                "maker": fill.maker,
                "taker": outcome.order,
                "price": fill.price,
                "qty": fill.quantity,
                "buyer": taker if buys else fill.maker_owner if sells else None,
                "seller": taker if sells else fill.maker_owner if buys else None,
            }
            for fill in outcome.fills
        ]


def book_rows(symbol: str, orders: Iterable[OrderView]) -> list[Row]:
    """Return resting orders as rows, in the order given (priority order)."""
    return [
        {
            "order": view.order,
            "owner": view.owner,
            "market": symbol,
            "side": view.side.name.lower(),
            "price": view.price,
            "remaining": view.remaining,
        }
        for view in orders
    ]


def _command_id(command: Command) -> str:
    if isinstance(command, Place):
        return command.client_order_id
    return str(getattr(command, "command_id", ""))


def _outcome_word(outcome: Outcome) -> str:
    if isinstance(outcome, Refused):
        return f"refused {outcome.reason.name.lower()}"
    return "repeated" if isinstance(outcome, Repeated) else "done"
