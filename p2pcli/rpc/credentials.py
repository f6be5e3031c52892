"""What a process proves itself with: the cluster's secret, or a key derived from it. Values only.

    proving key = HMAC-SHA256(cluster secret, [label, name, ...])

Whoever holds the secret can derive every key, so a node stores none. A key tells nothing about the secret
or about another key. A caller names the secret that its key comes from by ``secret_id``, for a node accepts
two while a secret is being replaced.
"""

import hashlib
import hmac

import msgspec

_encoder = msgspec.msgpack.Encoder()


SECRET_ID_BYTES = 8


class Credentials(msgspec.Struct, frozen=True):
    """What one side of a connection holds."""

    secret: bytes  # of the cluster; with ``key_id`` only the key, which is all that its holder has
    ca: str = ""  # certificates (PEM) of CAs, one of which its nodes must show; "": plain TCP
    owner: str = ""  # whose key it is
    key_id: str = ""  # of an owner's key or a join token; "": the secret itself
    expires: int = 0  # of a join token, seconds since 1970; 0: it is none
    made_with: str = ""  # id of the secret that a key was derived from
    accepted: tuple[bytes, ...] = ()  # other secrets of the cluster whose holders a node lets in
    retired: tuple[str, ...] = ()  # ids of secrets that were good once

    def __repr__(self) -> str:
        return "Credentials(...)"  # never in a log or a traceback

    @property
    def secret_id(self) -> str:
        """Return the id of the secret that these credentials are, or come from."""
        return self.made_with if self.key_id else secret_id(self.secret)

    def secret_of(self, wanted: str) -> bytes:
        """Return the accepted secret of that id; the own one when none has it."""
        return next((one for one in self.accepted if secret_id(one) == wanted), self.secret)


def secret_id(secret: bytes) -> str:
    """Return what a secret is called where it must not be told: 16 hexadecimal digits."""
    return derived(secret, "p2px secret id")[:SECRET_ID_BYTES].hex()


def owner_key(secret: bytes, owner: str, key_id: str) -> bytes:
    """Return the key with which its holder trades as ``owner``, and as nobody else."""
    return derived(secret, "p2px owner", owner, key_id)


def join_key(secret: bytes, token_id: str, expires: int) -> bytes:
    """Return what a join token proves: only a holder of the secret can have made one with that expiry."""
    return derived(secret, "p2px join", token_id, expires)


def derived(secret: bytes, label: str, *fields: str | int) -> bytes:
    """Return 32 bytes that only a holder of the secret can know, different for each label and fields."""
    return hmac.new(secret, _encoder.encode([label, *fields]), hashlib.sha256).digest()
