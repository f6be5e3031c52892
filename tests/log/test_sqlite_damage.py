"""Damaged files are refused by name, and never read as something else.

FLIPS=2000 in the environment makes the long run.
"""

import os
import random
import shutil
import sqlite3

import pytest

from p2pcli.errors import P2pxError
from p2pcli.log.entry import Batch, Broken, Corrupt
from p2pcli.log.schema import ForeignFile
from p2pcli.log.sqlite import SqliteLog

FLIPS = int(os.environ.get("FLIPS", "60"))
TIMEOUT_S = 30


def fill(log, count, first=1):
    for number in range(first, first + count):
        log.append(Batch("client1", 1 << 32, number, b"%d," % number * (number % 40 + 1)), TIMEOUT_S)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A closed log of 200 entries, all of it in log.db, and its entries."""
    folder = tmp_path_factory.mktemp("sound") / "log"
    with SqliteLog(folder) as log:
        fill(log, 199)
        log.append(Batch("client2", 1, 1, bytes(20_000)), TIMEOUT_S)
        entries = log.read(0, 1000)
    return folder, entries


def read_all(folder):
    """Return what can be read, and the failure that ended it or None."""
    entries = []
    try:
        with SqliteLog(folder, durable=False) as log:
            while more := log.read(len(entries), 50):
                entries += more
    except P2pxError as failure:
        return entries, failure
    return entries, None


def damaged(sound_folder, target, change):
    """Copy the log with log.db changed by ``change``."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(sound_folder, target)
    path = target / "log.db"
    path.write_bytes(change(bytearray(path.read_bytes())))
    return target


def test_a_flipped_bit_is_named_or_harmless_and_never_read(sound, tmp_path):
    folder, entries = sound
    size = (folder / "log.db").stat().st_size
    chance, named = random.Random(1), 0
    for _ in range(FLIPS):
        place, bit = chance.randrange(size), 1 << chance.randrange(8)

        def flip(data, place=place, bit=bit):
            data[place] ^= bit
            return data

        found, failure = read_all(damaged(folder, tmp_path / "copy", flip))
        assert found == entries[: len(found)], (place, bit)
        if failure is None:
            assert len(found) == len(entries), (place, bit)  # the index, or room that is not in use
        else:
            assert isinstance(failure, Corrupt | ForeignFile), (place, bit, failure)
            assert not isinstance(failure, Corrupt) or failure.sequence in (0, len(found) + 1), (place, bit)
            named += 1
    assert named > FLIPS / 3


def test_a_file_cut_short_is_refused(sound, tmp_path):
    folder, entries = sound
    size = (folder / "log.db").stat().st_size
    chance = random.Random(1)
    for length in [
        0,
        1,
        99,
        100,
        4095,
        4096,
        size - 4096,
        size - 1,
        *(chance.randrange(size) for _ in range(10)),
    ]:
        found, failure = read_all(
            damaged(folder, tmp_path / "copy", lambda data, length=length: data[:length])
        )
        assert isinstance(failure, Corrupt), length
        assert found == entries[: len(found)], length


def test_a_missing_database_is_a_loss_and_not_a_beginning(sound, tmp_path):
    folder, _ = sound
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy" / "log.db").unlink()
    with pytest.raises(Corrupt, match="empty file or none"):
        SqliteLog(tmp_path / "copy")
    with pytest.raises(Corrupt):  # the first attempt has not made one
        SqliteLog(tmp_path / "copy")


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ("DELETE FROM batch WHERE sequence = 100", 100),
        ("UPDATE batch SET body = x'00' WHERE sequence = 100", 100),
        ("UPDATE batch SET producer = 'client3' WHERE sequence = 100", 100),
        ("UPDATE batch SET chain = zeroblob(32) WHERE sequence = 100", 100),
        ("UPDATE batch SET producer = CAST(x'ff' AS TEXT) WHERE sequence = 100", 100),
        ("UPDATE batch SET epoch = -1 WHERE sequence = 100", 100),
        ("UPDATE batch SET sequence = 300 WHERE sequence = 200", 200),
        ("UPDATE batch SET sequence = 99999 WHERE sequence = 100", 100),
        ("DROP INDEX batch_key", 0),
        ("DROP TABLE batch", 0),
    ],
)
def test_a_changed_row_is_named(sound, tmp_path, damage, named):
    folder, entries = sound
    shutil.copytree(folder, tmp_path / "copy")
    with sqlite3.connect(tmp_path / "copy" / "log.db") as connection:
        connection.execute(damage)
    connection.close()
    found, failure = read_all(tmp_path / "copy")
    assert isinstance(failure, Corrupt)
    assert failure.sequence == named
    assert found == entries[: max(named - 1, 0)]


def test_an_entry_that_changes_behind_a_reader_is_named(tmp_path):
    with SqliteLog(tmp_path) as log:
        fill(log, 5)
        log.read(0, 3)
        with sqlite3.connect(tmp_path / "log.db") as connection:
            connection.execute("UPDATE batch SET chain = zeroblob(32) WHERE sequence = 3")
        connection.close()
        with pytest.raises(Corrupt) as caught:
            log.read(3, 10)
        assert caught.value.sequence == 3
        with pytest.raises(Broken, match="damaged"):
            log.last()


def test_an_appender_does_not_build_on_a_changed_tail(tmp_path):
    with SqliteLog(tmp_path) as log:
        fill(log, 5)
        with sqlite3.connect(tmp_path / "log.db") as connection:
            connection.execute("UPDATE batch SET chain = zeroblob(32) WHERE sequence = 5")
        connection.close()
        with pytest.raises(Corrupt) as caught:
            fill(log, 1, first=6)
        assert caught.value.sequence == 5


def test_an_appender_does_not_fill_the_place_of_a_lost_entry(tmp_path):
    with SqliteLog(tmp_path) as log:
        fill(log, 5)
        with sqlite3.connect(tmp_path / "log.db") as connection:
            connection.execute("DELETE FROM batch WHERE sequence >= 4")
        connection.close()
        with pytest.raises(Corrupt) as caught:
            fill(log, 1, first=6)
        assert caught.value.sequence == 4


def test_a_flipped_bit_in_the_wal_is_noticed_by_the_chain(tmp_path):
    # SQLite checks its WAL only when it recovers it; while processes live it believes every byte.
    chance, noticed = random.Random(1), 0
    for attempt in range(FLIPS // 6):
        folder = tmp_path / str(attempt)
        with SqliteLog(folder) as log:
            fill(log, 60)
            wal = folder / "log.db-wal"
            data = bytearray(wal.read_bytes())
            data[chance.randrange(len(data) - 20_000, len(data))] ^= 1 << chance.randrange(8)
            wal.write_bytes(data)  # no lock of SQLite is on this file
            found, failure = read_all(folder)
            assert [entry.batch.number for entry in found] == list(range(1, len(found) + 1))
            if failure is None:
                assert len(found) == 60
            else:
                assert isinstance(failure, Corrupt)
                noticed += 1
    assert noticed > 0


def test_a_torn_tail_of_the_wal_costs_only_what_was_torn(sound, tmp_path):
    with SqliteLog(tmp_path / "log", durable=False) as log:
        fill(log, 60)
        entries = log.read(0, 100)
        # As after a crash of everything: database and WAL, no shared index.
        shutil.copytree(tmp_path / "log", tmp_path / "crashed", ignore=shutil.ignore_patterns("*-shm"))
    data = (tmp_path / "crashed" / "log.db-wal").read_bytes()
    lengths = set()
    for length in range(len(data), 0, -(len(data) // 12)):
        shutil.rmtree(tmp_path / "torn", ignore_errors=True)
        shutil.copytree(tmp_path / "crashed", tmp_path / "torn")
        (tmp_path / "torn" / "log.db-wal").write_bytes(data[:length])
        found, failure = read_all(tmp_path / "torn")
        assert failure is None
        assert found == entries[: len(found)]
        lengths.add(len(found))
    assert len(lengths) > 5
    assert max(lengths) == 60


def test_another_program_s_database_is_left_alone(tmp_path):
    path = tmp_path / "log.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(ForeignFile, match="another program"):
        SqliteLog(tmp_path)
    assert path.read_bytes() == before


def test_a_log_of_a_later_version_is_refused(sound, tmp_path):
    folder, _ = sound
    shutil.copytree(folder, tmp_path / "copy")
    with sqlite3.connect(tmp_path / "copy" / "log.db") as connection:
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(ForeignFile, match="format 1, found 2"):
        SqliteLog(tmp_path / "copy")
