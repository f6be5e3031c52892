"""The replica applies what comes next, from whichever side it comes, and leaves the rest to the log."""

import msgspec
import pytest

from p2pcli.clock import monotonic
from p2pcli.log.chain import link
from p2pcli.log.entry import Batch, Entry
from p2pcli.log.sqlite import SqliteLog
from p2pcli.market.commands import Place, Side
from p2pcli.market.instrument import as_define
from p2pcli.node.body import encode_body
from p2pcli.node.machine import BrokenChain, Machine
from p2pcli.node.replica import Replaced, Replica
from p2pcli.node.requests import NotCaughtUp, encode

from .conftest import BTC


def batch(number: int, *, producer: str = "client2", epoch: int = 1) -> Batch:
    commands = [as_define(BTC)] if number == 1 else [Place(Side.SELL, number, 100)]
    return Batch(producer, epoch, number, encode_body(number, [("ann", msgspec.Raw(encode(commands)))]))


@pytest.fixture
def log(tmp_path):
    with SqliteLog(tmp_path, durable=False) as log:
        for number in range(1, 6):
            log.append(batch(number), 5)
        yield log


@pytest.fixture
def replica(log):
    return Replica("client1", log, Machine(), lambda applied, body: None)


def test_entries_in_sequence_are_applied(replica, log):
    replica.offer(log.read(0, 10))
    assert replica.sequence == 5


def test_an_entry_that_was_applied_is_passed_over(replica, log):
    entries = log.read(0, 10)
    replica.offer(entries[:3])
    replica.offer(entries)
    assert replica.sequence == 5


def test_an_entry_that_is_too_early_waits_for_those_before_it(replica, log):
    first, second, third, fourth, fifth = log.read(0, 10)
    replica.offer([third, fifth])
    assert replica.sequence == 0
    replica.offer([second])
    replica.offer([first])
    assert replica.sequence == 3
    replica.offer([fourth])
    assert replica.sequence == 5


def test_what_never_comes_is_read_from_the_log(replica, log):
    replica.offer(log.read(3, 10))
    replica.catch_up(3)
    assert replica.sequence == 5


def test_an_early_entry_that_is_not_the_logs_is_dropped_when_its_turn_comes(replica, log, caplog):
    first, second, third, *_ = log.read(0, 10)
    forged = Entry(2, batch(9, producer="client3"), second.chain)
    replica.offer([forged, third])
    replica.offer([first])
    assert replica.sequence == 1
    assert "entry 2 was pushed and is not the log's" in caplog.text
    replica.catch_up(5)
    assert replica.sequence == 5
    with replica.reading() as machine:
        assert machine.chain == log.read(4, 1)[0].chain


def test_catching_up_ends_where_it_is_told(replica):
    replica.catch_up(3)
    assert replica.sequence == 3


def test_entries_of_another_log_are_not_applied_after_those_of_this_one(replica, log, tmp_path):
    replica.catch_up(2)
    with SqliteLog(tmp_path / "other", durable=False) as other:
        for number in range(1, 4):
            other.append(batch(number, producer="client3"), 5)
        elsewhere = Replica("client1", other, replica._machine, lambda applied, body: None)
        with pytest.raises(BrokenChain, match="entry 3: expected chain hash"):
            elsewhere.catch_up(3)
    replica.catch_up(5)
    assert replica.sequence == 5


def test_what_a_restart_applies_again_is_not_measured(replica):
    replica.catch_up(3)
    assert sum(replica.apply_seconds.counts) == 0
    replica.take_epoch(7)
    replica.catch_up(5)
    assert sum(replica.apply_seconds.counts) == 2


def test_a_wait_ends_when_the_sequence_is_there_or_at_its_deadline(replica, log):
    with pytest.raises(NotCaughtUp, match="has applied sequence 0, not 5"):
        replica.wait_for(5, monotonic() + 0.02)
    replica.catch_up(5)
    replica.wait_for(5, monotonic())


def test_an_own_batch_is_answered_also_when_the_log_was_read_first(replica, log):
    replica.catch_up(5)
    replica.take_epoch(7)
    own = batch(1, producer="client1", epoch=7)
    sequence = log.append(own, 5)
    replica.catch_up(sequence)
    entry = replica.place(own, sequence)
    assert (entry.sequence, len(replica.settle(entry, None).outcomes)) == (6, 1)


def test_an_own_entry_may_be_pushed_before_it_is_applied(replica, log):
    replica.take_epoch(7)
    own = batch(1, producer="client1", epoch=7)
    sequence = log.append(own, 5)
    entry = replica.place(own, sequence)
    assert (replica.sequence, [entry]) == (sequence - 1, log.read(sequence - 1, 1))
    assert len(replica.settle(entry, None).outcomes) == 1
    assert replica.sequence == sequence


def test_a_higher_epoch_of_the_own_name_stops_the_node(replica):
    replica.catch_up(5)
    replica.take_epoch(7)
    with replica.reading() as machine:
        chain = machine.chain
    newer = batch(1, producer="client1", epoch=8)
    with pytest.raises(Replaced, match="another process serves as node client1 since sequence 6"):
        replica.offer([Entry(6, newer, link(chain, newer))])
