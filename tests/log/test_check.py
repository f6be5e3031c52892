"""Facts about finding the first thing wrong with a run of entries."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from p2pcli.log.chain import GENESIS, link
from p2pcli.log.check import first_problem
from p2pcli.log.entry import Batch, Entry


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
