"""What every engine of the log promises, whichever it is: facts, and a naive twin.

A new engine joins by one line in ``engine``: how to open a log that lives in (or is named after) a folder.
"""

import threading
from functools import partial
from itertools import count

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from p2pcli.log.chain import GENESIS, link
from p2pcli.log.check import first_problem
from p2pcli.log.entry import MAX_BODY, MAX_READ, BadBatch, Batch, Broken, Corrupt, Entry, NotEmpty, Trimmed
from p2pcli.log.etcd import EtcdLog
from p2pcli.log.sqlite import SqliteLog

TIMEOUT_S = 30


@pytest.fixture(params=["etcd", "sqlite"])
def engine(request):
    if request.param == "etcd":
        url = request.getfixturevalue("etcd_url")
        return lambda folder: EtcdLog(f"{url}{folder}", "BTC-USD")
    return partial(SqliteLog, durable=False)  # what a power cut takes is tested elsewhere


@pytest.fixture
def opened(engine, tmp_path):
    """Open the same log as often as wanted; each opening is a process of its own to the engine."""
    logs = []

    def open_log():
        logs.append(engine(tmp_path / "log"))
        return logs[-1]

    yield open_log
    for log in logs:
        log.close()


def appended(log, bodies, producer="c1", epoch=1):
    for number, body in enumerate(bodies, 1):
        log.append(Batch(producer, epoch, number, body), TIMEOUT_S)


class Twin(RuleBasedStateMachine):
    """Two handles on one log beside a list of entries, through the same operations."""

    make_engine = None  # set by the test
    folders = None

    @initialize()
    def open(self):
        self.folder = next(self.folders)
        self.logs = [self.make_engine(self.folder), self.make_engine(self.folder)]
        self.entries = []
        self.first = 1
        self.numbers = {"a": 0, "b": 0}

    @rule(which=st.integers(0, 1), producer=st.sampled_from("ab"), body=st.binary(max_size=3))
    def append(self, which, producer, body):
        self.numbers[producer] += 1
        batch = Batch(producer, 1, self.numbers[producer], body)
        sequence = self.logs[which].append(batch, TIMEOUT_S)
        chain = link(self.entries[-1].chain if self.entries else GENESIS, batch)
        self.entries.append(Entry(len(self.entries) + 1, batch, chain))
        assert sequence == len(self.entries)

    @rule(which=st.integers(0, 1), back=st.integers(1, 5))
    def append_again(self, which, back):
        sequence = len(self.entries) - back + 1
        if sequence >= self.first:
            assert self.logs[which].append(self.entries[sequence - 1].batch, TIMEOUT_S) == sequence

    @rule(which=st.integers(0, 1), after=st.integers(0, 20), limit=st.integers(1, 5))
    def read(self, which, after, limit):
        after = min(after, len(self.entries))
        if after + 1 < self.first:
            with pytest.raises(Trimmed) as caught:
                self.logs[which].read(after, limit)
            assert caught.value.first == self.first
        else:
            assert self.logs[which].read(after, limit) == self.entries[after : after + limit]

    @rule(which=st.integers(0, 1), before=st.integers(0, 20))
    def trim(self, which, before):
        self.logs[which].trim(before)
        kept = self.logs[which].first()
        assert self.first <= kept <= max(self.first, min(before, len(self.entries)))
        self.first = kept

    @rule(which=st.integers(0, 1))
    def reopen(self, which):
        self.logs[which].close()
        self.logs[which] = self.make_engine(self.folder)

    @rule(which=st.integers(0, 1), after=st.integers(0, 20))
    def wait(self, which, after):
        assert self.logs[which].wait(after, 0) or len(self.entries) <= after

    @invariant()
    def both_ends_agree(self):
        for log in getattr(self, "logs", []):
            assert log.last() == len(self.entries)
            assert log.first() == self.first

    def teardown(self):
        for log in getattr(self, "logs", []):
            log.close()


def test_the_log_behaves_as_a_list(engine, tmp_path, request):
    class ThisTwin(Twin):
        make_engine = staticmethod(engine)
        folders = (tmp_path / str(number) for number in count())

    fraction = 10 if "etcd" in request.node.name else 2  # a step over sockets takes milliseconds
    run_state_machine_as_test(ThisTwin, settings=settings(max_examples=settings().max_examples // fraction))


def test_a_new_log_is_empty(opened):
    log = opened()
    assert (log.first(), log.last(), log.read(0, 10)) == (1, 0, [])
    assert not log.wait(0, 0)


def test_an_appended_batch_is_read_by_every_handle(opened):
    one, other = opened(), opened()
    batch = Batch("client1", 5, 1, b"\x00\xff")
    assert one.append(batch, TIMEOUT_S) == 1
    assert other.read(0, 10) == [Entry(1, batch, link(GENESIS, batch))]


def test_the_largest_batch_fits(opened):
    log = opened()
    batch = Batch("é" * 32, 2**63 - 1, 2**63 - 1, b"\xff" * MAX_BODY)
    log.append(batch, TIMEOUT_S)
    assert log.read(0, 1)[0].batch == batch


def test_a_batch_beyond_the_limits_is_refused_and_leaves_the_log_usable(opened):
    log = opened()
    with pytest.raises(BadBatch):
        log.append(Batch("c1", 1, 1, bytes(MAX_BODY + 1)), TIMEOUT_S)
    assert log.append(Batch("c1", 1, 1, b""), TIMEOUT_S) == 1


def test_a_batch_is_appended_as_it_has_grown_by_the_time_of_its_turn(opened):
    log = opened()
    asked = []

    def grown():
        asked.append(1)
        return Batch("c1", 1, 1, b"first and second")

    assert log.append(Batch("c1", 1, 1, b"first"), TIMEOUT_S, grown) == 1
    assert [entry.batch.body for entry in log.read(0, 9)] == [b"first and second"]
    assert len(asked) == 1


def test_a_batch_that_grows_too_large_is_refused_and_nothing_is_appended(opened):
    log = opened()
    with pytest.raises(BadBatch):
        log.append(Batch("c1", 1, 1, b""), TIMEOUT_S, lambda: Batch("c1", 1, 1, bytes(MAX_BODY + 1)))
    assert log.append(Batch("c1", 1, 1, b""), TIMEOUT_S) == 1


def test_a_repeated_batch_keeps_its_sequence(opened):
    log = opened()
    appended(log, [b"1", b"2", b"3"])
    assert log.append(Batch("c1", 1, 2, b"2"), TIMEOUT_S) == 2
    assert opened().append(Batch("c1", 1, 1, b"1"), TIMEOUT_S) == 1
    assert log.last() == 3


def test_producers_and_epochs_number_by_themselves(opened):
    log = opened()
    keys = [("c1", 1), ("c2", 1), ("c1", 2), ("c1", 0)]
    assert [log.append(Batch(name, epoch, 1, b""), TIMEOUT_S) for name, epoch in keys] == [1, 2, 3, 4]


def test_another_body_under_a_used_key_is_refused(opened):
    log = opened()
    appended(log, [b"one"])
    with pytest.raises(BadBatch, match="entry 1"):
        log.append(Batch("c1", 1, 1, b"two"), TIMEOUT_S)
    assert log.last() == 1


def test_a_read_returns_no_more_than_its_bytes_and_at_least_one(opened):
    log = opened()
    appended(log, [bytes(MAX_BODY)] * (MAX_READ // MAX_BODY + 2))
    assert len(log.read(0, 1000)) == MAX_READ // MAX_BODY
    assert len(log.read(MAX_READ // MAX_BODY, 1000)) == 2


def test_reading_past_the_last_entry_means_that_entries_are_gone(opened):
    log = opened()
    appended(log, [b"1", b"2"])
    with pytest.raises(Corrupt) as caught:
        log.read(3, 1)
    assert caught.value.sequence == 3


def test_a_run_from_the_middle_follows_from_what_was_before(opened):
    log = opened()
    appended(log, [b"%d" % number for number in range(20)])
    before = log.read(9, 1)[0]
    assert first_problem(opened().read(10, 100), after=10, chain=before.chain) is None


def test_trimming_never_restarts_the_numbers(opened):
    log = opened()
    appended(log, [b"1", b"2", b"3"])
    log.trim(1000)
    log.close()
    log = opened()
    assert log.last() == 3
    assert log.append(Batch("c1", 1, 4, b"4"), TIMEOUT_S) == 4
    assert first_problem(log.read(3, 10), after=3, chain=None) is None


def test_trimming_an_empty_log_does_nothing(opened):
    log = opened()
    log.trim(10)
    assert (log.first(), log.last()) == (1, 0)


def test_an_append_wakes_who_waits_at_another_handle(opened):
    log, other = opened(), opened()
    answers = []
    thread = threading.Thread(target=lambda: answers.append(log.wait(0, TIMEOUT_S)))
    thread.start()
    other.append(Batch("c1", 1, 1, b""), TIMEOUT_S)
    thread.join(TIMEOUT_S)
    assert answers == [True]


def test_waiting_for_what_is_there_returns_at_once_and_for_more_times_out(opened):
    log = opened()
    appended(log, [b"1"])
    assert log.wait(0, TIMEOUT_S)
    assert not log.wait(1, 0.05)


def test_threads_of_one_process_append_read_and_wait_at_once(opened):
    log, per_thread = opened(), 50
    sequences, seen = [], []

    def append(name):
        for number in range(1, per_thread + 1):
            sequences.append(log.append(Batch(name, 1, number, b""), TIMEOUT_S))

    def follow():
        while len(seen) < 2 * per_thread and log.wait(len(seen), TIMEOUT_S):
            seen.extend(log.read(len(seen), 7))

    threads = [threading.Thread(target=append, args=(name,)) for name in ("a", "b")]
    threads += [threading.Thread(target=follow)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_S)
    assert sorted(sequences) == list(range(1, 2 * per_thread + 1))
    assert first_problem(seen) is None
    assert len(seen) == 2 * per_thread


def test_a_closed_log_says_so_and_wakes_who_waits(opened):
    log = opened()
    failures = []

    def wait():
        try:
            log.wait(0, TIMEOUT_S)
        except Broken as error:
            failures.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    log.close()
    log.close()
    thread.join(TIMEOUT_S)
    assert len(failures) == 1
    batch = Batch("c1", 1, 1, b"")
    calls = [
        log.last,
        log.first,
        lambda: log.read(0, 1),
        lambda: log.wait(0, 1),
        lambda: log.append(batch, 1),
    ]
    for call in calls:
        with pytest.raises(Broken, match="closed"):
            call()


def test_what_passed_elsewhere_is_not_needed_to_read_on(opened):
    log, other = opened(), opened()
    appended(log, [b"%d" % number for number in range(10)])
    for entry in log.read(0, 100):
        other.passed(entry)
    assert other.read(8, 10) == log.read(8, 10)
    appended(log, [b"more"], epoch=2)
    assert [entry.batch.body for entry in other.read(10, 10)] == [b"more"]


def run_of(count, first=1, chain=GENESIS):
    """Return entries as another log has them: from two producers, chained, from ``first`` on."""
    entries = []
    for number in range(count):
        batch = Batch("ab"[number % 2], 7, number // 2 + 1, b"%d" % number * 9)
        chain = link(chain, batch)
        entries.append(Entry(first + number, batch, chain))
    return entries


@pytest.mark.parametrize("first", [1, 500])
def test_installed_entries_are_read_as_they_were_and_numbering_goes_on(opened, first):
    entries = run_of(150, first, bytes(32) if first == 1 else b"x" * 32)
    opened().install(iter(entries))
    log = opened()
    assert (log.first(), log.last()) == (first, first + 149)
    assert log.read(first - 1, 1000) == entries
    batch = Batch("c", 1, 1, b"next")
    assert log.append(batch, TIMEOUT_S) == first + 150
    assert log.append(entries[7].batch, TIMEOUT_S) == first + 7
    assert log.read(first + 149, 10) == [Entry(first + 150, batch, link(entries[-1].chain, batch))]
    log.trim(first + 100)
    assert log.first() > first
    assert opened().read(first + 120, 20) == entries[121:141]


def test_nothing_is_installed_into_a_log_that_has_entries(opened):
    log = opened()
    appended(log, [b"1"])
    with pytest.raises(NotEmpty):
        log.install(run_of(3))
    assert log.last() == 1


def test_installing_nothing_leaves_an_empty_log(opened):
    log = opened()
    log.install([])
    assert (log.first(), log.last()) == (1, 0)


def test_entries_that_do_not_follow_are_not_installed(opened):
    entries = run_of(5)
    entries[3] = Entry(4, entries[3].batch, bytes(32))
    with pytest.raises(Corrupt) as caught:
        opened().install(entries)
    assert caught.value.sequence == 4
