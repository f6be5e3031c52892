"""Files cut short, flipped, put back or lost: refused and named, or repaired where nobody was told of it."""

import random
import shutil
import signal
from pathlib import Path
from typing import NamedTuple

import pytest
from herd import BTC, MARKET, Herd, wait_until
from recovery import Recovered, plan_in, recovered

from p2pcli.errors import P2pxError
from p2pcli.log.sqlite import SqliteLog
from p2pcli.market.commands import Place, Side
from p2pcli.node.archive import Archive
from p2pcli.node.plan import NodePlan
from p2pcli.rpc.credentials import Credentials

pytestmark = pytest.mark.slow

PLACE = MARKET.replace("/", "-")
OFFSETS = 8  # of each file, where it is damaged


class Sound(NamedTuple):
    """The files of a node that was killed at rest, an older copy of its log, and what it had told."""

    home: Path
    older: Path
    credentials: Credentials
    sequence: int
    digest: bytes


def files_of(herd: Herd, home: Path) -> Path:
    """Copy a dead node's folders."""
    shutil.copytree(herd.folder.data, home / "log")
    shutil.copytree(herd.folder.nodes / "client1", home / "node")
    shutil.copy(herd.folder.secret_path, home / "secret")
    return home


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    herd = Herd(tmp_path_factory.mktemp("sound"), snapshot_commands=20, durable=False)
    homes = [tmp_path_factory.mktemp(name) for name in ("older", "newer")]
    sequence, digest = 0, b""
    for home in homes:
        assert not herd.start().failure
        with herd.client() as client:
            for number in range(40):
                sell = Place(Side.SELL, 5, 100 + number % 5)
                sequence = client.submit(MARKET, [sell, Place(Side.BUY, 3, 100 + number % 7)]).sequence
            sequence, digest = client.state_digest(MARKET)
        with Archive(herd.folder.nodes / "client1" / PLACE / "history.db") as archive:
            wait_until(lambda archive=archive, goal=sequence: archive.last() >= goal)
        wait_until(lambda: list((herd.folder.nodes / "client1" / PLACE).glob("*.snapshot")))
        herd.end_all(signal.SIGKILL)  # so that a part is in the WAL alone
        files_of(herd, home)
    return Sound(homes[1], homes[0], herd.folder.credentials(), sequence, digest)


@pytest.fixture
def home(sound: Sound, tmp_path: Path) -> Path:
    """A copy to damage."""
    return fresh(sound, tmp_path)


def log_file(sound: Sound, parent: Path, name: str) -> Path:
    """Copy the sound files so that every byte of ``name`` matters, and return where it is.

    Without its snapshots a node reads every entry of the log. While there is a WAL, it has every page of
    this small log, and would repair log.db: closing the log in order folds it in.
    """
    home = fresh(sound, parent)
    for path in (home / "node" / PLACE).glob("*.snapshot"):
        path.unlink()
    if name == "log.db":
        with SqliteLog(home / "log" / PLACE, durable=False):
            pass
    return home / "log" / PLACE / name


def fresh(sound: Sound, parent: Path) -> Path:
    home = parent / "copy"
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(sound.home, home)
    return home


def restart(home: Path, sound: Sound) -> Recovered:
    base = NodePlan("herd", "client1", "", "", [BTC], "", durable=False)
    return recovered(plan_in(home, base), MARKET, sound.credentials)


def check(found: Recovered, sound: Sound, where: object) -> bool:
    """Whether it was refused; otherwise it must have everything that was acknowledged."""
    if found.failure is None:
        assert (found.sequence, found.digest) == (sound.sequence, sound.digest), where
        return False
    assert isinstance(found.failure, P2pxError), (where, found.failure)
    assert any(word in found.failure.message for word in ("log", "entry", "history")), found.failure.message
    return True


def test_without_damage_everything_is_there_again(home, sound):
    assert not check(restart(home, sound), sound, "nothing")


@pytest.mark.parametrize("name", ["log.db", "log.db-wal"])
def test_a_log_cut_short_is_refused_or_whole(sound, tmp_path, rounds, name):
    chance, refused = random.Random(name), 0
    for _ in range(OFFSETS * rounds):
        path = log_file(sound, tmp_path, name)
        data = path.read_bytes()
        length = chance.randrange(len(data))
        path.write_bytes(data[:length])
        refused += check(restart(tmp_path / "copy", sound), sound, (name, length))
    assert refused


@pytest.mark.parametrize("name", ["log.db", "log.db-wal"])
def test_a_flipped_bit_in_the_log_is_refused_or_does_no_harm(sound, tmp_path, rounds, name):
    chance = random.Random(name)
    for _ in range(OFFSETS * rounds):
        path = log_file(sound, tmp_path, name)
        data = bytearray(path.read_bytes())
        place, bit = chance.randrange(len(data)), 1 << chance.randrange(8)
        data[place] ^= bit
        path.write_bytes(data)
        check(restart(tmp_path / "copy", sound), sound, (name, place, bit))


def test_an_older_copy_of_the_log_is_refused_and_the_sequence_named(home, sound):
    shutil.rmtree(home / "log")
    shutil.copytree(sound.older / "log", home / "log")
    found = restart(home, sound)
    assert check(found, sound, "older")
    assert isinstance(found.failure, P2pxError)
    assert f"node client1 has applied {sound.sequence}" in found.failure.message


def test_a_log_that_is_gone_is_refused(home, sound):
    shutil.rmtree(home / "log")
    assert check(restart(home, sound), sound, "gone")


def test_damaged_snapshots_are_passed_over_for_the_log(home, sound):
    snapshots = list((home / "node" / PLACE).glob("*.snapshot"))
    assert snapshots
    for path in snapshots:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    assert not check(restart(home, sound), sound, "snapshots")


def test_half_a_snapshot_is_passed_over(home, sound):
    for path in (home / "node" / PLACE).glob("*.snapshot"):
        path.write_bytes(path.read_bytes()[:-7])
    assert not check(restart(home, sound), sound, "half")


def test_a_node_whose_own_files_are_gone_has_all_from_the_log(home, sound):
    shutil.rmtree(home / "node")
    assert not check(restart(home, sound), sound, "own files")


def test_a_flipped_bit_in_history_is_refused_or_does_no_harm(sound, tmp_path, rounds):
    chance = random.Random(5)
    for _ in range(OFFSETS * rounds):
        path = fresh(sound, tmp_path) / "node" / PLACE / "history.db"
        data = bytearray(path.read_bytes())
        place = chance.randrange(len(data))
        data[place] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        check(restart(tmp_path / "copy", sound), sound, ("history.db", place))
