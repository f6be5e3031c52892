"""The machine beside its naive twin: long streams in a world so small that all collides."""

import random

import pytest
from compared import MARKETS, Compared, check, run
from driven import Driven, random_commands
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pcli.book import book, level
from p2pcli.market.commands import Amend, Cancel, CancelAll, Define, Place, SelfTrade, Side, TimeInForce
from p2pcli.node.machine import Machine

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


@pytest.mark.parametrize("define", MARKETS.values(), ids=MARKETS)
@pytest.mark.parametrize("seed", [1, 2])
def test_long_random_stream_comes_out_as_the_twin_says(define, seed, monkeypatch):
    if seed == 2:  # sweep short queues as well
        monkeypatch.setattr(level, "SPARSE", 1)
        monkeypatch.setattr(book, "SPARSE", 1)
    compared = run(define, seed, 3_000)
    assert compared.twin.trades > 200, "the stream did not trade"


@settings(max_examples=400)
@given(st.sampled_from(list(MARKETS.values())), st.lists(st.tuples(OWNERS, COMMANDS), max_size=60))
def test_any_stream_comes_out_as_the_twin_says(define, stream):
    compared = Compared(define)
    for owner, command in stream:
        compared.do(owner, command)
    compared.check()


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
