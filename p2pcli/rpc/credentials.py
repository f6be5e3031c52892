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

    secret: bytes  # of the cluster
    ca: str = ""  # certificate (PEM) of the cluster's CA, which its nodes must show; "": plain TCP

    def __repr__(self) -> str:
        return "Credentials(...)"  # never in a log or a traceback


def derived(secret: bytes, label: str, *fields: str | int) -> bytes:
    """Return 32 bytes that only a holder of the secret can know, different for each label and fields."""
    return hmac.new(secret, _encoder.encode([label, *fields]), hashlib.sha256).digest()
