"""An owner's key in a file of its own, JSON, mode 0600: whoever can read it trades as that owner."""

import os
from pathlib import Path

import msgspec

from p2pcli.errors import BadInput, Conflict, harmless
from p2pcli.node.tls_folder import BadKeyFile, read_private
from p2pcli.rpc.credentials import Credentials

VERSION = 2  # 1 did not say which secret the key was made with
KEY_BYTES = 32


class NoKeyFile(BadInput):
    """A file that is no owner's key."""

    code = "no_key_file"


class KeyFileExists(Conflict):
    """A file of that name is there already."""

    code = "key_file_exists"


class OwnerKey(msgspec.Struct, frozen=True):
    """What the file says."""

    p2px_key: int  # version of this format
    cluster: str
    owner: str
    id: str
    key: str  # 64 hexadecimal digits
    secret_id: str = ""  # of the cluster's secret that it was made with

    def __repr__(self) -> str:
        return f"OwnerKey({self.owner!r}, {self.id!r}, ...)"

    def credentials(self, authority: str) -> Credentials:
        """Return what its holder proves itself with, to nodes of that CA ("": plain TCP)."""
        key = bytes.fromhex(self.key)
        return Credentials(key, authority, self.owner, self.id, made_with=self.secret_id)


def read_key(path: Path, cluster: str = "") -> OwnerKey:
    """Return a key of that cluster, "": of whichever.

    Raises ``NoKeyFile``, and ``BadKeyFile`` when others can read it.
    """
    text = read_private(path)
    try:
        found = msgspec.json.decode(text, type=OwnerKey)
        is_key = found.p2px_key == VERSION and len(bytes.fromhex(found.key)) == KEY_BYTES
        is_key = is_key and bool(found.owner and found.id and found.secret_id)
    except (msgspec.MsgspecError, ValueError):
        is_key = False
    if not is_key:
        raise NoKeyFile(f"{path} is no owner's key of this version", hint="p2px keys create OWNER makes one")
    if cluster and found.cluster != cluster:
        raise NoKeyFile(
            f"{path} is a key of cluster {harmless(found.cluster)}, not of {cluster}",
            hint=f"add --name {harmless(found.cluster)}",
        )
    return found


def write_key(path: Path, key: OwnerKey) -> None:
    """Write a key into a new file. Raises ``KeyFileExists``, ``BadKeyFile``."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(key)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise key_file_exists(path) from None
    except OSError as error:
        raise BadKeyFile(f"cannot write {path}: {error.strerror}") from error


def key_file_exists(path: Path) -> KeyFileExists:
    """Return the error for a place that is taken."""
    return KeyFileExists(f"{path} is there already; nothing was made", hint="choose another --out")
