from collections import deque
from itertools import count

from p2pcli.registry import queries
from p2pcli.registry.krpc import Query, parse
from p2pcli.registry.queries import REPEAT_S, TIMEOUT_S, Queries

HERE, THERE = ("10.0.0.1", 1), ("10.0.0.2", 2)


def make() -> tuple[Queries[str], deque]:
    outbox: deque = deque()
    numbers = count()
    return Queries(lambda size: next(numbers).to_bytes(size, "big"), outbox), outbox


def transaction(packet: bytes) -> bytes:
    message = parse(packet)
    assert isinstance(message, Query)
    return message.transaction or b""


def test_a_query_is_answered_by_its_transaction_from_its_address():
    under_way, outbox = make()
    assert under_way.send(HERE, b"ping", b"de", "why", now=0.0)
    packet, address = outbox.popleft()
    assert address == HERE
    assert under_way.answered(b"other", HERE) is None
    assert under_way.answered(transaction(packet), THERE) is None
    pending = under_way.answered(transaction(packet), HERE)
    assert pending is not None
    assert pending.purpose == "why"
    assert under_way.answered(transaction(packet), HERE) is None


def test_an_unanswered_query_is_repeated_once_and_then_given_up():
    under_way, outbox = make()
    under_way.send(HERE, b"ping", b"de", "why", now=10.0)
    first = outbox.popleft()
    assert under_way.wake_at() == 10.0 + REPEAT_S
    assert under_way.tick(10.0 + REPEAT_S - 0.01) == []
    assert not outbox
    assert under_way.tick(10.0 + REPEAT_S) == []
    assert outbox.popleft() == first
    assert under_way.wake_at() == 10.0 + TIMEOUT_S
    overdue = under_way.tick(10.0 + TIMEOUT_S)
    assert [pending.address for pending in overdue] == [HERE]
    assert not outbox
    assert under_way.wake_at() is None


def test_an_answered_query_is_neither_repeated_nor_given_up():
    under_way, outbox = make()
    under_way.send(HERE, b"ping", b"de", "why", now=0.0)
    under_way.answered(transaction(outbox.popleft()[0]), HERE)
    assert under_way.tick(REPEAT_S) == []
    assert not outbox
    assert under_way.wake_at() is None


def test_transactions_under_way_differ():
    outbox: deque = deque()
    throws = iter([b"aaaa", b"aaaa", b"bbbb"])
    under_way: Queries[str] = Queries(lambda _: next(throws), outbox)
    under_way.send(HERE, b"ping", b"de", "one", now=0.0)
    under_way.send(HERE, b"ping", b"de", "two", now=0.0)
    assert len({transaction(packet) for packet, _ in outbox}) == 2


def test_too_many_queries_are_not_sent(monkeypatch):
    monkeypatch.setattr(queries, "MAX_UNDER_WAY", 3)
    under_way, outbox = make()
    assert [under_way.send(HERE, b"ping", b"de", "why", now=0.0) for _ in range(5)] == [True] * 3 + [
        False
    ] * 2
    assert len(outbox) == len(under_way) == 3
