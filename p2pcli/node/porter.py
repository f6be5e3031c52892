"""Who is let into a node, as what, and what a machine that joins is given.

Everybody proves first who it is (``rpc/auth``). What is decided here is whether that one is still welcome.
"""

import logging
import re
from collections.abc import Callable

from p2pcli.clock import now_ns
from p2pcli.node.keyring import Keyring
from p2pcli.node.requests import BadRequest, Enrol, Enrolled, Forbidden, Rotate
from p2pcli.node.rotation import Phase, RotationView
from p2pcli.node.tokens import Tokens
from p2pcli.rpc.auth import ROLE_JOINER, ROLE_OPERATOR, ROLE_OWNER, Hello, TokenRefused
from p2pcli.rpc.handshake import welcome
from p2pcli.rpc.tcp import Connection

MAX_HOSTS = 64  # addresses of one certificate
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,252}", re.ASCII)

logger = logging.getLogger(__name__)


class Porter:
    """The door of one node. Any thread may ask."""

    def __init__(self, name: str, cluster: str, keyring: Keyring) -> None:
        self._name = name
        self._cluster = cluster
        self._keyring = keyring

    def greet(
        self, connection: Connection, greeting: bytes, check_key: Callable[[Hello], None]
    ) -> Hello | None:
        """Carry out the handshake; return who is in, None when the caller only asked for the CA.

        ``check_key`` raises for an owner whose key is no longer good.

        Raises ``P2pxError`` after telling the caller why it is not.
        """
        return welcome(
            connection,
            self._keyring.credentials,
            self._name,
            self._cluster,
            greeting,
            self._keyring.context,
            lambda hello: self._admit(hello, check_key),
        )

    def is_welcome(self, hello: Hello) -> bool:
        """Say whether the secret with which a caller who is in proved itself is still good."""
        return self._keyring.accepts(hello.secret_id)

    def rotate(self, hello: Hello, wanted: Rotate) -> RotationView:
        """Go on with a rotation of the cluster's secret, as its operator says.

        Raises ``Forbidden``, and what the machine's files may be wrong with.
        """
        if hello.role != ROLE_OPERATOR:
            raise Forbidden("only who holds the cluster's secret may replace it")
        if wanted.phase and wanted.phase not in [phase.value for phase in Phase]:
            raise BadRequest(f"a rotation has no phase {wanted.phase[:20]!a}")
        reached = self._keyring.advance(wanted.phase, hello.secret_id)
        logger.warning("replacing the cluster's keys is %s here", reached.phase or "not under way")
        return reached

    def enrol(self, hello: Hello, wanted: Enrol) -> Enrolled:
        """Return what makes a machine one of the cluster: secret, CA, and its node's certificate, signed.

        Raises ``TokenRefused``, ``BadRequest``, ``BadCertificate``, ``BadKeyFile``.
        """
        if hello.role != ROLE_JOINER:
            raise BadRequest("only who holds a join token may enrol")
        self._check_token(hello)
        if not _NAME.fullmatch(wanted.name):
            raise BadRequest("a node's name is 1 to 64 letters, digits, dots, - and _")
        if not 0 < len(wanted.hosts) <= MAX_HOSTS or not all(map(_HOST.fullmatch, wanted.hosts)):
            raise BadRequest(f"a certificate is for 1 to {MAX_HOSTS} addresses or host names")
        given = self._keyring.enrolled(wanted.request, wanted.name, wanted.hosts)
        logger.warning("node %s was enrolled", wanted.name, extra={"join_id": hello.key})
        return given

    def _admit(self, hello: Hello, check_key: Callable[[Hello], None]) -> None:
        if hello.role == ROLE_JOINER:
            self._check_token(hello)
        elif hello.role == ROLE_OWNER:
            check_key(hello)

    def _check_token(self, hello: Hello) -> None:
        """Raise ``TokenRefused`` unless a machine may be enrolled here, with this token, now."""
        signer = self._keyring.signer
        if signer is None:
            raise TokenRefused(
                f"node {self._name} cannot sign certificates: the CA's key is not on its machine"
            )
        if hello.secret_id != self._keyring.newest:  # who has the old secret must not be given the new one
            raise TokenRefused(f"join token {hello.key} was made with a secret that is being replaced")
        Tokens(signer.tokens_path).check(hello.key, hello.expires, now_ns() // 10**9)
