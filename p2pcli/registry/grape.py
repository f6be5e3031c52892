"""The words of a Grape's HTTP API: what a request's path and JSON ask for, and how an answer is said.

::

    POST /lookup    {"rid": any, "data": "service name"}             -> ["127.0.0.1:1337", ...]
    POST /announce  {"rid": any, "data": ["service name", 1337]}     -> 1            members that hold it
    POST /put       {"rid": any, "data": {"v": ..., "k"?, ...}}      -> "40 hex"     the item's key
    POST /get       {"rid": any, "data": "40 hex" or {"hash", ...}}  -> {"id", "token", "v", ...} or nothing

Errors are HTTP 200 with a JSON string, except: 500 with plain text for what is not JSON or of an impossible
type, 413 for a body over the limit, 301 and 302 for mutable items. The texts are those of a real Grape, which
are in part what JavaScript says when a program stumbles; clients match on them. ``data`` follows JavaScript
too: what ``Buffer.from`` would make of a value is made of it here.
"""

import json
import re
from math import isfinite
from typing import Any

from p2pcli.errors import P2pxError
from p2pcli.registry.bencode import Encodable, NotBencode
from p2pcli.registry.items import KEY_BYTES, MAX_SALT, Item
from p2pcli.registry.operations import (
    Announce,
    Announced,
    Answer,
    Failed,
    Find,
    Found,
    Get,
    Kept,
    Peers,
    Put,
    Request,
)

PAYLOAD_SIZE = b"ERR_GRAPE_PAYLOAD_SIZE"  # with status 413
_V_TOO_LARGE = "v must be less than 1000 bytes in put()"
_NOT_BYTES = (
    "The first argument must be of type string or an instance of Buffer, ArrayBuffer, or Array or an "
    "Array-like Object. Received "
)
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_UNDEFINED: Any = type(
    "Undefined", (), {"__bool__": lambda self: False, "__repr__": lambda self: "undefined"}
)()

# camelCase as real Grapes spell it: the path's first letters of words are found, joiners are dropped.
_WORD = re.compile(r"(?:^\w|[A-Z]|\b\w|-\w|_\w)", re.ASCII)
_JOINER = re.compile(r"[\s_-]+", re.ASCII)
_HEX_PAIRS = re.compile(r"(?:[0-9a-fA-F]{2})*")


class Refused(P2pxError):
    """A request that is answered at once, with a Grape's own words and HTTP status."""

    code = "grape_refused"

    def __init__(self, text: str, status: int = 200) -> None:
        super().__init__(text)
        self.status = status
        self.body = _json(text) if status == 200 else text.encode("utf-8", "replace")


def read(target: bytes, body: bytes, dht_port: int) -> Request:
    """Return what a request asks for; a service announced at port 0 is at ``dht_port``.

    Raises ``Refused`` with what is to be answered instead.
    """
    message = _parse(body.decode("utf-8", "replace"))
    if message is _UNDEFINED:
        raise Refused("ERR_GRAPE_PAYLOAD_INVALID", 500)
    if message is None:
        raise Refused("Cannot read properties of null (reading 'data')", 500)
    data = message.get("data", _UNDEFINED) if isinstance(message, dict) else _UNDEFINED
    match target[1:] if target in _PLAIN else _camel_case(target):
        case b"lookup":
            if not isinstance(data, str) or not data:
                raise Refused("ERR_GRAPE_LOOKUP")
            return Find(_utf8(data))
        case b"announce":
            return _announce(data, dht_port)
        case b"put":
            return _put(data)
        case b"get":
            return _get(data)
    raise Refused("ERR_REQ_NOTFOUND")


def say(answer: Answer) -> tuple[int, bytes]:
    """Return the HTTP status and body that say ``answer``."""
    match answer:
        case Peers(addresses):
            return 200, _json([f"{host}:{port}" for host, port in addresses])
        case Announced(members):
            return 200, b"%d" % members
        case Kept(target):
            return 200, b'"%b"' % target.hex().encode()
        case Found():
            return 200, _json(_found(answer))
        case Failed(text, code):
            return code or 200, _json(text)
    return 200, b""  # Unknown: an empty body, as real Grapes send


_PLAIN = frozenset({b"/lookup", b"/announce", b"/put", b"/get"})


def _camel_case(target: bytes) -> bytes:
    """Return which of its four requests a Grape would understand by this path, or nothing."""
    text = "-" + target[1:].decode("latin-1")
    words = _WORD.sub(lambda word: word[0].upper() if word.start() else word[0].lower(), text)
    name = _JOINER.sub("", words)
    name = name[:1].upper() + name[1:]
    return name.lower().encode() if name in ("Lookup", "Announce", "Put", "Get") else b""


def _announce(data: Any, dht_port: int) -> Request:
    if not isinstance(data, list):
        raise Refused("ERR_GRAPE_ANNOUNCE")
    name, port, *_ = [*data, _UNDEFINED, _UNDEFINED]
    if isinstance(port, bool) or not isinstance(port, int | float) or port != port // 1:
        raise Refused("ERR_GRAPE_SERVICE_PORT")
    return Announce(_buffer(name), int(port) or dht_port)


def _put(data: Any) -> Request:
    if data is None or data is _UNDEFINED:
        raise Refused(f"Cannot read properties of {_null(data)} (reading 'k')", 500)
    if isinstance(data, str):
        data = {"v": data}
    fields = data if isinstance(data, dict) else {}
    k = _string_or_bytes(fields["k"], hexadecimal=True) if fields.get("k") else b""
    sig = _string_or_bytes(fields["sig"], hexadecimal=True) if k and fields.get("sig") else b""
    salt = _string_or_bytes(fields["salt"]) if k and fields.get("salt") else b""
    v = _value(fields.get("v", _UNDEFINED))
    if not fields.get("k"):
        return Put(_fitting(Item(v)))
    seq, cas = fields.get("seq", _UNDEFINED), fields.get("cas", _UNDEFINED)
    if cas is not _UNDEFINED and not _is_integer(cas):
        raise Refused("opts.cas must be an integer if provided")
    if len(k) != KEY_BYTES:
        raise Refused("opts.k ed25519 public key must be 32 bytes")
    if not sig:
        raise Refused("opts.sign function or options.sig signature is required for mutable put")
    if len(salt) > MAX_SALT:
        raise Refused("opts.salt is > 64 bytes long")
    if seq is _UNDEFINED:
        raise Refused("opts.seq not provided for a mutable update")
    if not _is_integer(seq) or seq < 0:
        raise Refused("opts.seq not an integer")
    return Put(_fitting(Item(v, k, sig, int(seq), salt)), None if cas is _UNDEFINED else int(cas))


def _fitting(item: Item) -> Item:
    try:
        fits = item.fits()
    except NotBencode as error:
        raise Refused(error.message) from None
    if not fits:
        raise Refused(_V_TOO_LARGE)
    return item


def _get(data: Any) -> Request:
    if data is None or data is _UNDEFINED:
        raise Refused(f"Cannot read properties of {_null(data)} (reading 'salt')", 500)
    if isinstance(data, str):
        return Get(_string_or_bytes(data, hexadecimal=True))
    fields = data if isinstance(data, dict) else {}
    salt = _string_or_bytes(fields["salt"]) if fields.get("salt") else b""
    target = fields.get("hash")
    if not isinstance(target, str):
        raise Refused("ERR_GRAPE_GENERIC")
    return Get(_from_hex(target), salt, fields.get("cache") is not False)


# -- what JavaScript would make of it -----------------------------------------------------------------


def _parse(text: str) -> Any:
    """Return the JSON value in ``text``, or ``_UNDEFINED`` when it is none."""
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):  # 8,000 brackets fit a body
        return _UNDEFINED


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def _string_or_bytes(value: Any, hexadecimal: bool = False) -> bytes:
    """Return the bytes a text stands for: those of a JSON byte array in it, else hex digits or its UTF-8."""
    if not isinstance(value, str):
        return _buffer(value)
    parsed = _parse(value)
    if isinstance(parsed, str | list | dict):
        try:
            return _buffer(parsed)
        except Refused:
            pass  # JSON, but no bytes: the text itself is meant
    return _from_hex(value) if hexadecimal else _utf8(value)


def _buffer(value: Any) -> bytes:
    """Return what ``Buffer.from(value)`` holds. Raises ``Refused`` with its words."""
    if isinstance(value, str):
        return _utf8(value)
    if isinstance(value, dict) and value.get("type") == "Buffer":
        value = value.get("data")
    if isinstance(value, list):
        return bytes(int(item) & 255 if _is_finite(item) else 0 for item in value)
    if value is None or value is _UNDEFINED:
        received = _null(value)
    elif isinstance(value, bool):
        received = f"type boolean ({str(value).lower()})"
    elif isinstance(value, int | float):
        received = f"type number ({value})"
    else:
        received = "an instance of Object"
    raise Refused(_NOT_BYTES + received, 500)


def _value(v: Any) -> Encodable:
    """Return the value of a put, ready to be bencoded."""
    if v is _UNDEFINED:
        raise Refused("opts.v not given")
    if v is None:
        raise Refused("Cannot read properties of null (reading 'length')")
    if isinstance(v, str | list) and len(v) >= 1000:
        raise Refused(_V_TOO_LARGE)
    return _bencodable(v)


def _bencodable(v: Any) -> Encodable:
    match v:
        case str():
            return _utf8(v)
        case float() if _is_finite(v):
            return int(v)
        case float():
            raise Refused(_V_TOO_LARGE)  # 1e999
        case list():
            return [_bencodable(item) for item in v if item is not None]
        case dict():
            return {_utf8(key): _bencodable(item) for key, item in v.items() if item is not None}
    assert isinstance(v, int)
    return v  # also True and False, which are 1 and 0 on the wire but say "true" here


def _found(found: Found) -> dict[str, Any]:
    item = found.item
    owned: dict[str, Any] = {}
    if item.mutable:
        owned = {"k": item.k.hex(), "seq": item.seq, "sig": item.sig.hex()}
    if found.token is not None:
        salt = {"salt": item.salt.decode("utf-8", "replace")} if item.salt else {}
        token = {"token": found.token.hex()}
        return {"id": found.holder.hex(), **owned, **token, "v": _text(item.v), **salt}
    if found.as_stored:
        salt = {"salt": item.salt.decode("utf-8", "replace")} if item.salt else {}
        return {"v": _text(item.v), **owned, **salt, "id": found.holder.hex()}
    return {"id": found.holder.hex(), "token": None, "v": _text(item.v), **owned}


def _text(v: Encodable) -> str:
    """Return what ``v.toString()`` says."""
    match v:
        case bytes():
            return v.decode("utf-8", "replace")
        case bool():
            return str(v).lower()
        case int():
            return str(v)
        case list():
            return ",".join(map(_text, v))
    return "[object Object]"


def _from_hex(text: str) -> bytes:
    """Return the bytes of the hex digits that ``text`` begins with, in pairs."""
    pairs = _HEX_PAIRS.match(text)
    assert pairs is not None
    return bytes.fromhex(pairs[0])


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and isfinite(value)


def _is_integer(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | float) and value == value // 1


def _null(value: Any) -> str:
    return "null" if value is None else "undefined"


def _utf8(text: str) -> bytes:
    # A lone surrogate, which JSON can escape, becomes U+FFFD in JavaScript's UTF-8.
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _json(value: Any) -> bytes:
    return _ENCODER.encode(value).encode("utf-8", "replace")
