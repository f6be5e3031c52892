"""Commands that are no orders: every one that a log may hold has an outcome."""

from typing import get_args

from driven import Driven

from p2pcli.market.commands import Checkpoint, Command, Place, Side
from p2pcli.market.events import Done, Reason, Refused
from p2pcli.node.rules import RULES


def test_a_checkpoint_changes_nothing_of_the_market():
    # Nodes put one into the log every thousand entries: a desk that fails on it stops them all, for good.
    driven = Driven()
    driven.do("ann", Place(Side.SELL, 5, 100))
    before = driven.machine.full_book(), driven.machine.last_order, driven.machine.last_trade
    assert driven.do("client1", Checkpoint(1000, bytes(32), 0)) == Done()
    assert (driven.machine.full_book(), driven.machine.last_order, driven.machine.last_trade) == before


def test_a_checkpoint_before_the_market_is_defined_is_refused():
    assert Driven(None).do("client1", Checkpoint(1000, bytes(32), 0)) == Refused(Reason.NOT_DEFINED)


def test_every_command_has_a_rule():
    assert set(RULES) == set(get_args(Command))
