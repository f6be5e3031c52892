"""Who is let into a node, as what, and what a machine that joins is given.

Everybody proves first who it is (``rpc/auth``). What is decided here is whether that one is still welcome.
"""

import logging
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from p2pcli.clock import now_ns
from p2pcli.node.requests import BadRequest, Enrol, Enrolled
from p2pcli.node.tls_folder import TlsFolder
from p2pcli.node.tokens import Tokens
from p2pcli.rpc.auth import ROLE_JOINER, ROLE_OWNER, Hello, TokenRefused
from p2pcli.rpc.credentials import Credentials
from p2pcli.rpc.handshake import welcome
from p2pcli.rpc.tcp import Connection

if TYPE_CHECKING:
    from ssl import SSLContext

MAX_HOSTS = 64  # addresses of one certificate
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,252}", re.ASCII)

logger = logging.getLogger(__name__)


class Porter:
    """The door of one node. Any thread may ask."""

    def __init__(
        self,
        name: str,
        cluster: str,
        credentials: Credentials,
        context: "SSLContext | None" = None,
        tls: TlsFolder | None = None,
    ) -> None:
        """``context`` is what the node shows, None on plain TCP; ``tls`` the folder of its certificates."""
        self._name = name
        self._cluster = cluster
        self._credentials = credentials
        self._context = context
        self._tls = tls

    def greet(
        self, connection: Connection, greeting: bytes, check_key: Callable[[Hello], None]
    ) -> Hello | None:
        """Carry out the handshake; return who is in, None when the caller only asked for the CA.

        ``check_key`` raises for an owner whose key is no longer good.

        Raises ``P2pxError`` after telling the caller why it is not.
        """
        return welcome(
            connection,
            self._credentials,
            self._name,
            self._cluster,
            greeting,
            self._context,
            lambda hello: self._admit(hello, check_key),
        )

    def enrol(self, hello: Hello, wanted: Enrol) -> Enrolled:
        """Return what makes a machine one of the cluster: secret, CA, and its node's certificate, signed.

        Raises ``TokenRefused``, ``BadRequest``, ``BadCertificate``, ``BadKeyFile``.
        """
        if hello.role != ROLE_JOINER:
            raise BadRequest("only who holds a join token may enrol")
        signer = self._signer(hello)
        if not _NAME.fullmatch(wanted.name):
            raise BadRequest("a node's name is 1 to 64 letters, digits, dots, - and _")
        if not 0 < len(wanted.hosts) <= MAX_HOSTS or not all(map(_HOST.fullmatch, wanted.hosts)):
            raise BadRequest(f"a certificate is for 1 to {MAX_HOSTS} addresses or host names")
        certificate = signer.sign(wanted.request, wanted.name, wanted.hosts, _now())
        logger.warning("node %s was enrolled", wanted.name, extra={"join_id": hello.key})
        return Enrolled(self._credentials.secret, self._credentials.ca, certificate)

    def _admit(self, hello: Hello, check_key: Callable[[Hello], None]) -> None:
        if hello.role == ROLE_JOINER:
            self._signer(hello)
        elif hello.role == ROLE_OWNER:
            check_key(hello)

    def _signer(self, hello: Hello) -> TlsFolder:
        """Return the folder that signs for this token. Raises ``TokenRefused``."""
        if self._tls is None or not self._tls.can_sign:
            raise TokenRefused(
                f"node {self._name} cannot sign certificates: the CA's key is not on its machine"
            )
        Tokens(self._tls.tokens_path).check(hello.key, hello.expires, _now())
        return self._tls


def _now() -> int:
    return now_ns() // 10**9
