"""Who may talk: a mutual challenge with the cluster's shared secret (HMAC-SHA256, RFC 2104).

Each proof is an HMAC over a label and every field sent before it, so a proof cannot be replayed in
another conversation, reflected to its sender, or kept while a field is changed. Nonces are given by
the shell. The secret never travels, and neither side accepts itself as the other.

What a caller says of itself, role and name, decides which derived key both proofs are made with. So a
node believes a name because its key was used, and not because it was said.
"""

import hashlib
import hmac
from collections.abc import Collection

import msgspec

from p2pcli.errors import BadInput, Conflict, harmless
from p2pcli.rpc.credentials import Credentials, derived, join_key, owner_key

# 1 took an owner's name on trust, 2 answered one by one, 3 had every market everywhere, 4 one secret, 5 had
# outcomes in its answers and not their notes
VERSION = 6
NONCE_BYTES = 32
SECRET_BYTES = 32
MAX_TIME_S = 1 << 33  # in the year 2242
MAX_SAID = 400  # characters of a node's words that are repeated
MAX_NAME = 64  # characters of a node, owner or cluster name

ROLE_OPERATOR = 1  # holds the cluster's secret, and may act for any owner
ROLE_PEER = 2
ROLE_OWNER = 3  # holds the key of one owner
ROLE_JOINER = 4  # holds a join token, and wants what a machine of the cluster has


class WrongSecret(Conflict):
    """The two sides do not hold the same cluster secret."""

    code = "wrong_secret"


class WrongOwner(BadInput):
    """A key is another owner's than the one that was named."""

    code = "wrong_owner"


class KeyRefused(Conflict):
    """The owner's key was revoked, or never granted in this cluster."""

    code = "key_refused"


class TokenRefused(Conflict):
    """The join token has expired, was revoked, or is not good at this node."""

    code = "token_refused"


class SecretRetired(Conflict):
    """The cluster's secret was replaced, and the caller holds the one before."""

    code = "secret_retired"


class OtherVersion(Conflict):
    """The other side speaks another version of the protocol."""

    code = "other_version"


class TurnedAway(Conflict):
    """The node refused the conversation and said why."""

    code = "turned_away"


class OtherTls(Conflict):
    """One side speaks TLS and the other does not."""

    code = "other_tls"


class BadHandshake(Conflict):
    """The other side does not speak this protocol."""

    code = "bad_handshake"


class Hello(msgspec.Struct, frozen=True, array_like=True, tag="p2px"):
    """The first message: who is calling, and a fresh challenge for the node."""

    version: int
    nonce: bytes
    owner: str = ""  # on whose behalf orders come; "": the node's own name
    role: int = ROLE_OPERATOR
    caller: str = ""  # name of the calling node, for a peer
    caller_port: int = 0  # where the calling node itself listens, for a peer
    key: str = ""  # id of the owner's key or the join token
    expires: int = 0  # of the join token, seconds since 1970
    secret_id: str = ""  # of the cluster's secret that the key comes from


class AskAuthority(msgspec.Struct, frozen=True, array_like=True, tag="ca?"):
    """Instead of a ``Hello``: who signs this cluster's certificates? No proof is asked; it is public."""


class Authority(msgspec.Struct, frozen=True, array_like=True, tag="ca"):
    """The CA's certificate. Whoever asked knows its fingerprint, or should not believe it."""

    certificate: str  # PEM


class Challenge(msgspec.Struct, frozen=True, array_like=True, tag="challenge"):
    """The node's proof, and its own challenge."""

    version: int
    nonce: bytes
    node: str
    cluster: str
    proof: bytes


class Proof(msgspec.Struct, frozen=True, array_like=True, tag="proof"):
    """The caller's proof."""

    proof: bytes


class Welcome(msgspec.Struct, frozen=True, array_like=True, tag="welcome"):
    """The conversation is open. ``greeting`` is for the floor above."""

    greeting: msgspec.Raw


class Away(msgspec.Struct, frozen=True, array_like=True, tag="away"):
    """The conversation is over before it began."""

    code: str
    message: str


_REFUSALS: dict[type[Conflict], str | None] = {
    OtherVersion: None,
    KeyRefused: "p2px keys create OWNER, by whoever holds the cluster's secret, makes a new one",
    TokenRefused: "p2px cluster token create, on a machine with the CA's key, makes a new one",
    SecretRetired: "p2px cluster token create, on the first machine; here p2px node join --token TOKEN",
}
BUSY = "busy"  # code of an ``Away`` that says: not now

_encoder = msgspec.msgpack.Encoder()


def proving_key(credentials: Credentials, hello: Hello) -> bytes:
    """Return the key that both sides prove to have when a caller says ``hello``."""
    if credentials.key_id:
        return credentials.secret
    secret = credentials.secret_of(hello.secret_id)
    if hello.role == ROLE_PEER:
        return derived(secret, "p2px peer", hello.caller)
    if hello.role == ROLE_OWNER:
        return owner_key(secret, hello.owner, hello.key)
    if hello.role == ROLE_JOINER:
        return join_key(secret, hello.key, hello.expires)
    return derived(secret, "p2px operator", hello.owner)


def introduced(
    credentials: Credentials, nonce: bytes, owner: str, role: int, caller: str, caller_port: int
) -> Hello:
    """Return the greeting of a caller that holds these credentials. Raises ``WrongOwner``.

    A key says by itself who its holder is and what for; only the secret lets a caller choose.
    """
    made_with = credentials.secret_id
    if not credentials.key_id:
        return Hello(VERSION, nonce, owner, role, caller, caller_port, secret_id=made_with)
    if owner and owner != credentials.owner:
        raise WrongOwner(
            f"the key {credentials.key_id} is {harmless(credentials.owner)}'s, "
            f"who cannot act for {harmless(owner)}",
            hint="leave the owner out, or use the key of the other one",
        )
    role = ROLE_JOINER if credentials.expires else ROLE_OWNER
    key, expires = credentials.key_id, credentials.expires
    return Hello(VERSION, nonce, credentials.owner, role, key=key, expires=expires, secret_id=made_with)


def node_proof(key: bytes, hello: Hello, nonce: bytes, node: str, cluster: str) -> bytes:
    """Return what only a node with this key can answer to ``hello``."""
    return _proof(key, "p2px node", [hello, nonce, node, cluster])


def caller_proof(key: bytes, hello: Hello, challenge: Challenge) -> bytes:
    """Return what only a caller with this key can answer to ``challenge``."""
    return _proof(key, "p2px caller", [hello, challenge])


def session_name(hello: Hello) -> str:
    """Return what both ends call the conversation that ``hello`` begins: 40 bits of chance."""
    return hello.nonce[:5].hex()


def check_hello(hello: Hello) -> None:
    """Raise ``OtherVersion`` or ``BadHandshake`` unless the greeting can be answered."""
    if hello.version != VERSION:
        raise OtherVersion(
            f"the caller speaks protocol version {hello.version}, this node {VERSION}; "
            "both need the same p2px"
        )
    if len(hello.nonce) != NONCE_BYTES:
        raise BadHandshake(f"the nonce has {len(hello.nonce)} bytes, expected {NONCE_BYTES}")
    if hello.role not in (ROLE_OPERATOR, ROLE_PEER, ROLE_OWNER, ROLE_JOINER):
        raise BadHandshake(f"role {hello.role} is unknown here")
    if hello.role == ROLE_OWNER and not (hello.owner and hello.key):
        raise BadHandshake("a key without an owner or an id")
    if not 0 <= hello.expires < MAX_TIME_S:
        raise BadHandshake(f"a token that expires at {hello.expires} s after 1970")
    names = {"owner": hello.owner, "caller": hello.caller, "key": hello.key, "secret": hello.secret_id}
    for what, name in names.items():
        if len(name) > MAX_NAME or not name.isprintable():
            raise BadHandshake(f"the {what} name is longer than {MAX_NAME} characters or not printable")


def check_current(hello: Hello, retired: Collection[str]) -> None:
    """Raise unless the secret that a caller's key comes from is none of those that were replaced."""
    if hello.secret_id not in retired:
        return
    was = "made with a secret of this cluster that was replaced"
    if hello.role == ROLE_OWNER:
        raise KeyRefused(f"key {hello.key} of {harmless(hello.owner)} was {was}")
    if hello.role == ROLE_JOINER:
        raise TokenRefused(f"join token {hello.key} was {was}")
    raise SecretRetired("the cluster's secret was replaced, and the caller has the one before")


def check_challenge(key: bytes, hello: Hello, challenge: Challenge, where: str) -> None:
    """Raise ``WrongSecret`` or ``OtherVersion`` unless the node has proved itself."""
    if challenge.version != VERSION:
        raise OtherVersion(
            f"{where} speaks protocol version {challenge.version}, this client {VERSION}; "
            "both need the same p2px"
        )
    expected = node_proof(key, hello, challenge.nonce, challenge.node, challenge.cluster)
    if len(challenge.nonce) != NONCE_BYTES or not hmac.compare_digest(expected, challenge.proof):
        raise _not_proven(hello, where)


def _not_proven(hello: Hello, where: str) -> WrongSecret:
    if hello.role == ROLE_OWNER:
        return WrongSecret(
            f"key {hello.key} of {harmless(hello.owner)} is none of the cluster at {where}",
            hint="another cluster made it, or the key file was changed",
        )
    if hello.role == ROLE_JOINER:
        return WrongSecret(
            f"join token {hello.key} is none of the cluster at {where}",
            hint="another cluster made it, or it was changed on its way",
        )
    return WrongSecret(
        f"{where} belongs to another cluster: its secret is not the one given",
        hint="use the cluster's own secret file, or --name for another cluster",
    )


def is_proven(key: bytes, hello: Hello, challenge: Challenge, proof: Proof) -> bool:
    """Say whether the caller holds the key. Constant time in the proof."""
    return hmac.compare_digest(caller_proof(key, hello, challenge), proof.proof)


def turned_away(away: Away, where: str) -> Conflict:
    """Return what a caller is told when a node will not talk."""
    said = harmless(away.message[:MAX_SAID])
    if away.code == OtherTls.code:
        return OtherTls(
            f"{where}: {said}",
            hint="the CA certificate is missing here: use the cluster file that p2px cluster init wrote",
        )
    for kind, hint in _REFUSALS.items():
        if away.code == kind.code:
            return kind(f"{where}: {said}", hint=hint)
    return TurnedAway(f"{where} turned the call away: {said}")


def _proof(key: bytes, label: str, fields: list[object]) -> bytes:
    return hmac.new(key, _encoder.encode([label, *fields]), hashlib.sha256).digest()
