"""One market as every node has it: entries of the log in, outcomes out, and the state between.

State at n is a function of entries 1..n and of nothing else. The machine checks that entries follow each
other without a gap and that their hashes link, drops batches that were applied before, hands the commands
to the desk, and folds every answer into a digest, so that two nodes can tell in 32 bytes whether they agree.

It is not locked: one thread applies, and readers hold the lock that keeps that thread out.
"""

from hashlib import blake2b
from heapq import nsmallest
from itertools import islice

import msgspec

from p2pcli.book.ladder import NO_ASK, NO_BID, Ladder
from p2pcli.book.level import Moment, Order
from p2pcli.errors import P2pxError
from p2pcli.log.chain import GENESIS, link
from p2pcli.log.entry import Entry
from p2pcli.log.sessions import Admission, BadSessions, Sessions
from p2pcli.market.commands import MAX_WHOLE, Move
from p2pcli.market.depth import Level
from p2pcli.market.events import Outcome, Repeated, Status
from p2pcli.market.instrument import BadInstrument, Instrument
from p2pcli.market.notes import Notes, encode_notes, outcomes_of
from p2pcli.market.views import BookView, DayView, OrderView
from p2pcli.node.body import Body, Group, decode_body
from p2pcli.node.desk import Desk
from p2pcli.node.keys import Keys
from p2pcli.node.moving import check_follows, moved, step_of
from p2pcli.node.picture import Picture
from p2pcli.node.rules import Account
from p2pcli.node.state import (
    DIGEST_BYTES,
    BadSnapshot,
    OwnerState,
    State,
    decode_state,
    fingerprint,
)
from p2pcli.node.tally import Tally

_begun = blake2b(digest_size=DIGEST_BYTES).copy  # a copy costs less than a new one (log.chain)


class BrokenChain(P2pxError):
    """An entry does not follow from the one before. The log is damaged or another one: stop."""

    code = "broken_chain"


class Applied(msgspec.Struct, frozen=True, gc=False):
    """What one entry did."""

    sequence: int
    time_ns: int  # of the machine after it
    admission: Admission
    groups: list[Group]  # what was carried out; [] unless admission is NEW
    notes: list[Notes]  # one list per group
    encoded: bytes  # MessagePack of notes: what the digest hashed, and what history keeps
    first_order: int  # the id the first place of this entry got, or the next one would get
    first_trade: int  # ... and the number of the first trade
    producer: str  # the node that committed it

    @property
    def outcomes(self) -> list[list[Outcome]]:
        """Return what the notes stand for, made anew each time. O(commands)."""
        return [
            outcomes_of(notes, group.commands) for group, notes in zip(self.groups, self.notes, strict=True)
        ]


class Machine:
    """The replicated state of one market. Starts before entry 1, with no instrument defined."""

    def __init__(self) -> None:
        self.sequence = 0
        self.chain = GENESIS
        self.digest = bytes(DIGEST_BYTES)
        self.time_ns = 0
        self.sessions = Sessions()
        self.moving: Move | None = None  # how far the log is on its way to another place
        self._desk = Desk()

    def apply(self, entry: Entry, body: Body | None = None, *, is_linked: bool = False) -> Applied:
        """Apply the next entry. ``body`` may be given when the caller has it decoded already.

        ``is_linked``: the caller knows that its hash follows from the one here.
        Raises BrokenChain, BadBody and LogMoved before anything has changed.
        """
        assert entry.sequence == self.sequence + 1, (entry.sequence, self.sequence)
        batch = entry.batch
        chain = entry.chain if is_linked else link(self.chain, batch)
        if chain != entry.chain:
            raise BrokenChain(
                f"entry {entry.sequence}: expected chain hash {chain.hex()}, found {entry.chain.hex()}",
                hint="p2px log check",
            )
        admission = self.sessions.judge(batch.producer, batch.epoch, batch.number)
        desk = self._desk
        first_order, first_trade = desk.last_order + 1, desk.last_trade + 1
        groups: list[Group] = []
        notes: list[Notes] = []
        if self.moving is not None:
            check_follows(self.moving, entry.sequence, body or decode_body(batch.body))
        if admission is Admission.NEW:
            if body is None:
                body = decode_body(batch.body)
            self.sessions.remember(batch.producer, batch.epoch, batch.number)
            # The proposer's clock may be behind the one before it; time in a market never goes back.
            self.time_ns = max(self.time_ns, body.time_ns)
            step = step_of(body)
            if step is not None:
                self.moving = moved(self.moving, step)
            elif self.moving is not None:
                admission = Admission.SEALED
            if admission is Admission.NEW:
                now = Moment(entry.sequence, self.time_ns)
                groups = body.groups
                notes = [desk.carry_out(group.owner, group.commands, now, group.key) for group in groups]
        encoded = encode_notes(notes)
        hashed = _begun()
        # The chain says what was asked: notes alone do not tell one resting order from another.
        hashed.update(self.digest + chain + bytes((admission,)))
        hashed.update(encoded)
        self.digest = hashed.digest()
        self.sequence = entry.sequence
        self.chain = chain
        return Applied(
            entry.sequence,
            self.time_ns,
            admission,
            groups,
            notes,
            encoded,
            first_order,
            first_trade,
            batch.producer,
        )

    # -- reads ------------------------------------------------------------------------------------

    @property
    def instrument(self) -> Instrument | None:
        return self._desk.instrument

    @property
    def keys(self) -> Keys:
        """Return the owners' keys, to look at."""
        return self._desk.keys

    @property
    def halted(self) -> bool:
        return self._desk.halted

    @property
    def last_price(self) -> int:
        """Return the price of the last trade in ticks, 0 before the first."""
        return self._desk.last_price

    @property
    def last_trade(self) -> int:
        """Return the number of the last trade, 0 before the first."""
        return self._desk.last_trade

    @property
    def last_order(self) -> int:
        """Return the highest order id given, 0 before the first."""
        return self._desk.last_order

    @property
    def open_orders(self) -> int:
        """Return how many orders rest. O(owners)."""
        return sum(len(account.orders) for account in self._desk.accounts.values())

    def best_bid(self) -> int | None:
        """Return the highest price somebody pays, in ticks."""
        best = self._desk.book.bids.best
        return best if best != NO_BID else None

    def best_ask(self) -> int | None:
        """Return the lowest price somebody takes, in ticks."""
        best = self._desk.book.asks.best
        return best if best != NO_ASK else None

    def depth(self, levels: int) -> BookView:
        """Return the best prices of both sides with what rests at each. O(levels)."""
        book = self._desk.book
        return BookView(
            self.sequence,
            _summed(book.bids, levels),
            _summed(book.asks, levels),
            self._desk.last_price,
            self._desk.halted,
        )

    def full_book(self) -> list[OrderView]:
        """Return every resting order in priority order: bids best first, then asks."""
        return [_view(order) for order in self._desk.book.orders()]

    def order(self, order_id: int) -> OrderView | None:
        """Return an open order. O(owners)."""
        for account in self._desk.accounts.values():
            if order_id in account.orders:
                return _view(account.orders[order_id])
        return None

    def order_by_client_id(self, owner: str, client_order_id: str) -> OrderView | None:
        """Return the open order that this owner calls so. O(1)."""
        account = self._desk.accounts.get(owner)
        if account is None:
            return None
        order = account.orders.get(account.memory.order(client_order_id))
        return _view(order) if order is not None else None

    def orders(self, owner: str | None = None, limit: int = 1000, above: int = 0) -> list[OrderView]:
        """Return the oldest ``limit`` open orders above an id, of one owner or of all. O(their number)."""
        accounts = self._desk.accounts
        tables = [account.orders for account in accounts.values() if owner in (None, account.name)]
        everything = (order for table in tables for order in table.values() if order.id > above)
        return [_view(order) for order in nsmallest(limit, everything, key=lambda order: order.id)]

    def remembered(self, owner: str, command_id: str) -> Repeated | None:
        """Return the first answer to a client order id or command id, or None when it is not known (M7)."""
        account = self._desk.accounts.get(owner)
        first = account.memory.first(command_id) if account is not None else None
        return Repeated(first.sequence, first.outcome) if first is not None else None

    def day(self, time_ns: int | None = None) -> DayView:
        """Return the figures of the 24 hours up to a moment, or up to the last entry's time."""
        return self._desk.tally.day(self.time_ns if time_ns is None else time_ns)

    # -- snapshots --------------------------------------------------------------------------------

    def picture(self) -> Picture:
        """Return the state as it is now, to be encoded later. O(orders + ids), 0.3 us for each."""
        desk = self._desk
        orders = list(desk.book.orders())
        state = State(
            self.sequence,
            self.chain,
            self.digest,
            self.time_ns,
            self.sessions.to_values(),
            desk.instrument,
            desk.halted,
            desk.last_price,
            desk.last_order,
            desk.last_trade,
            [],
            [OwnerState(name, account.memory.requests()) for name, account in desk.accounts.items()],
            desk.tally.minutes(),
            list(desk.keys),
            self.moving,
        )
        return Picture(
            state,
            orders,
            [order.remaining for order in orders],
            [order.place for order in orders],
            [order.memo for order in orders],
        )

    def snapshot(self) -> bytes:
        """Return the whole state as canonical bytes. O(its size)."""
        return self.picture().encoded()

    def state_digest(self) -> bytes:
        """Return 32 bytes that are equal on two machines exactly when their whole state is. O(its size)."""
        return fingerprint(self.snapshot())

    @classmethod
    def restore(cls, data: bytes) -> "Machine":
        """Return the machine of a snapshot. Raises BadSnapshot, also for one no machine can have made."""
        state = decode_state(data)
        machine = cls()
        machine.sequence = state.sequence
        machine.chain = state.chain
        machine.digest = state.digest
        machine.time_ns = state.time_ns
        machine.moving = state.moving
        machine.sessions, machine._desk = _restored(state)
        return machine


def _restored(state: State) -> tuple[Sessions, Desk]:
    desk = Desk()
    try:
        sessions = Sessions.from_values(state.sessions)
        if state.instrument is not None:
            desk.rule(state.instrument.checked(), state.halted)
        for known in state.owners:
            if known.owner in desk.accounts:
                raise ValueError(f"owner {known.owner[:64]!r} occurs twice")
            desk.accounts[known.owner] = account = Account(known.owner)
            account.memory.restore(known.requests)
        desk.keys = Keys(state.keys)
    except (BadSessions, BadInstrument, ValueError) as error:
        raise BadSnapshot(f"snapshot at sequence {state.sequence}: {error}") from error
    desk.last_price = state.last_price
    desk.last_order = state.last_order
    desk.last_trade = state.last_trade
    desk.tally = Tally(state.minutes)
    moments: dict[int, Moment] = {}  # orders of one entry share theirs, as they did before
    for order in state.orders:
        owner = desk.accounts.get(order.owner)
        place = order.place
        is_new = 0 < order.id <= desk.last_order and owner is not None and order.id not in owner.orders
        whole = 0 < order.remaining <= place.quantity <= MAX_WHOLE and 0 < place.price <= MAX_WHOLE
        if not is_new or not whole or desk.book.crossed(place.side, place.price):
            raise BadSnapshot(
                f"snapshot at sequence {state.sequence}: order {order.id} cannot rest where it is listed"
            )
        assert owner is not None
        moment = moments.setdefault(order.sequence, Moment(order.sequence, order.time_ns))
        # In priority order, so each comes to rest behind those it was behind before, and none can trade.
        desk.book.place(order.id, owner, place, order.remaining, moment)
        try:
            owner.memory.restore_open(owner.orders[order.id], order.first)
        except ValueError as error:
            raise BadSnapshot(f"snapshot at sequence {state.sequence}: {error}") from error
    return sessions, desk


def _summed(ladder: Ladder, levels: int) -> list[Level]:
    return [
        # Some 64-bit encodings end there; only a few orders of absurd size at one price get so far.
        Level(price, min(level.remaining, MAX_WHOLE), level.count)
        for price, level in islice(ladder.best_first(), levels)
    ]


def _view(order: Order) -> OrderView:
    place = order.place
    return OrderView(
        order.id,
        place.client_order_id,
        order.owner.name,
        place.side,
        place.price,
        place.quantity,
        order.filled,
        order.remaining,
        Status.PARTIALLY_FILLED if order.filled else Status.OPEN,
        place.tif,
        place.post_only,
        place.self_trade,
        order.moment.sequence,
        order.moment.time_ns,
    )
