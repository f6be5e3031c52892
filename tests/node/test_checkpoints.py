"""When a snapshot is worth its work: the more orders rest, the later."""

import pytest

from p2pcli.node.checkpoints import COMMANDS, COMMANDS_PER_ORDER, is_worth_it


def test_a_snapshot_waits_for_some_commands_for_each_order_at_rest():
    assert [is_worth_it(applied, 1000) for applied in (999, 3_999, 4_000)] == [False, False, True]
    assert is_worth_it(0, 0)


@pytest.mark.parametrize("resting", [COMMANDS // COMMANDS_PER_ORDER, COMMANDS // 2, COMMANDS])
def test_it_waits_for_no_more_than_a_restart_carries_out_in_time(resting):
    assert not is_worth_it(COMMANDS - 1, resting)
    assert is_worth_it(COMMANDS, resting), "a book that only grows comes into a snapshot as well"


def test_of_more_orders_than_that_it_waits_for_a_command_each():
    assert not is_worth_it(COMMANDS, COMMANDS + 1)
    assert is_worth_it(COMMANDS + 1, COMMANDS + 1)
