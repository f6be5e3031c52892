"""Facts about finding the first thing wrong with a run of entries."""

import sqlite3

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pcli.log.chain import GENESIS, link
from p2pcli.log.check import check_log, first_problem
from p2pcli.log.entry import Batch, Entry
from p2pcli.log.sqlite import SqliteLog


def chained(count):
    entries, chain = [], GENESIS
    for sequence in range(1, count + 1):
        batch = Batch("c1", 1, sequence, b"%d" % sequence)
        chain = link(chain, batch)
        entries.append(Entry(sequence, batch, chain))
    return entries


def test_a_sound_log_has_no_problem():
    assert first_problem(chained(5)) is None
    assert first_problem([]) is None


def test_a_run_from_the_middle_is_checked_against_the_hash_before_it():
    entries = chained(5)
    assert first_problem(entries[2:], after=2, chain=entries[1].chain) is None
    assert first_problem(entries[2:], after=2, chain=GENESIS).sequence == 3


def test_an_unknown_hash_before_is_taken_on_trust_once():
    entries = chained(5)
    assert first_problem(entries[2:], after=2, chain=None) is None
    changed = msgspec.structs.replace(entries[3], chain=bytes(32))
    assert first_problem([entries[2], changed], after=2, chain=None).sequence == 4


@given(st.integers(0, 4), st.data())
def test_whatever_is_done_to_one_entry_is_found_there(index, data):
    entries = chained(5)
    entry = entries[index]
    batch = entry.batch
    match data.draw(st.sampled_from(["drop", "repeat", "producer", "epoch", "number", "body", "chain"])):
        case "drop":
            del entries[index]
            expected = None if index == 4 else index + 1  # a missing tail shows only beside a known length
        case "repeat":
            entries.insert(index, entry)
            expected = index + 2
        case "chain":
            entries[index] = msgspec.structs.replace(entry, chain=bytes(32))
            expected = index + 1
        case field:
            other = {"producer": "c2", "epoch": 2, "number": 9, "body": b"!"}[field]
            changed = msgspec.structs.replace(batch, **{field: other})
            entries[index] = msgspec.structs.replace(entry, batch=changed)
            expected = index + 1
    problem = first_problem(entries)
    assert (problem.sequence if problem else None) == expected


def test_a_batch_beyond_its_limits_is_a_problem_and_no_crash():
    entries = chained(3)
    for field, value in [("epoch", -1), ("number", 2**64), ("producer", "x" * 70_000)]:
        changed = msgspec.structs.replace(entries[1].batch, **{field: value})
        problem = first_problem([entries[0], msgspec.structs.replace(entries[1], batch=changed)])
        assert problem.sequence == 2
        assert field in problem.what


def damage(folder, statement):
    with sqlite3.connect(folder / "log.db") as connection:
        connection.execute(statement)
    connection.close()


@pytest.fixture
def log(tmp_path):
    with SqliteLog(tmp_path, durable=False) as opened:
        for number in range(1, 2501):
            opened.append(Batch("c1", 1, number, b"%d" % number), 30)
        yield opened


def test_a_sound_log_is_reported_with_its_last_hash(log):
    report = check_log(log)
    assert report == (1, 2500, log.read(2499, 1)[0].chain, None)


def test_a_trimmed_log_is_checked_from_its_first_entry(log):
    log.trim(1500)
    assert check_log(log)[:2] == (1500, 2500)


def test_a_log_that_is_trimmed_meanwhile_is_checked_from_where_it_begins_then(tmp_path, log):
    class TrimmedMeanwhile(SqliteLog):
        def read(self, after, limit):
            entries = super().read(after, min(limit, 100))
            self.trim(2000)
            return entries

    with TrimmedMeanwhile(tmp_path, durable=False) as other:
        assert check_log(other) == (2000, 2500, log.read(2499, 1)[0].chain, None)


def test_the_first_problem_of_a_log_is_reported_with_what_is_sound_before_it(log, tmp_path):
    sound = log.read(1199, 1)[0]
    damage(tmp_path, "UPDATE batch SET body = x'00' WHERE sequence = 1201")
    report = check_log(log)
    assert report[:3] == (1, 1200, sound.chain)
    assert report.problem.sequence == 1201
    assert "entry 1201 does not follow" in report.problem.what


def test_an_empty_log_is_sound(tmp_path):
    with SqliteLog(tmp_path) as empty:
        assert check_log(empty) == (1, 0, None, None)
