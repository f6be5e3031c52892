"""What one applied entry says about orders and trades. Pure: records in, views out.

A record is an entry's commands beside their outcomes. Everything that history shows is computed from
records; nothing about an order is stored twice, so nothing about it can disagree.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from p2pcli.market.commands import Amend, Cancel, Command, Place, Side
from p2pcli.market.events import (
    Amended,
    Cancelled,
    CancelledAll,
    Fill,
    Outcome,
    Placed,
    Refused,
    Removed,
    Status,
)
from p2pcli.market.notes import Notes, after, makers_at
from p2pcli.market.views import FillView, OrderView, TradeView
from p2pcli.node.body import Group


class Record(msgspec.Struct, frozen=True, array_like=True):
    """One applied entry: groups of commands, and for each group its outcomes."""

    sequence: int
    time_ns: int
    groups: list[Group]
    outcomes: list[list[Outcome]]  # empty when the entry was a repeat
    producer: str = ""  # the node that committed it; "": written before this was kept

    def answers(self) -> Iterator[tuple[str, Command, Outcome]]:
        """Yield owner, command and outcome, in the order applied."""
        for group, outcomes in zip(self.groups, self.outcomes, strict=False):
            for command, outcome in zip(group.commands, outcomes, strict=True):
                yield group.owner, command, outcome


def touched(groups: Sequence[Group], notes: Sequence[Notes]) -> list[int]:
    """Return the orders that were there before and changed here: makers, amended, cancelled."""
    orders: list[int] = []
    for group, noted in zip(groups, notes, strict=True):
        at = 0
        for command in group.commands:
            note, begins = noted[at], at
            at = after(noted, at, command)
            if type(note) is int:
                if type(command) is Cancel:
                    orders.append(command.order)
                elif note < 0:
                    orders += makers_at(noted, begins, at)
            elif type(note) is Placed:
                orders += [fill.maker for fill in note.fills]
                orders += [gone.order for gone in note.removed]
            elif type(note) is Amended:
                orders.append(note.order)
                orders += [fill.maker for fill in note.fills]
                orders += [gone.order for gone in note.removed]
            elif type(note) is Cancelled:
                orders.append(note.order)
            elif type(note) is CancelledAll:
                orders += [gone.order for gone in note.removed]
    return orders


def placement(record: Record, order: int) -> OrderView | None:
    """Return the order as its place command left it, or None when it was not placed here."""
    for owner, command, outcome in record.answers():
        if isinstance(command, Place) and isinstance(outcome, Placed | Refused) and outcome.order == order:
            return _placed(record, owner, command, outcome)
    return None


def placements(record: Record) -> Iterator[OrderView]:
    """Yield every order placed here, as its place command left it."""
    for owner, command, outcome in record.answers():
        if isinstance(command, Place) and isinstance(outcome, Placed | Refused) and outcome.order:
            yield _placed(record, owner, command, outcome)


def later(views: Mapping[int, OrderView], records: Iterable[Record]) -> dict[int, OrderView]:
    """Return these orders, by id, after more records. O(answers), however many orders there are."""
    now = dict(views)
    for record in records:
        for owner, _, outcome in record.answers():
            if isinstance(outcome, Placed | Amended):
                for fill in outcome.fills:
                    if fill.maker in now:
                        now[fill.maker] = _with_fill(now[fill.maker], record, fill, outcome.order, owner)
                _remove(now, outcome.removed)
                if isinstance(outcome, Amended) and outcome.order in now:
                    now[outcome.order] = _amended(now[outcome.order], record, outcome)
            elif isinstance(outcome, Cancelled):
                _remove(now, [Removed(outcome.order, outcome.remaining)])
            elif isinstance(outcome, CancelledAll):
                _remove(now, outcome.removed)
    return now


def trades(record: Record, taker_side: dict[int, Side]) -> list[TradeView]:
    """Return the trades of one record, oldest first.

    An amended order's side is not in its command; ``taker_side`` gives it by order id.
    """
    views = []
    for owner, command, outcome in record.answers():
        if not isinstance(outcome, Placed | Amended):
            continue
        for fill in outcome.fills:
            side = command.side if isinstance(command, Place) else taker_side[outcome.order]
            views.append(
                TradeView(
                    fill.trade,
                    record.sequence,
                    record.time_ns,
                    fill.price,
                    fill.quantity,
                    side,
                    fill.maker,
                    outcome.order,
                    fill.maker_owner,
                    owner,
                    record.producer,
                )
            )
    return views


def amended_takers(records: Iterable[Record]) -> set[int]:
    """Return the orders that traded while they were amended; their side is in their placement."""
    return {
        outcome.order
        for record in records
        for _, command, outcome in record.answers()
        if isinstance(command, Amend) and isinstance(outcome, Amended) and outcome.fills
    }


def _placed(record: Record, owner: str, command: Place, outcome: Placed | Refused) -> OrderView:
    if isinstance(outcome, Refused):
        status, filled, remaining, fills = Status.REJECTED, 0, 0, []
    else:
        status, filled, remaining = outcome.status, outcome.filled, outcome.remaining
        fills = _taken(record, outcome.order, outcome.fills)
    return OrderView(
        outcome.order,
        command.client_order_id,
        owner,
        command.side,
        command.price,
        command.quantity,
        filled,
        remaining,
        status,
        command.tif,
        command.post_only,
        command.self_trade,
        record.sequence,
        record.time_ns,
        fills,
    )


def _taken(record: Record, taker: int, fills: list[Fill]) -> list[FillView]:
    return [
        FillView(
            fill.trade,
            record.sequence,
            record.time_ns,
            fill.price,
            fill.quantity,
            fill.maker,
            taker,
            fill.maker_owner,
        )
        for fill in fills
    ]


def _with_fill(view: OrderView, record: Record, fill: Fill, taker: int, taker_owner: str) -> OrderView:
    seen = FillView(
        fill.trade,
        record.sequence,
        record.time_ns,
        fill.price,
        fill.quantity,
        fill.maker,
        taker,
        taker_owner,
    )
    return msgspec.structs.replace(
        view,
        filled=view.filled + fill.quantity,
        remaining=fill.maker_remaining,
        status=Status.PARTIALLY_FILLED if fill.maker_remaining else Status.FILLED,
        fills=[*view.fills, seen],
    )


def _remove(now: dict[int, OrderView], removed: Iterable[Removed]) -> None:
    for gone in removed:
        if gone.order in now:
            now[gone.order] = msgspec.structs.replace(now[gone.order], remaining=0, status=Status.CANCELLED)


def _amended(view: OrderView, record: Record, outcome: Amended) -> OrderView:
    return msgspec.structs.replace(
        view,
        price=outcome.price,
        quantity=outcome.quantity,
        filled=outcome.filled,
        remaining=outcome.remaining,
        status=outcome.status,
        fills=[*view.fills, *_taken(record, outcome.order, outcome.fills)],
    )
