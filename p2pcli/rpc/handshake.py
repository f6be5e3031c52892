"""The two ends of a conversation's beginning: a dialler and a greeter. The rules are in ``auth``."""

import secrets
import socket
from typing import TypeVar

import msgspec

from p2pcli.clock import monotonic
from p2pcli.errors import P2pxError
from p2pcli.rpc import auth
from p2pcli.rpc.credentials import Credentials
from p2pcli.rpc.frame import framed
from p2pcli.rpc.tcp import CALLER_TICK_S, Connection, ConnectionLost, NoAnswer, PeerUnreachable

HANDSHAKE_S = 5.0  # a stranger's whole greeting

_Message = TypeVar("_Message")

_encoder = msgspec.msgpack.Encoder()
_hello = msgspec.msgpack.Decoder(auth.Hello)
_proof = msgspec.msgpack.Decoder(auth.Proof)
_challenge = msgspec.msgpack.Decoder(auth.Challenge | auth.Away)
_verdict = msgspec.msgpack.Decoder(auth.Welcome | auth.Away)


def welcome(
    connection: Connection, credentials: Credentials, node: str, cluster: str, greeting: bytes
) -> auth.Hello:
    """Carry out the node's side of the handshake and return the caller's greeting.

    Raises ``P2pxError`` after telling the caller why (a wrong secret is not explained further).
    """
    deadline = monotonic() + HANDSHAKE_S
    try:
        hello = _decoded(_hello, connection.receive_one(deadline))
        auth.check_hello(hello)
        nonce = secrets.token_bytes(auth.NONCE_BYTES)
        key = auth.proving_key(credentials, hello)
        proof = auth.node_proof(key, hello, nonce, node, cluster)
        challenge = auth.Challenge(auth.VERSION, nonce, node, cluster, proof)
        connection.send(framed(_encoder.encode(challenge)))
        if not auth.is_proven(key, hello, challenge, _decoded(_proof, connection.receive_one(deadline))):
            raise auth.WrongSecret(f"{connection.address} does not hold this cluster's secret")
    except P2pxError as error:
        if not isinstance(error, (ConnectionLost, NoAnswer)):
            try:
                connection.send(framed(_encoder.encode(auth.Away(error.code, error.message))))
            except ConnectionLost:
                pass
        raise
    connection.send(framed(_encoder.encode(auth.Welcome(msgspec.Raw(greeting)))))
    connection.settle()
    return hello


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
    all of it. Raises ``PeerUnreachable``, ``NoAnswer``, ``WrongSecret``, ``TurnedAway``.
    """
    deadline = monotonic() + timeout
    where = f"{host}:{port}"
    try:
        sock = socket.create_connection((host, port), timeout=timeout)
    except TimeoutError as error:
        raise NoAnswer(f"{where} did not answer within {timeout:g} s") from error
    except OSError as error:
        raise PeerUnreachable(f"nothing listens at {where}: {error.strerror or error}") from error
    try:
        sock.settimeout(None)
        connection = Connection(sock)
        hello = auth.Hello(
            auth.VERSION, secrets.token_bytes(auth.NONCE_BYTES), owner, role, caller, caller_port
        )
        connection.send_blocking(framed(_encoder.encode(hello)))
        challenge = _decoded(_challenge, connection.receive_one(deadline))
        if isinstance(challenge, auth.Away):
            raise auth.TurnedAway(f"{where} turned the call away: {challenge.message}")
        key = auth.proving_key(credentials, hello)
        auth.check_challenge(key, hello, challenge, where)
        proof = auth.Proof(auth.caller_proof(key, hello, challenge))
        connection.send_blocking(framed(_encoder.encode(proof)))
        verdict = _decoded(_verdict, connection.receive_one(deadline))
        if isinstance(verdict, auth.Away):
            raise auth.TurnedAway(f"{where} turned the call away: {verdict.message}")
    except BaseException:
        sock.close()
        raise
    connection.settle(CALLER_TICK_S)
    return connection, challenge, bytes(verdict.greeting)


def _decoded(decoder: "msgspec.msgpack.Decoder[_Message]", payload: bytes) -> _Message:
    try:
        return decoder.decode(payload)
    except msgspec.MsgspecError as error:
        raise auth.BadHandshake(f"the other side does not speak p2px: {error}") from error
