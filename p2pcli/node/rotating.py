"""The steps of a rotation on one machine's disk; ``rotation`` says what each phase means.

Each may be broken off anywhere and taken again: what a phase needs is written before the phase is, and what
is left to tidy up afterwards is told from what is there.
"""

import secrets
import shutil
from pathlib import Path

import msgspec

from p2pcli.node.rotation import (
    VERSION,
    Phase,
    Rotation,
    finished,
    in_force,
    next_tls,
    read_rotation,
    rotation_path,
)
from p2pcli.node.tls_folder import TlsFolder, write_private
from p2pcli.rpc.certificates import fingerprint
from p2pcli.rpc.credentials import Credentials

SECRET_BYTES = 32


class MachineKeys:
    """The secret, the CA and the rotation of one machine. Making one touches no disk."""

    def __init__(self, secret_path: Path, tls: Path | None) -> None:
        """``tls`` None: the cluster speaks plain TCP."""
        self._secret_path = secret_path
        self._tls = tls

    @property
    def rotation(self) -> Rotation | None:
        """Return the rotation that is under way, or was last. Raises ``BadRotationFile``."""
        return read_rotation(self._secret_path)

    def credentials(self, secret: bytes) -> Credentials:
        """Return what is in force; ``secret`` is the secret file's. Raises ``BadKeyFile`` and as above."""
        if self._tls is None:
            return in_force(secret, self.rotation)
        ca, next_ca = TlsFolder(self._tls).authority(), TlsFolder(next_tls(self._tls)).authority()
        return in_force(secret, self.rotation, ca, next_ca)

    def shown(self) -> TlsFolder | None:
        """Return the folder of the CA whose certificates are shown now; None on plain TCP."""
        if self._tls is None:
            return None
        rotation, newer, older = self.rotation, TlsFolder(next_tls(self._tls)), TlsFolder(self._tls)
        if rotation is not None and rotation.phase is not Phase.BEGUN and newer.authority():
            return newer
        return older if older.authority() else None

    def newer(self) -> TlsFolder | None:
        """Return the folder of the CA that a rotation under way brings; None where there is none."""
        rotation = self.rotation
        if self._tls is None or rotation is None or not rotation.is_under_way:
            return None
        return TlsFolder(next_tls(self._tls))

    def begin(self, cluster: str, now: int) -> Rotation:
        """Make a new secret, and a new CA where there is one; ``now`` is seconds since 1970.

        One that is under way stays as it is. Raises ``BadKeyFile``, ``BadRotationFile``.
        """
        before = self.rotation
        if before is not None and before.is_under_way:
            return before
        if self._tls is not None:
            TlsFolder(next_tls(self._tls)).found(cluster, now)
        retired, cas = (before.retired, before.retired_cas) if before is not None else ((), ())
        rotation = Rotation(VERSION, Phase.BEGUN, now, secrets.token_hex(SECRET_BYTES), retired, cas)
        self.keep(rotation)
        return rotation

    def advance(self, phase: Phase) -> None:
        """Take every step up to ``phase``; one that was taken changes nothing.

        Raises ``BadKeyFile``, ``BadRotationFile``.
        """
        rotation = self.rotation
        assert rotation is not None, "a rotation begins before it goes on"
        if phase.follows(rotation.phase):
            rotation = msgspec.structs.replace(rotation, phase=phase)
            if phase is Phase.FINISHED:
                ca = TlsFolder(self._tls).authority() if self._tls is not None else ""
                old = bytes.fromhex(self._secret_path.read_text(encoding="ascii"))
                rotation = finished(rotation, old, fingerprint(ca) if ca else "")
            self.keep(rotation)
        if rotation.phase is Phase.FINISHED:
            self._install(rotation)

    def keep(self, rotation: Rotation) -> None:
        """Write how far it is, durably and at once. Raises ``BadKeyFile``."""
        text = msgspec.json.format(msgspec.json.encode(rotation)).decode()
        write_private(rotation_path(self._secret_path), text)

    def forget_next(self) -> None:
        """Delete what is here of a new CA: the one that counts has come another way."""
        if self._tls is not None:
            shutil.rmtree(next_tls(self._tls), ignore_errors=True)

    def _install(self, rotation: Rotation) -> None:
        """Put what is new in the place of what was old. Until the CA's certificate is there, next/ counts."""
        write_private(self._secret_path, rotation.secret)
        if self._tls is None or not (newer := next_tls(self._tls)).exists():
            return
        if TlsFolder(newer).authority():
            for path in sorted((newer / "nodes").glob("*.pem")):
                write_private(self._tls / "nodes" / path.name, path.read_text(encoding="ascii"))
            for name in ("ca.key", "ca.pem"):  # the key may be on another machine
                if (newer / name).exists():
                    write_private(self._tls / name, (newer / name).read_text(encoding="ascii"))
            (newer / "ca.pem").unlink()
        shutil.rmtree(newer)
