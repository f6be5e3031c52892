"""The committer's batches: what came while others wrote goes along, and everybody gets one answer."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from p2pcli.clock import monotonic
from p2pcli.log.entry import Batch, Entry
from p2pcli.log.flock import TwoDoors
from p2pcli.log.sqlite import SqliteLog
from p2pcli.market.commands import Place, Side
from p2pcli.market.instrument import as_define
from p2pcli.node.body import encode_body
from p2pcli.node.committer import LARGE, Committer
from p2pcli.node.machine import Machine
from p2pcli.node.parcels import own_parcel, parcels
from p2pcli.node.replica import Replica
from p2pcli.node.requests import Answers, Fault, Submit, decode_reply
from p2pcli.rpc.frame import FrameDecoder

from .conftest import BTC


class Caller:
    """A connection that keeps what it is sent."""

    session = "0123456789"

    def __init__(self) -> None:
        self.replies: list[Any] = []

    def send(self, frames: bytes) -> None:
        self.replies += map(decode_reply, FrameDecoder().feed(frames))


def wait_until(is_so) -> None:
    deadline = monotonic() + 20
    while not is_so():
        assert monotonic() < deadline, "it did not come about in time"
        threading.Event().wait(0.002)


@pytest.fixture
def doors(tmp_path: Path) -> Iterator[TwoDoors]:
    (tmp_path / "log").mkdir()
    doors = TwoDoors(tmp_path / "log")
    yield doors
    doors.close()


@pytest.fixture
def pushed() -> list[tuple[int, int]]:
    """The sequence of each entry that went to the peers, and what was applied here by then."""
    return []


@pytest.fixture
def start(tmp_path: Path, doors: TwoDoors, pushed: list[tuple[int, int]]) -> Iterator[Any]:
    """Start a committer that waits so long for its turn in the log."""
    log = SqliteLog(tmp_path / "log", durable=False)
    begun = []

    def start(append_timeout_s: float) -> Committer:
        replica = Replica("client1", log, Machine(), lambda applied, body: None)
        replica.take_epoch(7)

        def committed(entry: Entry) -> None:
            pushed.append((entry.sequence, replica.sequence))

        committer = Committer(
            *("client1", BTC, 7, log, replica, committed),
            queued_commands=100,
            append_timeout_s=append_timeout_s,
        )
        thread = threading.Thread(target=committer.run)
        thread.start()
        begun.append((committer, thread))
        committer.offer([own_parcel("client1", as_define(BTC))])
        wait_until(lambda: log.last() == 1)
        return committer

    yield start
    for committer, thread in begun:
        committer.stop()
        thread.join(20)
    log.close()


def ask(committer: Committer, number: int) -> Caller:
    caller = Caller()
    submit = Submit(number, 1, [Place(Side.BUY, number, 100)])
    committer.offer(list(parcels(caller, "ann", [submit])))  # type: ignore[arg-type]
    return caller


def while_another_writes(doors: TwoDoors, meanwhile) -> list[Caller]:
    """Hold the log's doors while ``meanwhile`` asks, and return who asked."""
    return doors.inside(meanwhile, 20)


def test_what_came_while_another_node_wrote_goes_along_in_the_same_entry(start, doors):
    committer = start(20)

    def meanwhile() -> list[Caller]:
        first = ask(committer, 1)
        wait_until(lambda: committer.waiting == 0)  # the first is on its way to the doors
        others = [ask(committer, number) for number in (2, 3)]
        assert committer.waiting == 2
        return [first, *others]

    callers = while_another_writes(doors, meanwhile)
    wait_until(lambda: all(caller.replies for caller in callers))
    answers = [reply for caller in callers for reply in caller.replies]
    assert [(type(one), one.sequence, one.ids, len(one.notes)) for one in answers] == [
        (Answers, 2, [number], 1) for number in (1, 2, 3)
    ]


def test_without_a_turn_in_time_everybody_is_told_busy_and_the_next_batch_is_taken(start, doors):
    committer = start(0.05)

    def meanwhile() -> list[Caller]:
        callers = [ask(committer, 1), ask(committer, 2)]
        wait_until(lambda: all(caller.replies for caller in callers))
        return callers

    for caller in while_another_writes(doors, meanwhile):
        (reply,) = caller.replies
        assert isinstance(reply, Fault)
        assert (reply.code, reply.is_unknown) == ("busy", False)
    after = ask(committer, 3)
    wait_until(lambda: after.replies)
    assert after.replies[0].sequence == 2


def test_a_large_batch_goes_to_peers_that_write_too_before_it_is_applied_here(start, pushed, tmp_path):
    committer = start(20)

    def ask_for(count: int) -> None:
        caller, before = Caller(), len(pushed)
        submit = Submit(1, 1, [Place(Side.BUY, 1, 100)] * count)
        committer.offer(list(parcels(caller, "ann", [submit])))  # type: ignore[arg-type]
        wait_until(lambda: caller.replies and len(pushed) > before)

    ask_for(LARGE)
    with SqliteLog(tmp_path / "log", durable=False) as log:
        for number, count in enumerate((LARGE, LARGE - 1), 1):
            log.append(Batch("client2", 1, number, encode_body(1, [])), 5)
            ask_for(count)
    assert pushed == [(1, 1), (2, 2), (4, 3), (6, 6)]
