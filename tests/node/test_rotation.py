"""A secret and a CA are replaced on one machine's disk, broken off at every single change of it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from p2pcli.node.rotating import MachineKeys
from p2pcli.node.rotation import (
    BadRotationFile,
    Phase,
    Rotation,
    finished,
    in_force,
    next_tls,
    read_rotation,
    rotation_path,
)
from p2pcli.node.tls_folder import TlsFolder, write_private
from p2pcli.rpc.certificates import facts, fingerprint, have_common
from p2pcli.rpc.credentials import secret_id

OLD, NEW = b"o" * 32, b"n" * 32
NOW = 1_800_000_000


def rotation(phase: Phase, *retired: str) -> Rotation:
    return Rotation(1, phase, NOW, NEW.hex(), retired)


def accepted(phase: Phase | None) -> set[bytes]:
    held = in_force(OLD, rotation(phase) if phase else None)
    return {held.secret, *held.accepted}


def test_machines_one_phase_apart_understand_each_other_and_no_others():
    proves = {phase: in_force(OLD, rotation(phase) if phase else None).secret for phase in (None, *Phase)}
    phases = [None, *Phase]
    for place, one in enumerate(phases):
        for other in phases[place : place + 2]:
            assert proves[one] in accepted(other)
            assert proves[other] in accepted(one)
    assert proves[Phase.SWITCHED] not in accepted(None)
    assert proves[Phase.BEGUN] not in accepted(Phase.FINISHED)


def test_the_ca_whose_certificates_are_shown_is_believed_one_phase_apart():
    shown = {None: "old", Phase.BEGUN: "old", Phase.SWITCHED: "new", Phase.FINISHED: "new"}
    phases = [None, *Phase]
    for place, one in enumerate(phases):
        for other in phases[place : place + 2]:
            for caller, node in ((one, other), (other, one)):
                held = in_force(OLD, rotation(caller) if caller else None, "old", "new" if caller else "")
                assert shown[node] in held.ca


def test_a_secret_that_ended_is_remembered_once_and_the_oldest_forgotten():
    ended = finished(rotation(Phase.SWITCHED, *(f"id{number}" for number in range(16))), OLD)
    assert ended.phase is Phase.FINISHED
    assert ended.retired[-1] == secret_id(OLD)
    assert len(ended.retired) == 16
    assert finished(ended, NEW).retired == ended.retired


@pytest.mark.parametrize(
    "text", ["", "{}", '{"p2px_rotation":2,"phase":"begun","began":1,"secret":"ab"}', "x"]
)
def test_a_file_that_is_none_is_refused(tmp_path, text):
    write_private(rotation_path(tmp_path / "secret"), text)
    with pytest.raises(BadRotationFile, match="is damaged, or of another version"):
        read_rotation(tmp_path / "secret")


def test_a_file_that_others_can_read_is_refused(tmp_path):
    MachineKeys(tmp_path / "secret", None).keep(rotation(Phase.BEGUN))
    rotation_path(tmp_path / "secret").chmod(0o640)
    with pytest.raises(BadRotationFile, match="can be read by others"):
        read_rotation(tmp_path / "secret")


# -- broken off ------------------------------------------------------------------------------------


class BrokenOff(BaseException):
    """As if the machine had lost power."""


CHANGES = ("rename", "replace", "remove", "unlink", "rmdir")  # of a file's name or place


def breaks_off(after: int, act: Callable[[], object]) -> bool:
    """Act, and break off after so many changes of a file's name or place; say whether it came to that."""
    # Not by an audit hook: it stays for good, and every event of all later tests would pass through it.
    left = after

    def counted(change: Callable[..., None]) -> Callable[..., None]:
        def changed(*arguments: object, **options: object) -> None:
            nonlocal left
            if not left:
                raise BrokenOff
            left -= 1
            change(*arguments, **options)

        return changed

    with pytest.MonkeyPatch.context() as patch:
        for name in CHANGES:
            patch.setattr(os, name, counted(getattr(os, name)))
        try:
            act()
        except BrokenOff:
            return True
    return False


class Disk:
    """A machine whose nodes have certificates; ``signs``: the CA's key is on it."""

    def __init__(self, folder: Path, *, signs: bool = True) -> None:
        self.secret_path, self.tls = folder / "secret", folder / "tls"
        self.keys = MachineKeys(self.secret_path, self.tls)
        write_private(self.secret_path, OLD.hex())
        TlsFolder(self.tls).found("default", NOW)
        self.keys.shown().issued("bob", ["10.0.0.2"], NOW)
        self.signs = signs
        self.hide(self.tls)

    def hide(self, tls: Path) -> None:
        if not self.signs:
            (tls / "ca.key").unlink()

    @property
    def held(self):
        return self.keys.credentials(bytes.fromhex(self.secret_path.read_text()))

    def switched(self) -> "Disk":
        self.keys.begin("default", NOW)
        newer = TlsFolder(next_tls(self.tls))
        newer.issued("bob", ["10.0.0.2"], NOW)
        self.hide(newer.path)
        self.keys.advance(Phase.SWITCHED)
        return self

    def check_serves(self) -> None:
        """What this machine shows is what it believes itself, and it can prove itself."""
        certificate = self.keys.shown().issued("bob", ["10.0.0.2"], NOW)
        assert facts(certificate.read_text()).name == "bob"
        assert have_common(self.keys.shown().authority(), self.held.ca)


@pytest.mark.parametrize("signs", [True, False], ids=["the first machine", "one that joined"])
def test_a_finish_that_is_broken_off_anywhere_is_finished_by_the_next(tmp_path, signs):
    after = 0
    while True:
        disk = Disk(tmp_path / str(after), signs=signs).switched()
        new, new_ca = disk.held.secret, TlsFolder(next_tls(disk.tls)).authority()
        was_broken = breaks_off(after, lambda disk=disk: disk.keys.advance(Phase.FINISHED))
        if after:
            assert disk.held.accepted == ()  # from the first change on the old one is good no more
            assert (disk.held.secret, disk.held.ca) == (new, new_ca)
            assert disk.held.retired == (secret_id(OLD),)
        disk.check_serves()
        disk.keys.advance(Phase.FINISHED)
        assert bytes.fromhex(disk.secret_path.read_text()) == new
        assert TlsFolder(disk.tls).authority() == new_ca == disk.held.ca
        assert TlsFolder(disk.tls).can_sign is signs
        assert not next_tls(disk.tls).exists()
        disk.check_serves()
        if not was_broken:
            break
        after += 1
    assert after > (6 if signs else 5), "it was broken off at every change"


def test_a_beginning_that_is_broken_off_anywhere_changes_nothing_and_is_begun_again(tmp_path):
    after = 0
    while True:
        disk = Disk(tmp_path / str(after))
        was_broken = breaks_off(after, lambda disk=disk: disk.keys.begin("default", NOW))
        if was_broken:
            assert disk.held == in_force(OLD, None, TlsFolder(disk.tls).authority())
        disk.keys.begin("default", NOW)
        assert disk.held.secret == OLD
        assert len(disk.held.accepted) == 1
        disk.check_serves()
        if not was_broken:
            break
        after += 1
    assert after == 3


def test_a_second_rotation_replaces_the_first_ones_secret_and_remembers_both(tmp_path):
    disk = Disk(tmp_path)
    old_ca = disk.held.ca
    disk.switched()
    first, first_ca = disk.held.secret, TlsFolder(next_tls(disk.tls)).authority()
    assert disk.keys.begin("default", NOW).new_secret == first, "one that is under way goes on"
    disk.keys.advance(Phase.FINISHED)
    disk.switched()
    disk.keys.advance(Phase.FINISHED)
    assert disk.held.secret not in (OLD, first)
    assert disk.held.retired == (secret_id(OLD), secret_id(first))
    assert disk.keys.rotation.retired_cas == (fingerprint(old_ca), fingerprint(first_ca))


def test_two_cas_have_one_fingerprint_in_whatever_order(tmp_path):
    disk = Disk(tmp_path)
    disk.keys.begin("default", NOW)
    old, new = TlsFolder(disk.tls).authority(), TlsFolder(next_tls(disk.tls)).authority()
    assert fingerprint(old + new) == fingerprint(new + old)
    assert len({fingerprint(old), fingerprint(new), fingerprint(old + new)}) == 3
    assert have_common(old + new, new)
    assert not have_common(old, new)
