"""Grenache RPC over HTTP: ``[rid, key, payload]`` in, ``[rid, error or null, result]`` out. Pure.

As real services do: the key is not checked, a fourth element is ignored, a header ``_gr: ["rid","key"]``
overrides rid and key, and ``grc-compress: gzip`` compresses both ways. Unlike them, a body that cannot be
read is answered as well: a real service stays silent, and its client waits for its timeout.
"""

import zlib
from collections.abc import Mapping
from typing import Any

import msgspec

from p2pcli.errors import BadInput

MAX_BODY = 1 << 20  # bytes, also once uncompressed
_GZIP = 31  # zlib's window bits for a gzip stream


class BadCall(BadInput):
    """The body is no Grenache call; ``error`` is Grenache's own word for it."""

    code = "bad_call"

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


class Call(msgspec.Struct, frozen=True):
    """One call as it came. ``rid`` is whatever the caller chose and goes back unchanged."""

    rid: Any
    key: Any
    payload: Any
    is_compressed: bool


def call_bytes(rid: str, key: str, payload: Any) -> bytes:
    """Return a call as it is sent."""
    return msgspec.json.encode([rid, key, payload])


def parse_call(body: bytes, headers: Mapping[bytes, bytes]) -> Call:
    """Return the call in a request's body. Raises ``BadCall``, whatever the bytes."""
    is_compressed = b"gzip" in headers.get(b"grc-compress", b"")
    rid, key = _override(headers.get(b"_gr"))
    content = decoded(inflated(body) if is_compressed else body)
    if not isinstance(content, list):
        if not content:
            raise BadCall("ERR_REQUEST_GENERIC: the body is not [rid, key, payload]")
        content = []
    first, second, payload = [*content, None, None, None][:3]
    return Call(first if rid is None else rid, second if key is None else key, payload, is_compressed)


def reply_bytes(rid: Any, error: str | None, result: Any, is_compressed: bool) -> bytes:
    """Return the answer to a call; always an array, because anything else kills a real client."""
    body = msgspec.json.encode([rid, error, result])
    if not is_compressed:
        return body
    packer = zlib.compressobj(wbits=_GZIP)
    return packer.compress(body) + packer.flush()


def parse_reply(body: bytes, rid: str) -> Any:
    """Return a call's result. Raises ``BadCall`` with the service's error, or Grenache's for a bad reply."""
    try:
        reply = decoded(body)
    except BadCall:
        raise BadCall("ERR_REPLY_EMPTY") from None
    if not isinstance(reply, list) or not reply:
        raise BadCall("ERR_REPLY_EMPTY")
    answered, error, result = [*reply, None, None][:3]
    if answered != rid:
        raise BadCall("ERR_TIMEOUT")  # what a real client reports for a reply to another request
    if error is not None:
        raise BadCall(error if isinstance(error, str) else msgspec.json.encode(error).decode())
    return result


def inflated(body: bytes) -> bytes:
    """Return the body gunzipped, or as it is where it is no gzip. Raises ``BadCall`` over ``MAX_BODY``."""
    reader = zlib.decompressobj(wbits=_GZIP)
    try:
        data = reader.decompress(body, MAX_BODY)
    except zlib.error:
        return body
    if reader.unconsumed_tail:
        raise BadCall(f"ERR_REQUEST_GENERIC: more than {MAX_BODY} bytes")
    return data


def decoded(body: bytes) -> Any:
    """Return what JSON says. Raises ``BadCall``."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise BadCall("ERR_REQUEST_GENERIC: the body is not JSON") from error


def _override(header: bytes | None) -> tuple[Any, Any]:
    if header is None:
        return None, None
    try:
        values = msgspec.json.decode(header, type=list)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BadCall("ERR_HEADER_PARSE_GR") from error
    rid, key = [*values, None, None][:2]
    return rid, key
