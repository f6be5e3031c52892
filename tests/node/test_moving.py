"""Moving a log: which entry changes what, and that no order is carried out in two places."""

import msgspec
import pytest

from p2pcli.log.chain import link
from p2pcli.log.entry import Batch, Entry
from p2pcli.log.sessions import Admission
from p2pcli.market.commands import Move, MoveStep, Place, Side
from p2pcli.market.instrument import Instrument, as_define
from p2pcli.node.body import encode_body
from p2pcli.node.machine import Machine
from p2pcli.node.moving import (
    CannotMove,
    LogMoved,
    Standing,
    Step,
    check_abort,
    check_here,
    joint_step,
    moved,
    next_step,
)

SEAL, UNSEAL, END, BEGIN = MoveStep
BTC = Instrument("BTC/USD", 1, tick=1_000_000, lot=1, max_price=10**11, max_quantity=10**14)


def to(step, log="B"):
    return Move(step, log)


@pytest.mark.parametrize(
    ("state", "step", "after"),
    [
        (None, to(SEAL), to(SEAL)),
        (None, to(UNSEAL), None),
        (None, to(END), None),
        (None, to(BEGIN), None),
        (to(SEAL), to(SEAL), to(SEAL)),
        (to(SEAL), to(SEAL, "C"), to(SEAL)),
        (to(SEAL), to(UNSEAL), None),
        (to(SEAL), to(UNSEAL, "C"), to(SEAL)),
        (to(SEAL), to(END), to(END)),
        (to(SEAL), to(END, "C"), to(SEAL)),
        (to(SEAL), to(BEGIN), to(SEAL)),
        (to(END), to(BEGIN), None),
        (to(END), to(BEGIN, "C"), to(END)),
        (to(END), to(UNSEAL), to(END)),
        (to(END), to(SEAL), to(END)),
    ],
)
def test_a_step_has_an_effect_only_after_the_one_before_it(state, step, after):
    assert moved(state, step) == after


class Market:
    """A machine and the log it has applied."""

    def __init__(self):
        self.machine = Machine()
        self.numbers = {}
        self.give("client1", as_define(BTC))

    def entry(self, producer, *commands):
        number = self.numbers.get(producer, 0) + 1
        raw = msgspec.Raw(msgspec.msgpack.encode(list(commands)))
        batch = Batch(producer, 1, number, encode_body(number, [(producer, raw)]))
        return Entry(self.machine.sequence + 1, batch, link(self.machine.chain, batch))

    def give(self, producer, *commands):
        applied = self.machine.apply(self.entry(producer, *commands))
        self.numbers[producer] = self.numbers.get(producer, 0) + 1
        return applied.admission


ORDER = Place(Side.SELL, 5, 100)


def test_a_sealed_log_carries_nothing_out_and_goes_on_once_unsealed():
    market = Market()
    assert market.give("client1", ORDER) is Admission.NEW
    assert market.give("log move", to(SEAL)) is Admission.NEW
    assert market.give("client1", ORDER, ORDER) is Admission.SEALED
    assert market.machine.open_orders == 1
    assert market.machine.last_order == 1
    assert market.give("log move", to(UNSEAL)) is Admission.NEW
    assert market.give("client1", ORDER) is Admission.NEW  # its batches are numbered on
    assert market.machine.last_order == 2


def test_after_its_end_a_log_takes_nothing_but_the_beginning_of_the_next():
    market = Market()
    market.give("log move", to(SEAL))
    market.give("log move", to(END))
    before = market.machine.snapshot()
    for commands in ((ORDER,), (to(UNSEAL),), (to(SEAL),), (to(BEGIN, "C"),), (to(BEGIN), ORDER), ()):
        with pytest.raises(LogMoved, match="the log ended at sequence 3 and went to B"):
            market.machine.apply(market.entry("client1", *commands))
        assert market.machine.snapshot() == before
    market.give("log move", to(BEGIN))
    assert market.give("client1", ORDER) is Admission.NEW


def test_a_step_among_other_commands_is_none():
    market = Market()
    assert market.give("client1", ORDER, to(SEAL)) is Admission.NEW
    assert market.machine.moving is None


def test_a_snapshot_knows_how_far_the_log_has_moved():
    market = Market()
    for step in (to(SEAL), to(END), to(BEGIN)):
        market.give("log move", step)
        restored = Machine.restore(market.machine.snapshot())
        assert restored.moving == market.machine.moving
        assert restored.snapshot() == market.machine.snapshot()


def test_only_a_log_that_has_ended_keeps_a_node_from_starting():
    check_here(None, 7)
    check_here(to(SEAL), 7)
    with pytest.raises(LogMoved) as caught:
        check_here(to(END), 7)
    assert caught.value.hint.startswith("p2px log move B finishes that")


def standing(state, last, copied, *, is_copy=True):
    return Standing("BTC/USD", state, last, copied, is_copy)


@pytest.mark.parametrize(
    ("stands", "step"),
    [
        (standing(None, 5, 0), Step.SEAL),
        (standing(to(SEAL), 6, 0), Step.COPY),
        (standing(to(SEAL), 6, 4), Step.COPY),
        (standing(to(SEAL), 6, 6), Step.END),
        (standing(to(END), 7, 0), Step.COPY),
        (standing(to(END), 7, 6), Step.COPY),
        (standing(to(END), 7, 7), Step.BEGIN),
        (standing(to(END), 7, 8), Step.DONE),
        (standing(to(END), 7, 99), Step.DONE),
    ],
)
def test_what_both_places_show_says_what_is_next(stands, step):
    assert next_step(stands, "B") is step


@pytest.mark.parametrize(
    ("stands", "what"),
    [
        (standing(None, 5, 3), "has a log of BTC/USD already, with 3 entries"),
        (standing(to(SEAL), 5, 3, is_copy=False), "has a log of BTC/USD already"),
        (standing(to(SEAL, "C"), 5, 0), "is being moved to C"),
        (standing(to(END, "C"), 5, 0), "ended and went to C"),
    ],
)
def test_a_place_in_use_and_a_second_move_are_refused(stands, what):
    with pytest.raises(CannotMove, match=what):
        next_step(stands, "B")


def test_no_log_ends_before_every_market_is_copied():
    assert joint_step({"BTC/USD": Step.END, "ETH/USD": Step.COPY}) is Step.COPY
    assert joint_step({"BTC/USD": Step.DONE, "ETH/USD": Step.END}) is Step.END
    assert joint_step({"BTC/USD": Step.DONE, "ETH/USD": Step.DONE}) is Step.DONE


def test_a_move_is_given_up_only_before_the_log_ends():
    assert check_abort(standing(to(SEAL), 5, 5), "B")
    assert not check_abort(standing(None, 5, 5), "B")
    assert not check_abort(standing(to(SEAL, "C"), 5, 5), "B")
    with pytest.raises(CannotMove, match="has ended already and goes on in B"):
        check_abort(standing(to(END), 5, 5), "B")
