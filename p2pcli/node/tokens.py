"""Join tokens: one line of text that lets a machine become one of the cluster, until it expires.

    p2px-join-<base64url of MessagePack [version, cluster, id, expires, addresses, fingerprint, key,
    secret id]>

``key`` is derived from the cluster's secret for that id and expiry, so no field of it can be changed.
``fingerprint`` is the CA's: the machine shows the token to nobody but a node of that cluster. The list of
tokens that were made lies beside the CA's key, because only nodes there can sign.
"""

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path

import msgspec

from p2pcli.errors import BadInput, NotFound
from p2pcli.node.tls_folder import read_private, write_private
from p2pcli.rpc.auth import TokenRefused
from p2pcli.rpc.credentials import Credentials, join_key, secret_id

PREFIX = "p2px-join-"
VERSION = 2  # 1 did not say which secret the key was made with
ID_BYTES = 8
MAX_TOKENS = 1000  # that have not expired
MAX_TEXT = 4096  # characters of a token
MAX_ADDRESSES = 16
MAX_LIFETIME_S = 30 * 86_400


class BadToken(BadInput):
    """Text that is no join token."""

    code = "bad_token"


class NoSuchToken(NotFound):
    """No token of that id was made here."""

    code = "no_such_token"


class Token(msgspec.Struct, frozen=True, array_like=True):
    """What a machine needs to join."""

    version: int
    cluster: str
    id: str
    expires: int  # seconds since 1970
    addresses: list[str]  # host:port of nodes to ask
    fingerprint: str  # SHA-256 of the CA's certificate, in hexadecimal
    key: bytes
    secret_id: str = ""  # of the cluster's secret that it was made with

    def __repr__(self) -> str:
        return f"Token({self.id!r}, ...)"

    @property
    def text(self) -> str:
        """The line that people copy."""
        return PREFIX + urlsafe_b64encode(msgspec.msgpack.encode(self)).decode().rstrip("=")

    def credentials(self, authority: str) -> Credentials:
        """Return what its holder proves itself with to a node of that CA."""
        return Credentials(
            self.key, authority, key_id=self.id, expires=self.expires, made_with=self.secret_id
        )


class Made(msgspec.Struct, frozen=True):
    """A token as its list remembers it: not enough to use it."""

    id: str
    expires: int
    revoked: bool = False


def read_token(text: str) -> Token:
    """Return the token of a line of text. Raises ``BadToken``."""
    text = text.strip()
    body = text.removeprefix(PREFIX)
    if len(text) > MAX_TEXT or body == text:
        raise BadToken(
            f"not a join token: it has to begin with {PREFIX} and have at most {MAX_TEXT} characters",
            hint="p2px cluster token create prints one",
        )
    try:
        token = msgspec.msgpack.decode(urlsafe_b64decode(body + "=" * (-len(body) % 4)), type=Token)
        is_whole = token.version == VERSION and 0 < len(token.addresses) <= MAX_ADDRESSES
    except (ValueError, msgspec.MsgspecError):
        is_whole = False
    if not is_whole:
        raise BadToken(
            "not a join token of this version: a part of it is missing or was changed",
            hint="copy the whole line that p2px cluster token create printed",
        )
    return token


class Tokens:
    """The tokens that were made on this machine, in a file. ``now`` is seconds since 1970."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def create(
        self, secret: bytes, cluster: str, addresses: list[str], fingerprint: str, expires: int, now: int
    ) -> Token:
        """Make a token and remember it. Raises ``BadKeyFile``, and ``BadInput`` when there are too many."""
        kept = [made for made in self.ls() if made.expires > now]
        if len(kept) >= MAX_TOKENS:
            raise BadInput(
                f"{len(kept)} join tokens have not expired, the maximum is {MAX_TOKENS}",
                hint="p2px cluster token ls",
            )
        token_id = secrets.token_hex(ID_BYTES)
        self._write([*kept, Made(token_id, expires)])
        key = join_key(secret, token_id, expires)
        where = addresses[:MAX_ADDRESSES]
        return Token(VERSION, cluster, token_id, expires, where, fingerprint, key, secret_id(secret))

    def ls(self) -> list[Made]:
        """Return what was made, the oldest first. Raises ``BadKeyFile``, ``BadToken`` for a damaged list."""
        if not self._path.exists():
            return []
        try:
            return msgspec.json.decode(read_private(self._path), type=list[Made])
        except msgspec.MsgspecError as error:
            raise BadToken(
                f"the list of join tokens {self._path} is damaged: {error}",
                hint="delete it; no token that was made before is good then",
            ) from error

    def revoke(self, token_id: str) -> None:
        """Let nobody join with this token any more. Raises ``NoSuchToken``."""
        made = self.ls()
        if all(one.id != token_id for one in made):
            raise NoSuchToken(
                f"no join token {token_id[:60]!a} was made on this machine", hint="p2px cluster token ls"
            )
        self._write([Made(one.id, one.expires, one.revoked or one.id == token_id) for one in made])

    def check(self, token_id: str, expires: int, now: int) -> None:
        """Raise ``TokenRefused`` unless a token that was proven is good now."""
        if expires <= now:
            raise TokenRefused(f"join token {token_id} has expired {_ago(now - expires)} ago")
        made = next((one for one in self.ls() if one.id == token_id), None)
        if made is None:
            raise TokenRefused(f"join token {token_id} was not made on the machine of this node")
        if made.revoked:
            raise TokenRefused(f"join token {token_id} was revoked")

    def _write(self, made: list[Made]) -> None:
        write_private(self._path, msgspec.json.format(msgspec.json.encode(made)).decode())


def _ago(seconds: int) -> str:
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"
