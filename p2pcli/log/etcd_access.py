"""The files that are shown at etcd's door: read, and looked at, without the library that speaks with it.

So a wrong one is named before any process is started, where gRPC would only say that no member answers.
"""

import ssl
from pathlib import Path

import msgspec

from p2pcli.errors import BadInput
from p2pcli.log.etcd_place import EtcdAccess


class BadAccessFile(BadInput):
    """The file with etcd's password, or one of its certificates, cannot be used."""

    code = "bad_access_file"


class AccessFiles(msgspec.Struct, frozen=True):
    """What the files say; empty where there is none."""

    password: str = ""
    ca: bytes | None = None
    cert: bytes | None = None
    key: bytes | None = None

    def __repr__(self) -> str:
        return "AccessFiles(...)"


def read_access(access: EtcdAccess) -> AccessFiles:
    """Return what the files of an address say. Raises ``BadAccessFile``."""
    if bool(access.cert) != bool(access.key):
        there, missing = ("log.cert", "log.key") if access.cert else ("log.key", "log.cert")
        raise BadAccessFile(
            f"{there} is set and {missing} is not: etcd wants both or none", hint=f"set {missing}"
        )
    ca, cert, key = (_bytes(path) for path in (access.ca, access.cert, access.key))
    _check_certificates(access)
    return AccessFiles(_password(access.password_file), ca, cert, key)


def _bytes(path: str) -> bytes | None:
    try:
        return Path(path).read_bytes() if path else None
    except OSError as error:
        raise BadAccessFile(
            f"cannot read {path}: {error.strerror}", hint="check log.ca, log.cert and log.key"
        ) from error


def _check_certificates(access: EtcdAccess) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    which = access.ca
    try:
        if access.ca:
            context.load_verify_locations(access.ca)
        which = f"{access.cert} with {access.key}"
        if access.cert:
            context.load_cert_chain(
                access.cert, access.key, password=""
            )  # a key with a password is of no use
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        said = getattr(error, "reason", None) or str(error)
        raise BadAccessFile(
            f"cannot use {which}: {str(said).replace('_', ' ').lower()}",
            hint="check log.ca, log.cert and log.key",
        ) from error


def _password(path: str) -> str:
    if not path:
        return ""
    try:
        mode = Path(path).stat().st_mode
        password = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise BadAccessFile(
            f"cannot read etcd's password from {path}: {reason}", hint="check log.password_file"
        ) from error
    if mode & 0o077:
        raise BadAccessFile(f"the password file {path} can be read by others", hint=f"chmod 600 {path}")
    return password
