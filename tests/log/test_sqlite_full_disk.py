"""A disk filled to the last byte: refused with certainty, read as before, and back by itself."""

import os
import subprocess

import pytest

from p2pcli.log.check import first_problem
from p2pcli.log.entry import Batch, LogFull
from p2pcli.log.sqlite import SqliteLog

TIMEOUT_S = 30


@pytest.fixture
def small_disk(tmp_path):
    """Sixteen megabytes."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "p2px-test", tmp_path]
    mounted = subprocess.run(command, capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"mounting is not permitted here: {mounted.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def fill_up(log, first=1, body=bytes(10_000)):
    """Append until the disk is full; return how many batches were acknowledged."""
    number = first
    while True:
        try:
            log.append(Batch("c1", 1, number, body), TIMEOUT_S)
        except LogFull:
            return number - first
        number += 1


def take_all_space(path):
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass


def test_a_full_disk_refuses_and_what_was_acknowledged_is_read(small_disk):
    with SqliteLog(small_disk / "log") as log:
        count = fill_up(log)
        assert count > 100
        assert log.last() == count
        assert fill_up(log, first=count + 1) == 0
        entries = [entry for after in range(0, count, 100) for entry in log.read(after, 100)]
        assert len(entries) == count
        assert first_problem(entries) is None


def test_a_refused_batch_is_not_in_after_everything_is_opened_anew(small_disk):
    with SqliteLog(small_disk / "log") as log:
        log.append(Batch("c1", 1, 1, b""), TIMEOUT_S)
        take_all_space(small_disk / "filler")
        count = fill_up(log, first=2) + 1
    take_all_space(small_disk / "filler2")  # what closing has freed
    with SqliteLog(small_disk / "log") as log:  # opens out of the ballast
        assert log.last() == count
        (small_disk / "filler").unlink()
        assert log.append(Batch("c1", 1, count + 1, b"other"), TIMEOUT_S) == count + 1


def test_a_full_disk_can_be_opened_by_another_process(small_disk):
    with SqliteLog(small_disk / "log") as log:
        count = fill_up(log)
        take_all_space(small_disk / "filler")
        with SqliteLog(small_disk / "log") as other:
            assert other.last() == count


def test_appending_goes_on_when_there_is_space_again(small_disk):
    with SqliteLog(small_disk / "log") as log:
        log.append(Batch("c1", 1, 1, b""), TIMEOUT_S)
        take_all_space(small_disk / "filler")
        count = fill_up(log, first=2) + 1
        (small_disk / "filler").unlink()
        assert log.append(Batch("c1", 1, count + 1, bytes(10_000)), TIMEOUT_S) == count + 1


def test_a_full_disk_is_trimmed_out_of_the_ballast(small_disk):
    with SqliteLog(small_disk / "log") as log:
        count = fill_up(log)
        take_all_space(small_disk / "filler")
        log.trim(count)
        assert log.first() == count
        assert log.append(Batch("c1", 1, count + 1, bytes(10_000)), TIMEOUT_S) == count + 1
    with SqliteLog(small_disk / "log") as log:
        assert [entry.sequence for entry in log.read(count, 10)] == [count + 1]
