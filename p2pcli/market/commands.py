"""What a client may ask of a market. Values only; who asks (the owner) travels beside the command."""

from enum import IntEnum

import msgspec

MAX_ID_LENGTH = 64  # characters of a client order id or command id
MAX_WHOLE = (1 << 62) - 1  # ticks or lots; anything larger is refused before arithmetic could surprise


class Side(IntEnum):
    """Which way an order trades."""

    BUY = 0
    SELL = 1


class TimeInForce(IntEnum):
    """What becomes of the part of an order that does not trade at once (rule M4)."""

    GTC = 0  # good till cancelled: it rests
    IOC = 1  # immediate or cancel: it is dropped
    FOK = 2  # fill or kill: everything at once, or nothing happens


class SelfTrade(IntEnum):
    """What to do when an order would trade with one of its own owner (rule M12)."""

    DEFAULT = 0  # whatever the market says
    ALLOW = 1
    CANCEL_NEWEST = 2  # the arriving order stops here
    CANCEL_OLDEST = 3  # the resting order goes
    CANCEL_BOTH = 4


class Place(msgspec.Struct, frozen=True, array_like=True, tag=1, gc=False):
    """Place an order. ``price`` 0 makes it a market order, which never rests (M3, M4)."""

    side: Side
    quantity: int  # lots, 1..max_quantity of the market
    price: int = 0  # ticks, 1..max_price of the market; 0: market order
    tif: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    self_trade: SelfTrade = SelfTrade.DEFAULT
    client_order_id: str = ""  # unique per owner; "": none, and then a retry is a second order


class Cancel(msgspec.Struct, frozen=True, array_like=True, tag=2, gc=False):
    """Cancel one open order of the same owner, named by its id or by its client order id."""

    order: int = 0  # order id; 0: named by client_order_id
    client_order_id: str = ""
    command_id: str = ""  # makes a retry of this very cancel safe, like a client order id


class Amend(msgspec.Struct, frozen=True, array_like=True, tag=3, gc=False):
    """Give an open order a new total quantity (filled part included, M9) and perhaps a new price."""

    order: int = 0  # order id; 0: named by client_order_id
    quantity: int = 0  # lots, the new total
    price: int = 0  # ticks; 0: keep the price
    client_order_id: str = ""
    command_id: str = ""


class CancelAll(msgspec.Struct, frozen=True, array_like=True, tag=4, gc=False):
    """Cancel every open order of the same owner in this market, on one side or both."""

    side: Side | None = None
    command_id: str = ""


class Halt(msgspec.Struct, frozen=True, array_like=True, tag=5, gc=False):
    """Stop trading: place and amend are refused until ``Resume``; cancels still work."""

    command_id: str = ""


class Resume(msgspec.Struct, frozen=True, array_like=True, tag=6, gc=False):
    """Let a halted market trade again."""

    command_id: str = ""


class Define(msgspec.Struct, frozen=True, array_like=True, tag=7, gc=False):
    """Give the market its instrument: the first command of every log, and every later change of its rules.

    The rules of a market are part of the log because state at n is a function of entries 1..n and
    of nothing else: a limit read from a file would make a replay differ from the first run.
    Tick, lot, symbol and number never change once defined. Fields as in ``instrument.Instrument``.
    """

    symbol: str
    number: int
    tick: int
    lot: int
    max_price: int
    max_quantity: int
    self_trade: SelfTrade = SelfTrade.ALLOW
    price_band: int = 0
    max_open_orders: int = 0
    remembered_ids: int = 100_000


class Checkpoint(msgspec.Struct, frozen=True, array_like=True, tag=8, gc=False):
    """A node says what it has: its digest at a sequence, and how far its snapshots reach. Changes nothing.

    Nodes compare the digests (a node that differs stops, S12) and trim the log below every node's
    snapshots. Only nodes send it, never clients.
    """

    sequence: int  # a multiple of the digest interval
    digest: bytes  # rolling digest at that sequence
    snapshot: int  # the oldest snapshot this node keeps; 0: none


class GrantKey(msgspec.Struct, frozen=True, array_like=True, tag=9, gc=False):
    """Let the holder of a key act for an owner. Only who holds the cluster's secret may send it."""

    key: str  # its id; the key itself is derived from the secret and never sent
    owner: str
    command_id: str = ""


class RevokeKey(msgspec.Struct, frozen=True, array_like=True, tag=10, gc=False):
    """Carry out nothing more of that key, from this command on. It stays revoked."""

    key: str
    command_id: str = ""


class MoveStep(IntEnum):
    """How far a log is on its way to another place. Each follows from the one before it."""

    SEAL = 1  # from here on nothing is carried out in this log, until it is unsealed or moved
    UNSEAL = 2  # it stays where it is after all
    END = 3  # the last entry that the two places have in common; this log is closed for ever
    BEGIN = 4  # the first entry that only the new place has: orders are carried out again


class Move(msgspec.Struct, frozen=True, array_like=True, tag=11, gc=False):
    """One step of moving the log, alone in its batch. Only ``p2px log move`` sends it."""

    step: MoveStep
    log: str  # the new place, as a person writes it


ClientCommand = Place | Cancel | Amend | CancelAll | Halt | Resume | GrantKey | RevokeKey
Command = ClientCommand | Define | Checkpoint | Move
