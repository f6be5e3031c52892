"""The power goes while clients trade: what was acknowledged is in what the disk has.

The nodes' folder is a file system on a file. A copy of that file is what a disk holds in that instant: of
what was written and not synced it has only what the kernel had come to write, and the rest is lost, as with
a real power cut. Needs root and loop devices.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from herd import MARKET, Herd, Load, violations, wait_until

from p2pcli.cluster.chaos.ledger import Telling, Told

pytestmark = pytest.mark.slow

IMAGE_MIB = 64
BETWEEN = 120  # answers from one cut to the next


def mounted(image: Path, folder: Path) -> None:
    done = subprocess.run(["mount", "-o", "loop", image, folder], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"loop devices are not permitted here: {done.stderr.strip()}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Give a disk's image, and where it is mounted."""
    image, folder = tmp_path / "image", tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        pytest.skip("a disk of its own needs root and mkfs.ext4")
    with image.open("wb") as file:
        file.truncate(IMAGE_MIB << 20)
    subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0", image], check=True)
    mounted(image, folder)
    yield image, folder
    subprocess.run(["umount", folder], check=True)


def cut(herd: Herd, image: Path, copy: Path) -> None:
    """Copy what the disk has now. Nothing moves meanwhile, so it is one instant."""
    for node in herd.nodes.values():
        node.send(signal.SIGSTOP)
    shutil.copyfile(image, copy)
    for node in herd.nodes.values():
        node.send(signal.SIGCONT)


def lost_after_the_cut(copy: Path, folder: Path, told: list[Telling]) -> list[str]:
    """Start every node from the copied disk and return what of the answers is not there."""
    folder.mkdir(exist_ok=True)
    mounted(copy, folder)
    herd = Herd(folder)
    try:
        herd.start_all()
        return violations(herd.arena(), told)
    finally:
        herd.end_all(signal.SIGKILL)
        subprocess.run(["umount", folder], check=True)


def test_nothing_acknowledged_is_lost_when_the_power_goes(disk, tmp_path, rounds):
    image, folder = disk
    herd = Herd(folder)
    herd.start_all()
    load = Load(herd, seed=3)
    try:
        for number in range(2 * rounds):
            goal = load.answered + BETWEEN
            wait_until(lambda goal=goal: load.answered >= goal, 60, "clients trade")
            told = [each for each in load.tellings if each.told is Told.OK]
            cut(herd, image, tmp_path / "copy")
            assert lost_after_the_cut(tmp_path / "copy", tmp_path / "again", told) == [], f"cut {number}"
    finally:
        load.stop()
        herd.end_all(signal.SIGKILL)


def test_without_fsync_the_same_cut_does_lose_what_was_acknowledged(disk, tmp_path):
    # So the cut above would show a missing fsync.
    image, folder = disk
    herd = Herd(folder, durable=False)
    herd.start_all()
    subprocess.run(["sync", "-f", folder], check=True)
    load = Load(herd, seed=4)
    try:
        wait_until(lambda: load.answered >= BETWEEN, 60, "clients trade")
        told = max(each.sequence for each in load.tellings if each.told is Told.OK)
        cut(herd, image, tmp_path / "copy")
    finally:
        load.stop()
        herd.end_all(signal.SIGKILL)
    again = tmp_path / "again"
    again.mkdir()
    mounted(tmp_path / "copy", again)
    survivor = Herd(again, durable=False)
    try:
        node = survivor.start()
        if not node.failure:
            with survivor.client() as client:
                assert client.book(MARKET).sequence < told
    finally:
        survivor.end_all(signal.SIGKILL)
        subprocess.run(["umount", again], check=True)
