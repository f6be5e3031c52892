"""What a process proves itself with: the cluster's secret, or a key derived from it. Values only.

    proving key = HMAC-SHA256(cluster secret, [label, name, ...])

Whoever holds the secret can derive every key, so a node stores none. A key tells nothing about the secret
or about another key.
"""

import hashlib
import hmac

import msgspec

_encoder = msgspec.msgpack.Encoder()


class Credentials(msgspec.Struct, frozen=True):
    """What one side of a connection holds."""

    secret: bytes  # of the cluster; with ``key_id`` only the key, which is all that its holder has
    ca: str = ""  # certificate (PEM) of the cluster's CA, which its nodes must show; "": plain TCP
    owner: str = ""  # whose key it is
    key_id: str = ""  # of an owner's key or a join token; "": the secret itself
    expires: int = 0  # of a join token, seconds since 1970; 0: it is none

    def __repr__(self) -> str:
        return "Credentials(...)"  # never in a log or a traceback


def owner_key(secret: bytes, owner: str, key_id: str) -> bytes:
    """Return the key with which its holder trades as ``owner``, and as nobody else."""
    return derived(secret, "p2px owner", owner, key_id)


def join_key(secret: bytes, token_id: str, expires: int) -> bytes:
    """Return what a join token proves: only a holder of the secret can have made one with that expiry."""
    return derived(secret, "p2px join", token_id, expires)


def derived(secret: bytes, label: str, *fields: str | int) -> bytes:
    """Return 32 bytes that only a holder of the secret can know, different for each label and fields."""
    return hmac.new(secret, _encoder.encode([label, *fields]), hashlib.sha256).digest()
