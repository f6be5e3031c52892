"""What survives when writer processes are killed or paused, and when the power goes.

KILLS=1000 in the environment makes the long run.
"""

import os
import random
import shutil
import signal
import subprocess

import pytest

from p2pcli.log.check import first_problem
from p2pcli.log.entry import Batch
from p2pcli.log.flock import NoTurn
from p2pcli.log.sqlite import SqliteLog

KILLS = int(os.environ.get("KILLS", "100"))
TIMEOUT_S = 30
NAMES = ["writer1", "writer2", "writer3"]


class Witness:
    """Reads the log entry by entry and knows where every batch is."""

    def __init__(self):
        self.entries = []
        self._places = {}

    def read(self, log):
        """Read on; read itself verifies density and chain from where it was."""
        while more := log.read(len(self.entries), 1000):
            self.entries += more
            for entry in more:
                batch = entry.batch
                assert (batch.producer, batch.epoch, batch.number) not in self._places, "in twice"
                self._places[batch.producer, batch.epoch, batch.number] = entry.sequence

    def confirm(self, writer):
        """Everything the writer was told is there, at the sequence it was told; return how many more are."""
        for number, sequence in writer.acknowledged.items():
            assert self._places.get((writer.producer, writer.epoch, number)) == sequence
        more = len(writer.acknowledged) + 1
        return int((writer.producer, writer.epoch, more) in self._places)


def test_nothing_acknowledged_is_lost_when_writers_are_killed(tmp_path, nursery):
    chance = random.Random(1)
    witness, unreported = Witness(), 0
    writers = [nursery.append(tmp_path, name) for name in NAMES]
    with SqliteLog(tmp_path) as log:
        for _ in range(KILLS):
            place = chance.randrange(len(NAMES))
            victim = writers[place]
            victim.reports(chance.randint(1, 5))
            victim.kill()
            witness.read(log)
            unreported += witness.confirm(victim)
            writers[place] = nursery.append(tmp_path, NAMES[place])
        for writer in writers:
            writer.kill()
            witness.read(log)
            witness.confirm(writer)
    assert first_problem(witness.entries) is None
    assert len(witness.entries) >= KILLS
    print(f"{KILLS} kills, {len(witness.entries)} entries, {unreported} committed and not reported")


def test_nothing_acknowledged_is_lost_when_everything_is_killed(tmp_path, nursery):
    # With every connection gone the next one recovers the WAL.
    for _ in range(max(KILLS // 10, 1)):
        writers = [nursery.append(tmp_path, name, body_bytes=3000) for name in NAMES]
        for writer in writers:
            writer.reports(3)
        for writer in writers:
            os.kill(writer.pid, signal.SIGSTOP)  # so that all die in the same instant
        for writer in writers:
            writer.kill()
        with SqliteLog(tmp_path) as log:
            witness = Witness()
            witness.read(log)
        for writer in writers:
            witness.confirm(writer)


def test_a_repeat_after_a_kill_is_in_once(tmp_path, nursery):
    writer = nursery.append(tmp_path, "writer1")
    writer.reports(5)
    writer.kill()
    unsure = max(writer.acknowledged) + 1
    with SqliteLog(tmp_path) as log:
        # The body as writers.py makes it.
        batch = Batch("writer1", writer.epoch, unsure, b"%d " % unsure * 10)
        sequence = log.append(batch, TIMEOUT_S)
        assert log.append(batch, TIMEOUT_S) == sequence
        witness = Witness()
        witness.read(log)
        witness.confirm(writer)


def test_a_paused_writer_costs_the_others_their_timeout_and_a_kill_frees_them(tmp_path, nursery):
    holder = nursery.hold(tmp_path)
    with SqliteLog(tmp_path / "elsewhere"):
        pass
    holder.reports(1)
    holder.pause()
    with pytest.raises(NoTurn, match="another process"):
        SqliteLog(tmp_path, timeout=0.05)
    holder.kill()
    with SqliteLog(tmp_path) as log:
        holder = nursery.hold(tmp_path)
        holder.reports(1)
        holder.pause()
        with pytest.raises(NoTurn):
            log.append(Batch("c1", 1, 1, b"first"), 0.05)
        assert log.read(0, 10) == []
        holder.kill()
        assert log.append(Batch("c1", 1, 1, b"second"), TIMEOUT_S) == 1


def test_a_log_closes_although_a_paused_process_holds_the_lock(tmp_path, nursery):
    log = SqliteLog(tmp_path, timeout=0.05)
    log.append(Batch("c1", 1, 1, b""), TIMEOUT_S)
    holder = nursery.hold(tmp_path)
    holder.reports(1)
    holder.pause()
    log.close()
    holder.kill()
    with SqliteLog(tmp_path) as log:
        assert log.last() == 1


def test_no_writer_starves(tmp_path, nursery):
    writers = [nursery.append(tmp_path, name) for name in NAMES]
    for writer in writers:
        writer.reports(1)
    before = [max(writer.acknowledged.values()) for writer in writers]
    writers[0].reports(300)
    for writer in writers:
        writer.kill()
    with SqliteLog(tmp_path) as log:
        entries = log.read(max(before), 10_000)
    shares = [sum(entry.batch.producer == name for entry in entries) for name in NAMES]
    assert min(shares) > max(shares) / 3, shares


def test_many_processes_make_one_folder_at_once(tmp_path, nursery):
    folder = tmp_path / "deep" / "log"
    writers = [nursery.append(folder, f"writer{number}") for number in range(8)]
    for writer in writers:
        writer.reports(2)
    for writer in writers:
        writer.kill()
    with SqliteLog(folder) as log:
        witness = Witness()
        witness.read(log)
    for writer in writers:
        witness.confirm(writer)


def test_a_failed_fsync_is_ambiguous_and_the_repeat_is_in_once(tmp_path, nursery):
    # The writer opens the log anew and repeats the same batch, as a node does.
    if shutil.which("strace") is None:
        pytest.skip("only strace can make an fsync fail")
    writer = nursery.append(tmp_path, "writer1")
    bystander = nursery.append(tmp_path, "writer2")
    writer.reports(3)
    command = ["strace", "-f", "-p", str(writer.pid), "-o", os.devnull]
    command += ["-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        if "attached" not in (said := strace.stderr.readline()):
            pytest.skip(f"strace may not look into processes here: {said.strip()}")
        writer.doubts(1)
        writer.reports(3)
        strace.terminate()
    bystander.reports(3)
    writer.kill()
    bystander.kill()
    with SqliteLog(tmp_path) as log:
        witness = Witness()
        witness.read(log)
    witness.confirm(writer)
    witness.confirm(bystander)


@pytest.fixture
def disk(tmp_path):
    """A file system on a file, whose bytes are what a power cut leaves, and not what only a cache holds."""
    image, folder = tmp_path / "image", tmp_path / "mounted"
    folder.mkdir()
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        pytest.skip("a disk of its own needs root and mkfs.ext4")
    with image.open("wb") as file:
        file.truncate(24 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0", image], check=True)
    mount(image, folder)
    yield image, folder
    subprocess.run(["umount", folder], check=True)


def mount(image, folder):
    done = subprocess.run(["mount", "-o", "loop", image, folder], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"loop devices are not permitted here: {done.stderr.strip()}")


def cut_power(image, folder, writers):
    """Return the entries that are there after a power cut at this moment, with every writer as it stands."""
    for writer in writers:
        writer.pause()
    copy, again = image.with_name("copy"), folder.with_name("again")
    shutil.copyfile(image, copy)
    for writer in writers:
        writer.reports(0)
    again.mkdir(exist_ok=True)
    mount(copy, again)
    try:
        with SqliteLog(again / "log") as log:
            witness = Witness()
            witness.read(log)
    finally:
        subprocess.run(["umount", again], check=True)
    return witness


def test_nothing_acknowledged_is_lost_when_the_power_goes(disk, nursery):
    image, folder = disk
    writers = [nursery.append(folder / "log", name) for name in NAMES]
    for _ in range(max(KILLS // 20, 1)):
        for writer in writers:
            writer.reports(20)
        witness = cut_power(image, folder, writers)
        for writer in writers:
            witness.confirm(writer)
            writer.resume()
    nursery.kill_all()


def test_an_ephemeral_log_does_lose_entries_when_the_power_goes(disk, nursery):
    # So the cut above would show a missing fsync.
    image, folder = disk
    with SqliteLog(folder / "log", durable=False):
        subprocess.run(["sync", "-f", folder], check=True)
    writers = [nursery.append(folder / "log", name, durable=False) for name in NAMES]
    for writer in writers:
        writer.reports(50)
    witness = cut_power(image, folder, writers)
    assert len(witness.entries) < sum(len(writer.acknowledged) for writer in writers)
    nursery.kill_all()
