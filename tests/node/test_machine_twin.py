"""The machine beside its naive twin: long streams in a world so small that all collides."""

import random

import pytest
from checks import check_book
from driven import DEFINE, Driven, random_commands
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger import Ledger
from naive import NaiveMarket

from p2pcli.market.commands import Amend, Cancel, CancelAll, Define, Place, SelfTrade, Side, TimeInForce
from p2pcli.node.machine import Machine

MARKETS = {
    "plain": DEFINE,
    "oldest goes": Define("A/B", 1, 1, 1, 1_000, 1_000, self_trade=SelfTrade.CANCEL_OLDEST),
    "newest goes, banded": Define("A/B", 1, 1, 1, 1_000, 1_000, SelfTrade.CANCEL_NEWEST, price_band=150),
    "both go, capped": Define("A/B", 1, 1, 1, 1_000, 1_000, SelfTrade.CANCEL_BOTH, max_open_orders=4),
}

OWNERS = st.sampled_from("ab")
NAMES = st.sampled_from(["", "", "", "x", "y", "z"])
ORDERS = st.integers(0, 9)
QUANTITIES = st.integers(1, 6)
PRICES = st.sampled_from([0, 99, 100, 101])
COMMANDS = st.one_of(
    st.builds(
        Place,
        st.sampled_from(Side),
        QUANTITIES,
        PRICES,
        st.sampled_from(TimeInForce),
        st.booleans(),
        st.sampled_from(SelfTrade),
        NAMES,
    ),
    st.builds(Place, st.sampled_from(Side), QUANTITIES, st.sampled_from([99, 100, 101])),
    st.builds(Cancel, ORDERS, NAMES, NAMES),
    st.builds(Amend, ORDERS, QUANTITIES, PRICES, NAMES, NAMES),
    st.builds(CancelAll, st.sampled_from([None, *Side]), NAMES),
)


def check(machine: Machine) -> None:
    check_book(machine._desk.book, machine._desk.accounts.values())


class Compared:
    """A machine, its twin and an accountant; each command is checked with all three."""

    def __init__(self, define: Define) -> None:
        self.driven = Driven(define)
        self.twin = NaiveMarket(define)
        self.ledger = Ledger()

    def do(self, owner, command):
        outcome = self.driven.do(owner, command)
        machine = self.driven.machine
        assert outcome == self.twin.do(owner, command, machine.sequence)
        self.ledger.enter(command, outcome)
        assert [
            (view.order, view.owner, view.price, view.quantity, view.filled) for view in machine.full_book()
        ] == self.twin.in_priority()
        bid, ask = machine.best_bid(), machine.best_ask()
        assert bid is None or ask is None or bid < ask, "a resting book is never crossed (S8)"
        assert (machine.last_price, machine.last_trade) == (self.twin.last_price, self.twin.trades)


@pytest.mark.parametrize("define", MARKETS.values(), ids=MARKETS)
@pytest.mark.parametrize("seed", [1, 2])
def test_long_random_stream_comes_out_as_the_twin_says(define, seed):
    compared = Compared(define)
    for at, (owner, command) in enumerate(random_commands(seed, 3_000)):
        try:
            compared.do(owner, command)
        except AssertionError as error:
            error.add_note(f"seed {seed}, command {at}: {owner} {command}")
            raise
        if at % 100 == 0:
            check(compared.driven.machine)
    assert compared.twin.trades > 200, "the stream did not trade"


@settings(max_examples=400)
@given(st.sampled_from(list(MARKETS.values())), st.lists(st.tuples(OWNERS, COMMANDS), max_size=60))
def test_any_stream_comes_out_as_the_twin_says(define, stream):
    compared = Compared(define)
    for owner, command in stream:
        compared.do(owner, command)
    check(compared.driven.machine)


@pytest.mark.parametrize("seed", range(4))
def test_snapshot_and_restore_anywhere_changes_nothing_after_it(seed):
    define = Define("A/B", 1, 1, 1, 1_000, 1_000, remembered_ids=20)
    straight, broken = Driven(define), Driven(define)
    chance = random.Random(seed)
    for owner, command in random_commands(seed, 1_500):
        if chance.random() < 0.02:
            data = broken.machine.snapshot()
            broken.machine = Machine.restore(data)
            assert broken.machine.snapshot() == data
        assert straight.do(owner, command) == broken.do(owner, command), f"seed {seed}"
        assert straight.machine.digest == broken.machine.digest, f"seed {seed}"
    assert straight.machine.state_digest() == broken.machine.state_digest()
    check(broken.machine)
    assert straight.machine.last_trade > 100
