"""The machine beside its naive twin: long streams in a world so small that all collides."""

import random

import pytest
from compared import MARKETS, Compared, check, run, run_batches
from driven import Driven, random_batches
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from p2pcli.book import book, level
from p2pcli.market.commands import (
    Amend,
    Cancel,
    CancelAll,
    Define,
    Halt,
    Place,
    Resume,
    SelfTrade,
    Side,
    TimeInForce,
)
from p2pcli.node.machine import Machine

OWNERS = st.sampled_from("ab")
NAMES = st.sampled_from(["", "", "", "v", "w", "x", "y", "z"])
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
    st.builds(Halt, NAMES),
    st.builds(Resume, NAMES),
)
GROUPS = st.lists(st.tuples(OWNERS, st.lists(COMMANDS, min_size=1, max_size=12)), min_size=1, max_size=3)
# Rules may change on the way, but not how many ids are known.
FEW = {name: replace(define, remembered_ids=2) for name, define in MARKETS.items()}


@pytest.mark.parametrize("define", MARKETS.values(), ids=MARKETS)
@pytest.mark.parametrize("seed", [1, 2])
def test_long_random_stream_comes_out_as_the_twin_says(define, seed, monkeypatch):
    if seed == 2:  # sweep short queues as well
        monkeypatch.setattr(level, "SPARSE", 1)
        monkeypatch.setattr(book, "SPARSE", 1)
    compared = run(define, seed, 1_500)
    assert compared.twin.trades > 80, "the stream did not trade"


@pytest.mark.parametrize("define", MARKETS.values(), ids=MARKETS)
@pytest.mark.parametrize("seed", [1, 2])
def test_long_stream_of_batches_comes_out_as_the_twin_says(define, seed):
    compared = run_batches(define, seed, 250)
    assert compared.twin.trades > 100, "the stream did not trade"
    assert compared.twin.forgotten > 50, "no id was forgotten and used again"


@settings(max_examples=max(150, settings().max_examples))
@given(
    st.sampled_from(list(FEW.values())),
    st.lists(st.tuples(GROUPS, st.sampled_from(["", "", "", "restart", "new rules"])), max_size=8),
    st.sampled_from(list(FEW.values())),
)
def test_any_stream_of_batches_comes_out_as_the_twin_says(define, stream, later):
    compared = Compared(define)
    rules = replace(later, symbol=define.symbol, number=define.number, tick=define.tick, lot=define.lot)
    for groups, before in stream:
        if before == "restart":
            compared.restart()
        elif before:
            compared.do("operator", rules)
        compared.enter(groups)


@pytest.mark.parametrize("seed", range(4))
def test_snapshot_and_restore_anywhere_changes_nothing_after_it(seed):
    define = Define("A/B", 1, 1, 1, 1_000, 1_000, remembered_ids=5)
    straight, broken = Driven(define), Driven(define)
    chance = random.Random(seed)
    for groups in random_batches(straight, seed, 250, 5):
        if chance.random() < 0.1:
            data = broken.machine.snapshot()
            broken.machine = Machine.restore(data)
            assert broken.machine.snapshot() == data
        assert straight.apply(*groups).encoded == broken.apply(*groups).encoded, f"seed {seed}"
        assert straight.machine.digest == broken.machine.digest, f"seed {seed}"
    assert straight.machine.state_digest() == broken.machine.state_digest()
    check(broken.machine)
    assert straight.machine.last_trade > 100
