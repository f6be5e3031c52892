"""When a snapshot is due: after so many commands, and no sooner than one for every order at rest."""

from typing import Any

import msgspec
import pytest

from p2pcli.log.chain import link
from p2pcli.log.entry import Batch, Entry
from p2pcli.market.commands import Cancel, Command, Place, Side
from p2pcli.market.instrument import as_define
from p2pcli.node.body import encode_body
from p2pcli.node.checkpoints import Checkpoints
from p2pcli.node.machine import Machine
from p2pcli.node.replica import Replica
from p2pcli.node.requests import encode

from .conftest import BTC

NOTHING: Any = None


class NoLog:
    """What a replica tells its log."""

    def passed(self, entry: Entry) -> None:
        pass


def apply(replica: Replica, *commands: Command) -> None:
    with replica.reading() as machine:
        number, chain = machine.sequence + 1, machine.chain
    body = encode_body(number, [("ann", msgspec.Raw(encode(list(commands))))])
    batch = Batch("client2", 1, number, body)
    replica.offer([Entry(number, batch, link(chain, batch))])


@pytest.fixture
def replica() -> Replica:
    """A replica that has applied ten commands, after which nine orders rest."""
    log: Any = NoLog()
    replica = Replica("client1", log, Machine(), lambda applied, body: None)
    apply(replica, as_define(BTC))
    apply(replica, *[Place(Side.BUY, 1, 100)] * 9)
    return replica


def is_due(replica: Replica, commands: int) -> bool:
    return Checkpoints(replica, NOTHING, NOTHING, NOTHING, commands, NOTHING).is_due()


def test_a_snapshot_is_due_after_so_many_commands(replica):
    assert [is_due(replica, commands) for commands in (9, 10, 11)] == [True, True, False]


def test_it_is_due_no_sooner_than_after_a_command_for_each_order_at_rest(replica):
    replica.snapshot()
    apply(replica, *map(Cancel, range(1, 5)))
    assert not is_due(replica, 1), "five rest, and four commands were applied"
    apply(replica, Cancel(5))
    assert is_due(replica, 1)
