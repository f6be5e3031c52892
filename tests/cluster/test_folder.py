"""The folder of a cluster: its files, its locks, and what goes wrong with them."""

import fcntl
import os
import stat
from pathlib import Path

import pytest

from p2pcli.cluster.folder import (
    BadClusterName,
    BadPlanFile,
    ClusterFolder,
    ClusterNotRunning,
    FolderUnusable,
    clusters,
)
from p2pcli.cluster.folder_lock import FolderLock
from p2pcli.cluster.plan import ClusterPlan
from p2pcli.cluster.report import ClusterReport, ClusterState

PLAN = ClusterPlan(name="default", nodes=(), members=(), markets=())
REPORT = ClusterReport("default", ClusterState.READY, "sqlite", 7)


@pytest.fixture
def folder(tmp_path: Path) -> ClusterFolder:
    folder = ClusterFolder(tmp_path / "home", "default")
    folder.prepare()
    return folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "-x", "a b", "é", "x" * 64, "a\n", "a\0"])
def test_a_name_that_is_no_plain_word_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadClusterName):
        ClusterFolder(tmp_path, name)


def test_a_folder_that_was_never_made_is_empty(tmp_path: Path) -> None:
    folder = ClusterFolder(tmp_path, "default")
    assert (folder.exists(), folder.plan(), folder.report()) == (False, None, None)
    assert list(tmp_path.iterdir()) == []


def test_everything_is_for_the_user_alone(folder: ClusterFolder) -> None:
    folder.keep_plan(PLAN)
    folder.keep_report(REPORT)
    assert mode(folder.path) == 0o700
    for path in (folder.secret_path, folder.plan_path, folder.state_path):
        assert mode(path) == 0o600
    for path in (folder.logs, folder.data, folder.nodes, folder.registry):
        assert mode(path) == 0o700


def test_a_folder_that_others_could_read_is_closed(tmp_path: Path) -> None:
    (tmp_path / "default").mkdir(mode=0o755)
    ClusterFolder(tmp_path, "default").prepare()
    assert mode(tmp_path / "default") == 0o700


def test_the_secret_is_32_bytes_and_stays(folder: ClusterFolder) -> None:
    secret = folder.secret()
    folder.prepare()
    assert len(secret) == 32
    assert folder.secret() == secret


def test_every_cluster_has_another_secret(folder: ClusterFolder, tmp_path: Path) -> None:
    other = ClusterFolder(tmp_path, "other")
    other.prepare()
    assert other.secret() != folder.secret()


def test_no_secret_means_that_no_cluster_runs(tmp_path: Path) -> None:
    with pytest.raises(ClusterNotRunning) as caught:
        ClusterFolder(tmp_path, "default").secret()
    assert (str(caught.value), caught.value.hint) == ("no cluster is running", "p2px cluster up -n 3")


def test_a_damaged_secret_is_named(folder: ClusterFolder) -> None:
    folder.secret_path.write_text("not hex")
    with pytest.raises(FolderUnusable, match="secret"):
        folder.secret()


def test_plan_and_report_are_kept(folder: ClusterFolder) -> None:
    folder.keep_plan(PLAN)
    folder.keep_report(REPORT)
    assert (folder.plan(), folder.report()) == (PLAN, REPORT)
    folder.forget_report()
    assert (folder.plan(), folder.report()) == (PLAN, None)


@pytest.mark.parametrize("damage", [b"", b"{", b'{"version": 1}', b"\xff\xfe", b"[]"])
def test_a_damaged_plan_is_named_and_a_damaged_report_is_none(folder: ClusterFolder, damage: bytes) -> None:
    folder.plan_path.write_bytes(damage)
    folder.state_path.write_bytes(damage)
    with pytest.raises(BadPlanFile, match=str(folder.plan_path)):
        folder.plan()
    assert folder.report() is None


def test_a_plan_of_another_version_is_refused(folder: ClusterFolder) -> None:
    folder.keep_plan(ClusterPlan(version=99, name="default", nodes=(), members=(), markets=()))
    with pytest.raises(BadPlanFile, match="version 99"):
        folder.plan()


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "Documents").mkdir()
    (tmp_path / "Documents" / "thesis.txt").write_text("years of work")
    folder = ClusterFolder(tmp_path, "Documents")
    with pytest.raises(FolderUnusable, match=r"holds other things \(thesis.txt\)"):
        folder.prepare()
    assert [path.name for path in folder.path.iterdir()] == ["thesis.txt"]


def test_a_file_in_place_of_the_folder_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "default").write_text("")
    with pytest.raises(FolderUnusable, match="default"):
        ClusterFolder(tmp_path, "default").prepare()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_home_is_one_clear_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(FolderUnusable, match="Permission denied"):
        ClusterFolder(tmp_path, "default").prepare()


def test_a_home_that_takes_no_folders_is_one_clear_error() -> None:
    with pytest.raises(FolderUnusable, match="cannot use /proc/p2px") as caught:
        ClusterFolder(Path("/proc/p2px"), "default").prepare()
    assert caught.value.hint == "set P2PX_HOME to a folder you can write to"


def test_wiping_leaves_nothing(folder: ClusterFolder) -> None:
    folder.keep_plan(PLAN)
    (folder.data / "BTC-USD").mkdir()
    (folder.data / "BTC-USD" / "log.db").write_text("entries")
    assert folder.wipe() == []
    assert not folder.path.exists()
    assert folder.wipe() == []


def test_files_that_are_being_written_are_no_strangers_and_are_wiped_as_well(tmp_path: Path) -> None:
    folder = ClusterFolder(tmp_path, "default")
    folder.path.mkdir()
    for name in ("secret.0123456789abcdef.new", "plan.json.new", "state.json.new"):
        (folder.path / name).write_text("")
    folder.prepare()
    assert folder.wipe() == []


def test_wiping_leaves_what_is_not_ours(folder: ClusterFolder) -> None:
    (folder.path / "notes.txt").write_text("mine")
    assert folder.wipe() == ["notes.txt"]
    assert [path.name for path in folder.path.iterdir()] == ["notes.txt"]


def test_wiping_does_not_follow_a_link(folder: ClusterFolder, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_text("")
    folder.data.rmdir()
    folder.data.symlink_to(tmp_path / "elsewhere")
    folder.wipe()
    assert (tmp_path / "elsewhere" / "file").exists()


def test_discarding_data_keeps_logs_and_secret(folder: ClusterFolder) -> None:
    secret = folder.secret()
    for path in (folder.data / "x", folder.nodes / "x", folder.registry / "x", folder.logs / "x"):
        path.write_text("")
    folder.discard_data()
    assert [path.exists() for path in (folder.data / "x", folder.logs / "x")] == [False, True]
    assert folder.secret() == secret
    assert folder.data.is_dir()


def test_clusters_are_listed_by_name(tmp_path: Path) -> None:
    for name in ("b", "a", "empty"):
        ClusterFolder(tmp_path, name).prepare()
    for name in ("b", "a"):
        ClusterFolder(tmp_path, name).keep_plan(PLAN)
    (tmp_path / "a file").write_text("")
    assert [folder.name for folder in clusters(tmp_path)] == ["a", "b"]
    assert clusters(tmp_path / "nowhere") == []


# -- locks --------------------------------------------------------------------------------------------


def test_a_lock_has_one_holder(folder: ClusterFolder) -> None:
    first, second = FolderLock(folder.lock_path), FolderLock(folder.lock_path)
    assert first.take()
    assert not second.take()
    first.release()
    assert second.take()
    second.release()


def test_shared_holders_keep_out_an_exclusive_one(folder: ClusterFolder) -> None:
    children = [FolderLock(folder.children_lock_path) for _ in range(3)]
    assert all(child.take(shared=True) for child in children)
    supervisor = FolderLock(folder.children_lock_path)
    assert not supervisor.take()
    for child in children:
        child.release()
    assert supervisor.take()
    supervisor.release()


def test_a_lock_whose_file_was_replaced_is_no_longer_in_place(folder: ClusterFolder) -> None:
    lock = FolderLock(folder.lock_path)
    assert lock.take()
    assert lock.is_in_place()
    folder.lock_path.unlink()
    assert not lock.is_in_place()
    folder.lock_path.write_text("")
    assert not lock.is_in_place()
    lock.release()


def test_a_lock_taken_on_a_file_that_was_deleted_meanwhile_is_taken_anew(
    folder: ClusterFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock = fcntl.flock

    def delete_first(descriptor: int, operation: int) -> None:
        """What another process' wipe may do between our open and our lock."""
        monkeypatch.setattr(fcntl, "flock", flock)
        folder.lock_path.unlink()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", delete_first)
    ours, theirs = FolderLock(folder.lock_path), FolderLock(folder.lock_path)
    assert ours.take()
    assert not theirs.take(), "two locks of one name are held at once"
    ours.release()


def test_a_lock_is_not_inherited(folder: ClusterFolder) -> None:
    lock = FolderLock(folder.lock_path)
    assert lock.take()
    ours = [
        int(descriptor)
        for descriptor in os.listdir("/proc/self/fd")
        if os.path.realpath(f"/proc/self/fd/{descriptor}") == str(folder.lock_path)
    ]
    assert [bool(fcntl.fcntl(number, fcntl.F_GETFD) & fcntl.FD_CLOEXEC) for number in ours] == [True]
    lock.release()
