"""A member's folder: what must survive a restart, so that the ring goes on knowing and trusting the member.

``identity.json`` holds two secrets, readable by the owner only: the salt of the node id and the master secret
of the tokens. Losing it is harmless: the member comes back as somebody new.
"""

import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from p2pcli.errors import Conflict
from p2pcli.registry.tokens import SECRET_BYTES

_VERSION = 1
_logger = logging.getLogger("p2pcli.registry")


class FolderUnusable(Conflict):
    """The member's folder cannot be made, read or written."""

    code = "folder_unusable"


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes a member the same after a restart."""

    salt: bytes
    token_secret: bytes


def identity(folder: Path) -> Identity:
    """Return the identity kept in ``folder``; a new one is made and kept when there is none or it is damaged.

    Raises ``FolderUnusable``.
    """
    path = folder / "identity.json"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        kept = _read(path)
        if kept is None:
            kept = Identity(os.urandom(SECRET_BYTES), os.urandom(SECRET_BYTES))
            _write(path, kept)
        return kept
    except OSError as error:
        raise FolderUnusable(f"registry folder {folder} cannot be used: {error.strerror}") from None


def _read(path: Path) -> Identity | None:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        fields = json.loads(data)
        if fields["version"] != _VERSION:
            raise FolderUnusable(
                f"{path} has version {fields['version']!r}, this p2px reads version {_VERSION}",
                "move the file away: the member then comes back as a new one",
            )
        kept = Identity(bytes.fromhex(fields["salt"]), bytes.fromhex(fields["token_secret"]))
    except (ValueError, KeyError, TypeError):
        _logger.warning("%s is damaged; the member starts as a new one", path)
        return None
    return kept if len(kept.token_secret) >= SECRET_BYTES else None


def _write(path: Path, kept: Identity) -> None:
    fields = {"version": _VERSION, "salt": kept.salt.hex(), "token_secret": kept.token_secret.hex()}
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        json.dump(fields, file)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
