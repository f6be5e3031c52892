"""Entries in, outcomes out: what the machine promises of the log, of time, of its digest and its reads."""

import gc
import sys

import msgspec
import pytest
from driven import DEFINE, SECOND, Driven, next_entry, random_commands

from p2pcli.log.entry import Batch, Entry
from p2pcli.log.sessions import Admission
from p2pcli.market.commands import MAX_WHOLE, Amend, Cancel, Define, Place, SelfTrade, Side
from p2pcli.market.depth import Level
from p2pcli.market.events import Done, Placed, Reason, Refused, Repeated, Status
from p2pcli.market.notes import decode_notes
from p2pcli.market.views import DayView
from p2pcli.node import desk
from p2pcli.node.body import BadBody, decode_body, encode_body
from p2pcli.node.machine import BrokenChain, Machine

BUY = Place(Side.BUY, 5, 100)
SELL = Place(Side.SELL, 5, 100)


# -- the log --------------------------------------------------------------------------------------


def test_entry_out_of_turn_is_a_bug():
    driven = Driven()
    entry = driven.entries[0]
    with pytest.raises(AssertionError):
        driven.machine.apply(entry)


def test_entry_whose_hash_does_not_follow_is_refused_and_named():
    driven = Driven()
    before = driven.machine.snapshot()
    batch = Batch("client1", 1, 2, encode_body(1, []))
    with pytest.raises(BrokenChain, match="entry 2"):
        driven.machine.apply(Entry(2, batch, bytes(32)))
    assert driven.machine.snapshot() == before


def test_body_that_does_not_decode_changes_nothing():
    driven = Driven()
    before = driven.machine.snapshot()
    with pytest.raises(BadBody):
        driven.machine.apply(next_entry(driven.machine, Batch("client1", 1, 2, b"nonsense")))
    assert driven.machine.snapshot() == before


@pytest.mark.parametrize(
    ("epoch", "number", "admission"),
    [(1, 2, Admission.REPEATED), (1, 9, Admission.HOLE), (0, 1, Admission.FENCED)],
)
def test_batch_that_does_not_count_moves_only_sequence_chain_and_digest(epoch, number, admission):
    driven = Driven()
    driven.do("ann", BUY)
    machine = driven.machine
    book, digest = machine.full_book(), machine.digest
    entry = next_entry(machine, Batch("client1", epoch, number, b"not even a body"))
    applied = machine.apply(entry)
    assert (applied.admission, applied.outcomes) == (admission, [])
    assert (machine.sequence, machine.chain) == (entry.sequence, entry.chain)
    assert machine.digest != digest
    assert (machine.full_book(), machine.last_order) == (book, 1)


def test_decoded_body_gives_what_bytes_give():
    one, other = Driven(), Driven()
    for owner, command in random_commands(9, 300):
        one.do(owner, command)
        entry = one.entries[-1]
        other.machine.apply(entry, decode_body(entry.batch.body))
    assert one.machine.snapshot() == other.machine.snapshot()


def test_time_never_goes_back():
    driven = Driven()
    assert driven.apply(("ann", [BUY]), time_ns=100 * SECOND).time_ns == 100 * SECOND
    assert driven.apply(("ann", [BUY]), time_ns=50 * SECOND).time_ns == 100 * SECOND
    assert driven.machine.full_book()[1].time_ns == 100 * SECOND


def test_every_group_and_command_has_its_outcome():
    driven = Driven()
    applied = driven.apply(("ann", [BUY, Cancel(1)]), ("bob", []), ("bob", [SELL]))
    assert [len(group) for group in applied.outcomes] == [2, 0, 1]
    assert (applied.first_order, applied.first_trade) == (1, 1)
    assert decode_notes(applied.encoded) == applied.notes


def test_digest_depends_on_every_outcome_before():
    one, other = Driven(), Driven()
    one.do("ann", BUY)
    other.do("ann", Place(Side.BUY, 6, 100))
    assert one.machine.digest != other.machine.digest
    for driven in (one, other):
        driven.do("bob", Place(Side.BUY, 1, 1))
    assert one.machine.digest != other.machine.digest


# -- the market's definition ----------------------------------------------------------------------


def test_nothing_is_allowed_before_the_definition():
    driven = Driven(None)
    assert driven.do("ann", Place(Side.BUY, 5, 100, client_order_id="x")) == Refused(Reason.NOT_DEFINED)
    assert driven.machine.instrument is None
    assert driven.do("ann", DEFINE) == Done()
    outcome = driven.do("ann", Place(Side.BUY, 5, 100, client_order_id="x"))
    assert outcome == Placed(1, Status.OPEN, 0, 5), "what was refused then left nothing behind"


def test_limits_may_change_and_identity_may_not():
    driven = Driven()
    assert driven.do("ann", DEFINE) == Done()
    tighter = Define("BTC/USD", 1, 1_000_000, 1, max_price=50, max_quantity=4)
    assert driven.do("ann", tighter) == Done()
    assert driven.do("ann", BUY) == Refused(Reason.QUANTITY_RANGE, 1, [5, 4])
    for other in (
        Define("BTC/EUR", 1, 1_000_000, 1, 50, 4),
        Define("BTC/USD", 2, 1_000_000, 1, 50, 4),
        Define("BTC/USD", 1, 1, 1, 50, 4),
        Define("BTC/USD", 1, 1_000_000, 2, 50, 4),
    ):
        assert driven.do("ann", other) == Refused(Reason.INSTRUMENT_FIXED)


@pytest.mark.parametrize(
    "define",
    [
        Define("", 1, 1, 1, 1, 1),
        Define("A/B", 0, 1, 1, 1, 1),
        Define("A/B", 1, 0, 1, 1, 1),
        Define("A/B", 1, 1, 1, MAX_WHOLE + 1, 1),
        Define("A/B", 1, 1, 1, 1, 1, SelfTrade.DEFAULT),
        Define("A/B", 1, 1, 1, 1, 1, remembered_ids=0),
    ],
)
def test_definition_out_of_range_is_refused(define):
    driven = Driven(None)
    assert driven.do("ann", define) == Refused(Reason.BAD_INSTRUMENT)
    assert driven.machine.instrument is None


def test_memory_shrinks_with_the_markets_setting():
    driven = Driven()
    for number in range(10):
        driven.do("ann", Place(Side.BUY, 1, 1, client_order_id=f"x{number}"))
        driven.do("ann", Cancel(number + 1))
    driven.do("ann", Define("BTC/USD", 1, 1_000_000, 1, 1_000, 1_000, remembered_ids=2))
    driven.do("ann", Place(Side.BUY, 1, 1, client_order_id="y"))
    known = [f"x{number}" for number in range(10) if driven.machine.remembered("ann", f"x{number}")]
    assert known == ["x9"]


# -- ids and owners -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        Place(Side.BUY, 1, 1, client_order_id="x" * 65),
        Cancel(1, "x" * 65, "short"),
        Amend(1, 1, command_id="x" * 65),
    ],
)
def test_id_that_is_too_long_is_refused_and_not_remembered(command):
    driven = Driven()
    before = driven.machine.last_order
    assert driven.do("ann", command) == Refused(Reason.ID_TOO_LONG, 0, [65, 64])
    assert driven.machine.last_order == before
    assert driven.machine.remembered("ann", "short") is None


def test_owner_that_is_too_long_is_refused_everything():
    applied = Driven().apply(("x" * 65, [BUY, SELL]))
    assert applied.outcomes == [[Refused(Reason.ID_TOO_LONG, 0, [65, 64])] * 2]


def test_longest_ids_are_fine():
    driven = Driven()
    outcome = driven.do("o" * 64, Place(Side.BUY, 1, 1, client_order_id="x" * 64))
    assert outcome == Placed(1, Status.OPEN, 0, 1)


def test_retry_tells_the_sequence_of_the_first_answer():
    driven = Driven()
    command = Place(Side.BUY, 5, 100, client_order_id="x")
    first = driven.do("ann", command)
    sequence = driven.machine.sequence
    assert driven.do("ann", command) == Repeated(sequence, first)
    assert driven.machine.remembered("ann", "x") == Repeated(sequence, first)
    assert driven.machine.remembered("bob", "x") is None


def test_owners_are_limited_and_those_with_open_orders_stay(monkeypatch):
    monkeypatch.setattr(desk, "MAX_OWNERS", 4)
    driven = Driven()
    driven.do("rich", Place(Side.BUY, 1, 1, client_order_id="x"))
    for number in range(50):
        driven.do(f"owner{number}", Place(Side.BUY, 1, 1, client_order_id="x"))
        driven.do(f"owner{number}", Cancel(number + 2))
    accounts = driven.machine._desk.accounts
    assert len(accounts) <= 5
    assert "rich" in accounts
    assert driven.do("rich", Cancel(0, "x")).order == 1
    again = Machine.restore(driven.machine.snapshot())
    assert list(again._desk.accounts) == list(accounts), "who has been silent longest is part of the state"


def test_numbers_beyond_any_order_are_refused_quietly():
    driven = Driven()
    for order in (-1, (1 << 64) - 1, -(1 << 63)):
        assert driven.do("ann", Cancel(order)) == Refused(Reason.UNKNOWN_ORDER)
        assert driven.do("ann", Amend(order, 1)) == Refused(Reason.UNKNOWN_ORDER)
    huge = Place(Side.BUY, (1 << 64) - 1, 1)
    assert driven.do("ann", huge) == Refused(Reason.QUANTITY_RANGE, 1, [(1 << 64) - 1, 1_000])


# -- reads ----------------------------------------------------------------------------------------


@pytest.fixture
def traded() -> Driven:
    driven = Driven()
    for price in (98, 99, 99):
        driven.do("ann", Place(Side.BUY, 5, price, client_order_id=f"bid{driven.machine.last_order}"))
    for price in (101, 103):
        driven.do("bob", Place(Side.SELL, 4, price))
    driven.do("bob", Place(Side.SELL, 2, 99))
    return driven


def test_depth_sums_what_rests_at_each_price(traded):
    view = traded.machine.depth(10)
    assert view.bids == [Level(99, 8, 2), Level(98, 5, 1)]
    assert view.asks == [Level(101, 4, 1), Level(103, 4, 1)]
    assert (view.sequence, view.last_price, view.halted) == (traded.machine.sequence, 99, False)
    assert traded.machine.depth(1).bids == [Level(99, 8, 2)]
    assert traded.machine.depth(0).bids == []


def test_depth_that_outgrows_64_bits_stays_at_their_end():
    driven = Driven(Define("A/B", 1, 1, 1, 1, MAX_WHOLE))
    for _ in range(5):
        driven.do("ann", Place(Side.BUY, MAX_WHOLE, 1))
    view = driven.machine.depth(1)
    assert view.bids == [Level(1, MAX_WHOLE, 5)]
    msgspec.msgpack.encode(view)


def test_full_book_lists_orders_by_priority(traded):
    assert [view.order for view in traded.machine.full_book()] == [2, 3, 1, 4, 5]


def test_open_order_shows_what_it_was_placed_with_and_what_is_left(traded):
    view = traded.machine.order(2)
    assert view is not None
    assert (view.owner, view.client_order_id, view.side, view.price) == ("ann", "bid1", Side.BUY, 99)
    assert (view.quantity, view.filled, view.remaining, view.cancelled) == (5, 2, 3, 0)
    assert view.status is Status.PARTIALLY_FILLED
    assert (view.sequence, view.time_ns) == (3, 3 * SECOND)
    assert traded.machine.order_by_client_id("ann", "bid1") == view
    assert traded.machine.order_by_client_id("bob", "bid1") is None
    assert traded.machine.order_by_client_id("ann", "") is None
    assert traded.machine.order(6) is None, "closed orders are history's"


def test_open_orders_of_an_owner_come_oldest_first(traded):
    machine = traded.machine
    assert [view.order for view in machine.orders("ann")] == [1, 2, 3]
    assert [view.order for view in machine.orders(None, limit=4)] == [1, 2, 3, 4]
    assert machine.orders("nobody") == []
    assert machine.open_orders == 5


def test_best_prices_are_none_while_a_side_is_empty(traded):
    assert (traded.machine.best_bid(), traded.machine.best_ask()) == (99, 101)
    assert (Machine().best_bid(), Machine().best_ask()) == (None, None)


def test_day_counts_the_trades_of_24_hours(traded):
    machine = traded.machine
    assert machine.day() == DayView(99, 99, 99, 99, 2, 1)
    assert machine.day(machine.time_ns + 25 * 3600 * SECOND) == DayView()
    assert Machine.restore(machine.snapshot()).day() == machine.day()


# -- memory ---------------------------------------------------------------------------------------


def test_dropped_machine_frees_its_orders():
    driven = Driven()
    for owner, command in random_commands(2, 500):
        driven.do(owner, command)
    machine = driven.machine
    order = next(machine._desk.book.orders())
    gc.collect()
    holders = sys.getrefcount(order)
    driven.machine = Machine()
    del machine
    assert sys.getrefcount(order) < holders
    assert sys.getrefcount(order) == 2, "only this test still knows it"
