"""Entries of the log: who asked what, in words and as documents."""

from collections.abc import Sequence
from typing import Any

from p2pcli.cli.render.quantities import moment, price_or_market
from p2pcli.cli.render.table import Cell, Column, Table
from p2pcli.market.commands import (
    Amend,
    Cancel,
    CancelAll,
    Checkpoint,
    Command,
    Define,
    GrantKey,
    Halt,
    Move,
    Place,
    Resume,
    RevokeKey,
)
from p2pcli.market.instrument import Instrument
from p2pcli.node.files import LoggedEntry

SHOWN_CHAIN = 12  # hex digits on screen


def entries_table(instrument: Instrument, entries: Sequence[LoggedEntry]) -> Table:
    """Return one row an entry, its first command in words."""
    return Table(
        columns=(
            Column("SEQUENCE", right=True),
            Column("TIME"),
            Column("NODE"),
            Column("CHAIN"),
            Column("COMMANDS", wraps=True),
        ),
        rows=[
            (
                str(entry.sequence),
                moment(entry.time_ns),
                entry.producer,
                entry.chain.hex()[:SHOWN_CHAIN],
                Cell(entry.problem, "bad") if entry.problem else _summary(instrument, entry),
            )
            for entry in entries
        ],
        empty=f"the log of {instrument.symbol} has no entries",
    )


def entry_document(instrument: Instrument, entry: LoggedEntry) -> dict[str, Any]:
    """Return one entry with all its commands, as people would type them."""
    return {
        "market": instrument.symbol,
        "sequence": entry.sequence,
        "time_ns": entry.time_ns,
        "node": entry.producer,
        "epoch": entry.epoch,
        "number": entry.number,
        "chain": entry.chain.hex(),
        "commands": [
            {"owner": group.owner, "command": command_words(instrument, command)}
            for group in entry.groups
            for command in group.commands
        ],
        "problem": entry.problem or None,
    }


def command_words(instrument: Instrument, command: Command) -> str:
    """Return a command in the words of the command line."""
    match command:
        case Place(side=side, quantity=quantity, price=price, tif=tif, post_only=post_only):
            text = f"{instrument.quantity_text(quantity)}@{price_or_market(instrument, price)}"
            return f"{side.name.lower()} {text} {tif.name.lower()}{' post-only' if post_only else ''}"
        case Cancel(order=order, client_order_id=name):
            return f"cancel {instrument.order_name(order) if order else ascii(name)}"
        case Amend(order=order, client_order_id=name, quantity=quantity, price=price):
            which = instrument.order_name(order) if order else ascii(name)
            at = f"@{instrument.price_text(price)}" if price else ""
            return f"amend {which} {instrument.quantity_text(quantity)}{at}"
        case CancelAll(side=side):
            return "cancel --all" + (f" --side {side.name.lower()}" if side is not None else "")
        case Move(step=step, log=place):
            return f"log move: {step.name.lower()}, {ascii(place)[1:-1]}"
        case GrantKey(key=key, owner=owner):
            return f"grant key {key} of {owner}"
        case RevokeKey(key=key):
            return f"revoke key {key}"
        case Halt() | Resume() | Checkpoint():
            return type(command).__name__.lower()
        case Define(symbol=symbol):
            return f"define {symbol}"


def _summary(instrument: Instrument, entry: LoggedEntry) -> str:
    commands = [command for group in entry.groups for command in group.commands]
    if not commands:
        return "none"
    more = f"  and {len(commands) - 1} more" if len(commands) > 1 else ""
    return command_words(instrument, commands[0]) + more
