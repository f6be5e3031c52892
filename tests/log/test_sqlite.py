"""What the SQLite log does beyond the conformance of every engine: files, syncing, checkpoints, trouble."""

import resource
import shutil
import sqlite3
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from p2pcli.log.entry import Ambiguous, Batch, Broken, Corrupt, Unavailable
from p2pcli.log.sqlite import CHECKPOINT_BYTES, TRIM_ROWS, SqliteLog

TIMEOUT_S = 30


def fill(log, count, first=1, body=b"body"):
    for number in range(first, first + count):
        log.append(Batch("c1", 1, number, body), TIMEOUT_S)


@pytest.fixture
def log(tmp_path):
    with SqliteLog(tmp_path / "log") as opened:
        yield opened


def test_the_folder_holds_the_documented_files(log, tmp_path):
    names = {path.name for path in (tmp_path / "log").iterdir()}
    assert names == {
        "log.db", "log.db-wal", "log.db-shm", "gate", "lock", "bell", "ballast", "format"
    }  # fmt: skip


@pytest.mark.parametrize(("durable", "level"), [(True, 2), (False, 0)])
def test_every_connection_syncs_as_promised_and_leaves_checkpoints_to_us(tmp_path, durable, level):
    with SqliteLog(tmp_path, durable=durable) as log:
        for connection in (log._writer, log._rows._connection):
            for pragma, value in [("synchronous", level), ("wal_autocheckpoint", 0), ("journal_mode", "wal")]:
                assert connection.execute(f"PRAGMA {pragma}").fetchone() == (value,)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            log._rows._connection.execute("DELETE FROM batch")


def test_opening_moves_what_a_killed_process_left_into_the_database(tmp_path, nursery):
    # A recovered WAL may hold commits that were never synced; shown only once they are.
    writer = nursery.append(tmp_path / "log", "writer1")
    writer.reports(20)
    writer.kill()
    with SqliteLog(tmp_path / "log") as log:
        entries = log.read(0, 1000)
        shutil.copytree(tmp_path / "log", tmp_path / "copy", ignore=shutil.ignore_patterns("log.db-*"))
    with SqliteLog(tmp_path / "copy") as copy:
        assert copy.read(0, 1000) == entries
    assert len(entries) >= 20


def test_the_wal_stays_small(log, tmp_path):
    fill(log, 100, body=bytes(200_000))
    assert (tmp_path / "log" / "log.db-wal").stat().st_size < 2 * CHECKPOINT_BYTES
    assert (tmp_path / "log" / "log.db").stat().st_size > 3 * CHECKPOINT_BYTES


def test_a_reader_in_mid_read_delays_the_checkpoint_and_nobody(log, tmp_path):
    fill(log, 1)
    reader = sqlite3.connect(tmp_path / "log" / "log.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM batch").fetchall()
    fill(log, 60, first=2, body=bytes(200_000))
    wal = tmp_path / "log" / "log.db-wal"
    grown = wal.stat().st_size
    assert grown > 2 * CHECKPOINT_BYTES
    reader.close()
    fill(log, 60, first=62, body=bytes(200_000))
    assert wal.stat().st_size < grown + 2 * CHECKPOINT_BYTES


def test_trimmed_room_is_used_again(log, tmp_path):
    fill(log, 100, body=bytes(20_000))
    size = (tmp_path / "log" / "log.db").stat().st_size
    for round_ in range(1, 4):
        log.trim(log.last())
        fill(log, 100, first=round_ * 100 + 1, body=bytes(20_000))
    log.trim(log.last())
    log.close()
    assert (tmp_path / "log" / "log.db").stat().st_size < size + 2 * CHECKPOINT_BYTES


def test_a_long_trim_is_many_short_ones_with_appends_between(log, tmp_path):
    fill(log, 3 * TRIM_ROWS)
    steps = []
    trim_some = log._trim_some

    def counted(before):
        steps.append(log.first())
        return trim_some(before)

    log._trim_some = counted
    log.trim(3 * TRIM_ROWS)
    assert steps[:4] == [1, TRIM_ROWS + 1, 2 * TRIM_ROWS + 1, 3 * TRIM_ROWS]
    assert log.first() == 3 * TRIM_ROWS


def test_the_last_to_close_leaves_one_file_of_data(tmp_path):
    one, other = SqliteLog(tmp_path), SqliteLog(tmp_path)
    fill(one, 3)
    one.close()
    assert (tmp_path / "log.db-wal").exists()
    other.close()
    assert not (tmp_path / "log.db-wal").exists()


def test_an_append_rings_the_bell(tmp_path):
    # With a poll of a minute only the bell can wake the reader in time.
    with SqliteLog(tmp_path, poll_s=60) as reader, SqliteLog(tmp_path) as writer:
        woken = threading.Thread(target=reader.wait, args=(0, 60))
        woken.start()
        fill(writer, 1)
        woken.join(TIMEOUT_S)
        assert not woken.is_alive()


def test_closing_waits_for_its_turn_because_it_may_checkpoint(tmp_path, nursery):
    log = SqliteLog(tmp_path, timeout=TIMEOUT_S)
    fill(log, 1)
    holder = nursery.hold(tmp_path)
    holder.reports(1)
    closing = threading.Thread(target=log.close)
    closing.start()
    while not log._doors._queueing:
        assert closing.is_alive()
    assert (tmp_path / "log.db-wal").exists()
    holder.kill()
    closing.join(TIMEOUT_S)
    assert not (tmp_path / "log.db-wal").exists()


def test_a_program_that_ignores_the_lock_is_named(log, tmp_path):
    log._writer.execute("PRAGMA busy_timeout = 10")
    rude = sqlite3.connect(tmp_path / "log" / "log.db", isolation_level=None)
    rude.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="another program"):
        fill(log, 1)
    rude.close()
    fill(log, 1)
    assert log.last() == 1


@contextmanager
def files_no_larger_than(limit):
    """A write beyond the limit fails with EFBIG: a failing disk that needs no privileges."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_failed_commit_is_ambiguous_and_ends_the_log_object(log, tmp_path):
    fill(log, 3)
    batch = Batch("c1", 1, 4, bytes(100_000))
    limit = (tmp_path / "log" / "log.db-wal").stat().st_size + 5_000
    with files_no_larger_than(limit), pytest.raises(Ambiguous, match="may be in or not"):
        log.append(batch, TIMEOUT_S)
    for call in (log.last, lambda: log.append(batch, 1), lambda: log.read(0, 1), lambda: log.trim(2)):
        with pytest.raises(Broken):
            call()
    with SqliteLog(tmp_path / "log") as again:
        assert again.append(batch, TIMEOUT_S) == again.append(batch, TIMEOUT_S) == 4
        assert [entry.batch.number for entry in again.read(0, 10)] == [1, 2, 3, 4]


def test_a_failed_checkpoint_keeps_what_was_acknowledged_and_ends_the_log_object(log, tmp_path):
    big = bytes(200_000)
    limit = CHECKPOINT_BYTES + 1_000_000
    with files_no_larger_than(limit), pytest.raises(Broken, match="checkpoint failed"):
        fill(log, 100, body=big)
    with SqliteLog(tmp_path / "log") as again:
        entries = again.read(0, 1000)
    assert len(entries) > 30
    assert all(entry.batch.body == big for entry in entries)


def test_a_log_whose_first_checkpoint_fails_is_not_opened(tmp_path, nursery):
    # Else it would show what may not be synced.
    writer = nursery.append(tmp_path, "writer1", body_bytes=4000)
    writer.reports(20)
    writer.kill()
    with files_no_larger_than(50_000), pytest.raises(Broken, match="checkpoint failed"):
        SqliteLog(tmp_path)
    with SqliteLog(tmp_path) as log:
        assert log.last() >= 20


def test_a_removed_folder_stops_appending(log, tmp_path):
    fill(log, 1)
    shutil.rmtree(tmp_path / "log")
    with pytest.raises(Unavailable, match="removed"):
        fill(log, 1, first=2)


@pytest.mark.parametrize("where", ["/proc/p2px/log", "/dev/null", "/dev/null/log"])
def test_a_folder_that_cannot_be_made_is_named(where):
    with pytest.raises(Unavailable, match=where):
        SqliteLog(Path(where))


def test_a_trimmed_batch_is_not_recognised_any_more(log):
    # That is the machine's part: it drops what its session table has seen.
    fill(log, 3)
    log.trim(3)
    assert log.append(Batch("c1", 1, 1, b"body"), TIMEOUT_S) == 4


def test_a_log_that_went_back_is_noticed_by_its_reader(tmp_path):
    with SqliteLog(tmp_path / "log") as log:
        fill(log, 2)
    shutil.copytree(tmp_path / "log", tmp_path / "copy")
    with SqliteLog(tmp_path / "log") as log:
        fill(log, 3, first=3)
    with SqliteLog(tmp_path / "copy") as log, pytest.raises(Corrupt) as caught:
        log.read(5, 1)
    assert caught.value.sequence == 3
