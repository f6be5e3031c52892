"""What happened: exactly one outcome for every command, carrying its fills.

Outcomes are the whole truth about a change of state. They are hashed into the node's digest,
answered to the client and kept as history, so whatever changes in the book shows here.
"""

from enum import IntEnum

import msgspec


class Status(IntEnum):
    """The state of an order as its owner sees it."""

    OPEN = 1
    PARTIALLY_FILLED = 2  # still resting
    FILLED = 3
    CANCELLED = 4
    REJECTED = 5
    EXPIRED = 6  # the part of an IOC, FOK or market order that found no counterparty

    @property
    def is_open(self) -> bool:
        return self <= Status.PARTIALLY_FILLED


class Reason(IntEnum):
    """Why a command was refused. ``Refused.numbers`` holds what each one lists, in ticks and lots."""

    NOT_DEFINED = 1  # the market has no instrument yet
    HALTED = 2
    QUANTITY_RANGE = 3  # given, maximum
    PRICE_RANGE = 4  # given, maximum
    PRICE_BAND = 5  # given, lowest, highest allowed
    WOULD_TRADE = 6  # post-only: price of the best opposite order (M5, M11)
    POST_ONLY_TAKES = 7  # post-only with IOC, FOK or market (M5)
    TOO_MANY_OPEN = 8  # open orders of this owner, maximum
    UNKNOWN_ORDER = 9  # no such open order of this owner: foreign, unknown and closed look alike (M8)
    ID_REUSED = 10  # the same client order id or command id with other content (M7)
    ID_TOO_LONG = 11  # given length, maximum
    DUPLICATE_ORDER = 12  # an order id that was used before (M6)
    INSTRUMENT_FIXED = 13  # tick, lot, symbol or number of a defined market cannot change
    BAD_INSTRUMENT = 14  # a definition out of range
    KEY_REFUSED = 15  # the key that proved the owner was revoked or never granted
    KEY_TAKEN = 16  # the id of a key that is another owner's, or was revoked
    UNKNOWN_KEY = 17  # no key of that id
    TOO_MANY_KEYS = 18  # keys that are good: maximum


class Fill(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One execution, seen from the order that arrived. The price is the maker's (M1)."""

    trade: int  # trade number, 1, 2, 3 ... per market
    price: int  # ticks
    quantity: int  # lots
    maker: int  # order id of the resting order
    maker_owner: str
    maker_remaining: int  # lots of the maker after this fill; 0: it is filled


class Removed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A resting order that a command took out of the book, with what had not traded."""

    order: int
    remaining: int  # lots


class Placed(msgspec.Struct, frozen=True, array_like=True, tag=1, gc=False):
    """The order was accepted; ``status`` says what became of it within this command."""

    order: int
    status: Status
    filled: int  # lots
    remaining: int  # lots still resting; 0 unless status.is_open
    fills: list[Fill] = []
    removed: list[Removed] = []  # own resting orders cancelled by self-trade prevention


class Amended(msgspec.Struct, frozen=True, array_like=True, tag=2, gc=False):
    """The order now has this total quantity and price."""

    order: int
    status: Status
    quantity: int  # lots, new total
    price: int  # ticks
    filled: int  # lots, over the order's whole life
    remaining: int  # lots still resting
    fills: list[Fill] = []
    removed: list[Removed] = []


class Cancelled(msgspec.Struct, frozen=True, array_like=True, tag=3, gc=False):
    """The order left the book at its owner's wish."""

    order: int
    filled: int  # lots
    remaining: int  # lots that were cancelled


class CancelledAll(msgspec.Struct, frozen=True, array_like=True, tag=4, gc=False):
    """Every order named here left the book, oldest first."""

    removed: list[Removed]


class Refused(msgspec.Struct, frozen=True, array_like=True, tag=5, gc=False):
    """The command changed nothing and never will."""

    reason: Reason
    order: int = 0  # the id given to a refused place, or named by the cancel or amend
    numbers: list[int] = []


class Done(msgspec.Struct, frozen=True, array_like=True, tag=6, gc=False):
    """Halt, resume, define, grant or revoke took effect (or had nothing to change)."""


class Repeated(msgspec.Struct, frozen=True, array_like=True, tag=7, gc=False):
    """This id was answered before: here is the first answer and the sequence it had (M7)."""

    sequence: int
    outcome: "Placed | Amended | Cancelled | CancelledAll | Refused | Done"


Outcome = Placed | Amended | Cancelled | CancelledAll | Refused | Done | Repeated
