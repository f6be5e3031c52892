"""Facts about the limits of a batch and about epochs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pcli.log.entry import (
    MAX_BODY,
    MAX_NUMBER,
    MAX_PRODUCER,
    Ambiguous,
    BadBatch,
    Batch,
    LogFull,
    Unavailable,
    check_batch,
    new_epoch,
)

GOOD = Batch("c1", 0, 1, b"")


@pytest.mark.parametrize(
    "batch",
    [
        GOOD,
        Batch("x" * MAX_PRODUCER, MAX_NUMBER, MAX_NUMBER, bytes(MAX_BODY)),
        Batch("é" * (MAX_PRODUCER // 2), 0, 1, b""),
    ],
)
def test_a_batch_at_its_limits_is_good(batch):
    check_batch(batch)


@pytest.mark.parametrize(
    ("batch", "named"),
    [
        (Batch("", 0, 1, b""), "producer"),
        (Batch("x" * (MAX_PRODUCER + 1), 0, 1, b""), "producer"),
        (Batch("é" * (MAX_PRODUCER // 2 + 1), 0, 1, b""), "producer"),
        (Batch("\ud800", 0, 1, b""), "producer"),
        (Batch("c1", -1, 1, b""), "epoch"),
        (Batch("c1", MAX_NUMBER + 1, 1, b""), "epoch"),
        (Batch("c1", 0, 0, b""), "number"),
        (Batch("c1", 0, MAX_NUMBER + 1, b""), "number"),
        (Batch("c1", 0, 1, bytes(MAX_BODY + 1)), "body"),
    ],
)
def test_a_batch_beyond_a_limit_is_refused_by_name(batch, named):
    with pytest.raises(BadBatch, match=named):
        check_batch(batch)


@given(st.integers(0, MAX_NUMBER), st.integers(0, 2**64))
def test_a_new_epoch_is_higher_and_fits(previous, random_bits):
    if previous >> 32 == 2**31 - 1:
        with pytest.raises(BadBatch, match="epoch counter"):
            new_epoch(previous, random_bits)
    else:
        assert previous < new_epoch(previous, random_bits) <= MAX_NUMBER


def test_two_starts_from_one_epoch_differ_by_their_random_bits():
    assert new_epoch(5 << 32, 1) != new_epoch(5 << 32, 2)
    assert new_epoch(5 << 32, 1) >> 32 == new_epoch(5 << 32, 2) >> 32 == 6


def test_a_full_disk_is_certain_and_an_ambiguous_commit_is_not():
    assert issubclass(LogFull, Unavailable)
    assert not issubclass(Ambiguous, Unavailable)
