"""What one node shows and believes at its door and when it calls others, as it is now.

Read from the machine's disk when the node starts, and again when it is told that a rotation went on
(``rotation``): conversations that begin afterwards use what is new.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from p2pcli.clock import now_ns
from p2pcli.errors import BadInput
from p2pcli.node.requests import Enrolled, Forbidden
from p2pcli.node.rotating import MachineKeys
from p2pcli.node.rotation import Phase, RotationView
from p2pcli.node.tls_folder import TlsFolder
from p2pcli.rpc.credentials import Credentials, secret_id

if TYPE_CHECKING:
    from ssl import SSLContext


class BadSecretFile(BadInput):
    """The cluster's secret cannot be read, or others can read it too."""

    code = "bad_secret_file"


class Keyring:
    """One node's. Any thread may ask; ``reload`` and ``advance`` one at a time."""

    credentials: Credentials
    context: "SSLContext | None"  # what the node shows; None on plain TCP

    def __init__(self, name: str, hosts: Sequence[str], secret_path: Path, tls: Path | None) -> None:
        """``hosts`` are the node's addresses, ``tls`` the folder of certificates, None on plain TCP.

        Raises as ``reload``.
        """
        self._name = name
        self._hosts = list(hosts)
        self._secret_path = secret_path
        self._tls = tls
        self._keys = MachineKeys(secret_path, tls)
        self._lock = threading.Lock()
        self.reload()

    def reload(self) -> None:
        """Take in what the disk says.

        Raises ``BadSecretFile``, ``BadKeyFile``, ``BadRotationFile``, ``NoCertificate``.
        """
        credentials = self._keys.credentials(read_secret(self._secret_path))
        context = None
        if credentials.ca:
            from p2pcli.rpc.tls import node_context  # most nodes live on loopback and never need it

            shown = self._keys.shown()
            assert shown is not None, "a CA has a folder"
            context = node_context(str(shown.issued(self._name, self._hosts, _now())))
        self.credentials, self.context = credentials, context

    def accepts(self, wanted: str) -> bool:
        """Say whether holders of the secret of that id are let in."""
        held = self.credentials
        return wanted in (held.secret_id, *map(secret_id, held.accepted))

    def advance(self, phase: str, proven_with: str) -> RotationView:
        """Go on to a phase ("": only look at the disk) and return where this node is then.

        ``proven_with`` is the id of the caller's secret: who has the old one alone moves nothing. Raises
        ``Forbidden`` and as ``reload``.
        """
        with self._lock:
            rotation = self._keys.rotation
            if phase:
                if rotation is None or secret_id(rotation.new_secret) != proven_with:
                    raise Forbidden("a rotation goes on for who has proved the new secret, and nobody else")
                self._keys.advance(Phase(phase))
            self.reload()
            rotation = self._keys.rotation
        return RotationView(rotation.phase.value if rotation else "", self.credentials.secret_id)

    @property
    def newest(self) -> str:
        """Return the id of the newest secret, which join tokens must come from."""
        rotation = self._keys.rotation
        return secret_id(rotation.new_secret) if rotation else self.credentials.secret_id

    @property
    def signer(self) -> TlsFolder | None:
        """Return the folder of the CA if nodes' certificates are signed on this machine, else None."""
        folder = TlsFolder(self._tls) if self._tls is not None else None
        return folder if folder is not None and folder.can_sign else None

    def enrolled(self, request: str, name: str, hosts: Sequence[str]) -> Enrolled:
        """Return all that a new machine needs, with a certificate of each CA that counts now."""
        folder, newer, rotation = self.signer, self._keys.newer(), self._keys.rotation
        assert folder is not None, "asked only where certificates are signed"
        given = Enrolled(
            read_secret(self._secret_path), folder.authority(), folder.sign(request, name, hosts, _now())
        )
        if rotation is None:
            return given
        return Enrolled(
            given.secret,
            given.authority,
            given.certificate,
            rotation,
            newer.authority() if newer is not None else "",
            newer.sign(request, name, hosts, _now()) if newer is not None else "",
        )


def read_secret(path: Path) -> bytes:
    """Return the cluster's secret. Raises ``BadSecretFile`` also when others may read the file."""
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii").strip()
        secret = bytes.fromhex(text)
    except (OSError, ValueError) as error:
        raise BadSecretFile(f"cannot read the cluster's secret {path}: {error}") from error
    if mode & 0o077:
        raise BadSecretFile(f"the secret {path} can be read by others", hint=f"chmod 600 {path}")
    if len(secret) < 16:
        raise BadSecretFile(f"the secret {path} has {len(secret)} bytes, expected at least 16")
    return secret


def _now() -> int:
    return now_ns() // 10**9
