"""A new secret takes the place of the cluster's old one, a new CA that of the old: how far that is here.

    rotation.json   beside the secret, mode 0600: the phase, the new secret, ids of those that were replaced
    tls/next/       the new CA, a folder like tls/ itself, until it takes that one's place

| phase | proves with | lets in | shows certificates of | believes those of |
| --- | --- | --- | --- | --- |
| none | old | old | old | old |
| begun | old | old, new | old | old, new |
| switched | new | new, old | new | new, old |
| finished | new | new | new | new |

Two machines of which one is a phase ahead understand each other, whoever calls; two phases apart they do not.
So no machine takes a step before every one has taken the last. ``rotation.json`` alone decides the phase, so
each step is one file that is replaced; what else moves (``rotating``) may be broken off and done again.
"""

from enum import Enum
from pathlib import Path

import msgspec

from p2pcli.errors import Conflict
from p2pcli.rpc.credentials import Credentials, secret_id

VERSION = 1
MAX_RETIRED = 16  # ids of secrets that are remembered, so that their holders are told what happened


class Phase(Enum):
    """How far a rotation is."""

    BEGUN = "begun"
    SWITCHED = "switched"
    FINISHED = "finished"

    def follows(self, other: "Phase") -> bool:
        """Say whether this is a later phase."""
        phases = list(Phase)
        return phases.index(self) > phases.index(other)


class BadRotationFile(Conflict):
    """What a machine keeps of a rotation cannot be read, or others can read it."""

    code = "bad_rotation_file"


class Rotation(msgspec.Struct, frozen=True):
    """What ``rotation.json`` says."""

    p2px_rotation: int  # version of this format
    phase: Phase
    began: int  # seconds since 1970
    secret: str  # the new one, in hexadecimal
    retired: tuple[str, ...] = ()  # ids of secrets that are good no more, the newest last
    retired_cas: tuple[str, ...] = ()  # SHA-256 of CAs that are believed no more, the newest last

    def __repr__(self) -> str:
        return f"Rotation({self.phase}, ...)"

    @property
    def new_secret(self) -> bytes:
        return bytes.fromhex(self.secret)

    @property
    def is_under_way(self) -> bool:
        """Say whether two secrets are good now."""
        return self.phase is not Phase.FINISHED


class RotationView(msgspec.Struct, frozen=True, array_like=True):
    """Where a node is in a rotation of the cluster's secret."""

    phase: str  # "": there was none
    secret_id: str  # of the secret that it proves itself with


def rotation_path(secret_path: Path) -> Path:
    """Return where a machine keeps its rotation."""
    return secret_path.with_name("rotation.json")


def next_tls(tls: Path) -> Path:
    """Return the folder of the new CA."""
    return tls / "next"


def read_rotation(secret_path: Path) -> Rotation | None:
    """Return the rotation that is under way here, or was last; None when there was none.

    Raises ``BadRotationFile``.
    """
    path = rotation_path(secret_path)
    try:
        mode, text = path.stat().st_mode, path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadRotationFile(f"cannot read {path}: {error.strerror}") from error
    if mode & 0o077:
        raise BadRotationFile(f"{path} can be read by others", hint=f"chmod 600 {path}")
    try:
        found = msgspec.json.decode(text, type=Rotation)
        is_good = found.p2px_rotation == VERSION and bool(found.new_secret)
    except (msgspec.MsgspecError, ValueError):
        is_good = False
    if not is_good:
        raise BadRotationFile(
            f"{path} is damaged, or of another version than {VERSION}",
            hint="bring it back from a backup, with the secret and tls/ of the same time",
        )
    return found


def in_force(secret: bytes, rotation: Rotation | None, ca: str = "", next_ca: str = "") -> Credentials:
    """Return what a machine proves itself with and lets in; ``secret`` is that of the secret file."""
    if rotation is None:
        return Credentials(secret, ca)
    new, retired = rotation.new_secret, rotation.retired
    match rotation.phase:
        case Phase.BEGUN:
            return Credentials(secret, ca + next_ca, accepted=(new,), retired=retired)
        case Phase.SWITCHED:
            return Credentials(new, next_ca + ca, accepted=(secret,), retired=retired)
        case Phase.FINISHED:
            return Credentials(new, next_ca or ca, retired=retired)


def finished(rotation: Rotation, secret: bytes, ca: str = "") -> Rotation:
    """Return the rotation as it is once nobody lets in holders of ``secret``, the old one.

    ``ca`` is the SHA-256 of the old CA, "" on plain TCP.
    """
    if secret == rotation.new_secret:
        return msgspec.structs.replace(rotation, phase=Phase.FINISHED)
    retired = (*rotation.retired, secret_id(secret))[-MAX_RETIRED:]
    cas = (*rotation.retired_cas, *([ca] if ca else []))[-MAX_RETIRED:]
    return msgspec.structs.replace(rotation, phase=Phase.FINISHED, retired=retired, retired_cas=cas)
