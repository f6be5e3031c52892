"""The two ends of a conversation's beginning: a dialler and a greeter. The rules are in ``auth``."""

import errno
import secrets
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import msgspec

from p2pcli.clock import monotonic
from p2pcli.errors import P2pxError
from p2pcli.rpc import auth
from p2pcli.rpc.credentials import Credentials
from p2pcli.rpc.frame import MAX_FRAME_BEFORE_AUTH, FrameDecoder, FrameTooLarge, framed
from p2pcli.rpc.tcp import (
    CALLER_TICK_S,
    Connection,
    ConnectionLost,
    HostUnreachable,
    NoAnswer,
    PeerUnreachable,
)

if TYPE_CHECKING:
    from ssl import SSLContext

TLS_BEGINS = 0x16  # first byte of a TLS caller: a handshake record (RFC 8446); a p2px frame begins with 0x00
HANDSHAKE_S = 5.0  # a stranger's whole greeting

_Message = TypeVar("_Message")

_encoder = msgspec.msgpack.Encoder()
_hello: "msgspec.msgpack.Decoder[auth.Hello | auth.AskAuthority]"
_hello = msgspec.msgpack.Decoder(auth.Hello | auth.AskAuthority)
_authority: "msgspec.msgpack.Decoder[auth.Authority | auth.Away]"
_authority = msgspec.msgpack.Decoder(auth.Authority | auth.Away)
_proof = msgspec.msgpack.Decoder(auth.Proof)
_challenge = msgspec.msgpack.Decoder(auth.Challenge | auth.Away)
_verdict = msgspec.msgpack.Decoder(auth.Welcome | auth.Away)


def welcome(
    connection: Connection,
    credentials: Credentials,
    node: str,
    cluster: str,
    greeting: bytes,
    context: "SSLContext | None" = None,
    admit: Callable[[auth.Hello], None] = lambda hello: None,
) -> auth.Hello | None:
    """Carry out the node's side of the handshake and return the caller's greeting.

    ``admit`` is asked about a caller who has proved who it is, and raises what turns it away. None: it only
    asked who the CA is.

    With ``context`` (see ``tls``) everything goes through TLS, and nothing else is taken. Raises
    ``P2pxError`` after telling the caller why (a wrong secret is not explained further).
    """
    deadline = monotonic() + HANDSHAKE_S
    _enter(connection, context, deadline)
    try:
        hello = _decoded(_hello, connection.receive_one(deadline))
        if isinstance(hello, auth.AskAuthority):
            connection.send(framed(_encoder.encode(auth.Authority(credentials.ca))))
            return None
        auth.check_hello(hello)
        auth.check_current(hello, credentials.retired)
        nonce = secrets.token_bytes(auth.NONCE_BYTES)
        key = auth.proving_key(credentials, hello)
        proof = auth.node_proof(key, hello, nonce, node, cluster)
        challenge = auth.Challenge(auth.VERSION, nonce, node, cluster, proof)
        connection.send(framed(_encoder.encode(challenge)))
        if not auth.is_proven(key, hello, challenge, _decoded(_proof, connection.receive_one(deadline))):
            raise auth.WrongSecret(f"{connection.address} does not hold this cluster's secret")
        admit(hello)
    except P2pxError as error:
        if not isinstance(error, (ConnectionLost, NoAnswer)):
            _send_away(connection, error)
        raise
    connection.send(framed(_encoder.encode(auth.Welcome(msgspec.Raw(greeting)))))
    connection.session = auth.session_name(hello)
    connection.settle()
    return hello


def _enter(connection: Connection, context: "SSLContext | None", deadline: float) -> None:
    """Begin TLS, or make sure that the caller does not; a caller of the other kind is told in its own way."""
    speaks_tls = connection.first_byte(deadline) == TLS_BEGINS
    if speaks_tls == (context is not None):
        if context is not None:
            from p2pcli.rpc.tls import Tls

            connection.begin_tls(Tls(context, connection.address, None), deadline)
        return
    connection.skip(deadline)  # unread bytes would make the kernel drop what we say next
    error = auth.OtherTls(
        "this node speaks plain TCP and no TLS" if speaks_tls else "this node speaks TLS and nothing else"
    )
    _send_away(connection, error)
    raise error


def _send_away(connection: Connection, error: P2pxError) -> None:
    try:
        connection.send(framed(_encoder.encode(auth.Away(error.code, error.message))))
    except ConnectionLost:
        pass


def dial(
    host: str,
    port: int,
    credentials: Credentials,
    *,
    owner: str = "",
    role: int = auth.ROLE_OPERATOR,
    caller: str = "",
    caller_port: int = 0,
    timeout: float = HANDSHAKE_S,
) -> tuple[Connection, auth.Challenge, bytes]:
    """Connect and carry out the caller's side of the handshake.

    Returns the connection, the node's proven introduction and its greeting. ``timeout`` seconds for
    all of it. With a CA in ``credentials`` through TLS. Raises ``PeerUnreachable``, ``NoAnswer``,
    ``WrongSecret``, ``TurnedAway``, ``OtherTls``, ``CertificateRefused`` and other kinds of ``Conflict``.
    """
    deadline = monotonic() + timeout
    where = f"{host}:{port}"
    sock = _connected(host, port, timeout)
    try:
        connection = Connection(sock)
        if credentials.ca:
            from p2pcli.rpc.tls import caller_context

            _begin_tls(connection, caller_context(credentials.ca), host, deadline)
        nonce = secrets.token_bytes(auth.NONCE_BYTES)
        hello = auth.introduced(credentials, nonce, owner, role, caller, caller_port)
        connection.send_blocking(framed(_encoder.encode(hello)))
        challenge = _decoded(_challenge, connection.receive_one(deadline))
        if isinstance(challenge, auth.Away):
            raise auth.turned_away(challenge, where)
        key = auth.proving_key(credentials, hello)
        auth.check_challenge(key, hello, challenge, where)
        proof = auth.Proof(auth.caller_proof(key, hello, challenge))
        connection.send_blocking(framed(_encoder.encode(proof)))
        verdict = _decoded(_verdict, connection.receive_one(deadline))
        if isinstance(verdict, auth.Away):
            raise auth.turned_away(verdict, where)
    except BaseException:
        sock.close()
        raise
    connection.session = auth.session_name(hello)
    connection.settle(CALLER_TICK_S)
    return connection, challenge, bytes(verdict.greeting)


def ask_authority(host: str, port: int, fingerprint: str, timeout: float = HANDSHAKE_S) -> str:
    """Return the certificate (PEM) of the CA of the node there, which must have that fingerprint.

    Where a CA is being replaced there are two; the fingerprint is of one of them, or of both together.

    Nothing is said about oneself, for nobody is believed yet. Raises ``CertificateRefused`` and as ``dial``.
    """
    from p2pcli.rpc import certificates, tls

    deadline = monotonic() + timeout
    sock = _connected(host, port, timeout)
    try:
        connection = Connection(sock)
        _begin_tls(connection, tls.blind_context(), host, deadline)
        connection.send_blocking(framed(_encoder.encode(auth.AskAuthority())))
        answer = _decoded(_authority, connection.receive_one(deadline))
        if isinstance(answer, auth.Away):
            raise auth.turned_away(answer, connection.address)
    finally:
        sock.close()
    try:
        believed = certificates.those_of(answer.certificate, fingerprint)
    except certificates.BadCertificate:
        believed = ""
    if not believed:
        raise tls.CertificateRefused(
            f"{host}:{port} is of another cluster, or its CA was replaced: it is not the one expected",
            hint="ask the operator for the CA's fingerprint, or a new token (p2px cluster token create)",
        )
    return believed


def _connected(host: str, port: int, timeout: float) -> socket.socket:
    where = f"{host}:{port}"
    try:
        sock = socket.create_connection((host, port), timeout=timeout)
    except TimeoutError as error:
        raise NoAnswer(f"{where} did not answer within {timeout:.2g} s") from error
    except OSError as error:
        if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
            raise HostUnreachable(f"no way to {where}: {error.strerror}") from error
        raise PeerUnreachable(f"nothing listens at {where}: {error.strerror or error}") from error
    sock.settimeout(None)
    return sock


def _begin_tls(connection: Connection, context: "SSLContext", host: str, deadline: float) -> None:
    from p2pcli.rpc.tls import NotTls, Tls

    where = connection.address
    try:
        connection.begin_tls(Tls(context, where, host), deadline)
    except NotTls as error:
        away = _away_in(error.said)
        # A node that is full says so before it knows who calls.
        raise auth.turned_away(away, where) if away and away.code == auth.BUSY else error from None


def _away_in(said: bytes) -> auth.Away | None:
    try:
        payloads = FrameDecoder(MAX_FRAME_BEFORE_AUTH).feed(said)
        return msgspec.msgpack.decode(payloads[0], type=auth.Away) if payloads else None
    except (FrameTooLarge, msgspec.MsgspecError):
        return None


def _decoded(decoder: "msgspec.msgpack.Decoder[_Message]", payload: bytes) -> _Message:
    try:
        return decoder.decode(payload)
    except msgspec.MsgspecError as error:
        raise auth.BadHandshake(f"the other side does not speak p2px: {error}") from error
