"""The folder of a cluster's certificates: ``tls/`` beside the secret.

    ca.pem           the CA's certificate, for everybody
    ca.key           its private key, mode 0600: only where nodes' certificates are signed
    nodes/NAME.pem   a node's certificate and private key, mode 0600
    tokens.json      join tokens that were made here, mode 0600

A node's file begins with a line that says who it is for and until when, so that a node that starts with a
good one needs no X.509 to see it: importing that takes 0.1 s.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from p2pcli.errors import BadInput, Conflict
from p2pcli.rpc.certificates import (
    DAY,
    RENEW_DAYS,
    Pair,
    facts,
    fingerprint,
    new_authority,
    new_request,
    signed,
)

_FIRST_LINE = re.compile(r"p2px (\S+) for (\S+) until (\d+) by ([0-9a-f]{64})\n")


class BadKeyFile(BadInput):
    """A private key can be read by others, or not at all."""

    code = "bad_key_file"


class NoCertificate(Conflict):
    """A node has no certificate that is good now, and nobody here can sign one."""

    code = "no_certificate"


class TlsFolder:
    """The certificates of one cluster on this machine. Making one touches no disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tokens_path = path / "tokens.json"
        self._certificate = path / "ca.pem"
        self._key = path / "ca.key"

    def authority(self) -> str:
        """Return the CA's certificate (PEM), "" when this cluster has none. Raises ``BadKeyFile``."""
        try:
            return self._certificate.read_text(encoding="ascii")
        except FileNotFoundError:
            return ""
        except (OSError, ValueError) as error:
            raise BadKeyFile(f"cannot read {self._certificate}: {error}") from error

    @property
    def can_sign(self) -> bool:
        """Say whether the CA's key is here."""
        return self._key.exists()

    def found(self, cluster: str, now: int) -> bool:
        """Make a CA for the cluster; return whether there was none before. ``now``: seconds since 1970."""
        if self._certificate.exists():
            return False
        pair = new_authority(cluster, now)
        write_private(self._key, pair.key)
        write_private(self._certificate, pair.certificate)  # last: with it, the cluster has a CA
        return True

    def trust(self, certificate: str) -> None:
        """Keep the certificate of a CA whose key is elsewhere."""
        write_private(self._certificate, certificate)

    def sign(self, request: str, name: str, hosts: Sequence[str], now: int) -> str:
        """Return the certificate that a request asks for. Raises ``BadKeyFile``, ``BadCertificate``."""
        pair = Pair(self.authority(), read_private(self._key))
        return signed(pair, request, name, hosts, now)

    def keep(self, name: str, certificate: str, key: str) -> Path:
        """Keep a node's certificate and key, and return the file."""
        said = facts(certificate)
        line = f"p2px {name} for {','.join(sorted(said.hosts))} until {said.until} by {self._identity()}\n"
        path = self._node(name)
        write_private(path, line + certificate + key)
        return path

    def issued(self, name: str, hosts: Sequence[str], now: int) -> Path:
        """Return the file of a node's certificate for these addresses, signed anew when that is due.

        Where no CA key is, what is there has to do until it expires. Raises ``NoCertificate``,
        ``BadKeyFile``.
        """
        path = self._node(name)
        covered, until = self._known(path)
        if set(hosts) <= covered and until > now + RENEW_DAYS * DAY:
            return path
        if self.can_sign:
            request = new_request(name)
            return self.keep(name, self.sign(request.certificate, name, hosts, now), request.key)
        if until > now:
            return path
        problem = "has expired" if until else "is not here"
        raise NoCertificate(
            f"the certificate of node {name} {problem}, and the CA's key is on another machine",
            hint="p2px node join --token TOKEN; p2px cluster token create there makes one",
        )

    def _known(self, path: Path) -> tuple[set[str], int]:
        """Return what a node's certificate is for and until when; nothing when there is none of this CA."""
        if not path.exists():
            return set(), 0
        found = _FIRST_LINE.match(read_private(path))
        if not found or found[4] != self._identity():
            return set(), 0
        return set(found[2].split(",")), int(found[3])

    def _identity(self) -> str:
        return fingerprint(self.authority())

    def _node(self, name: str) -> Path:
        return self.path / "nodes" / f"{name}.pem"


def read_private(path: Path) -> str:
    """Return the text of a file that is for its owner alone. Raises ``BadKeyFile`` when it is not."""
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise BadKeyFile(
            f"cannot read {path}: {reason}", hint="p2px keys create OWNER --out FILE makes a key"
        ) from error
    if mode & 0o077:
        raise BadKeyFile(f"{path} can be read by others", hint=f"chmod 600 {path}")
    return text


def write_private(path: Path, text: str) -> None:
    """Replace a file, durably and readable by its owner alone; make its folder. Raises ``BadKeyFile``."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise BadKeyFile(f"cannot write {path}: {error.strerror}") from error
