"""Bencode, the encoding of every DHT packet and of what BEP 44 signs. Bytes in, values out.

::

    integer   i-42e                 ASCII digits, no leading zero, no "-0", 64 bits
    bytes     4:spam                length in ASCII digits, no leading zero
    list      l4:spami7ee
    dict      d3:bar4:spam3:fooi42ee    keys are bytes, each once

Only this grammar is read, and the whole input must be one value: nothing may follow it. Python's ``int()``
would also take ``1_0``, ``+1`` and other alphabets' digits, so digits are checked first. Keys may come in any
order, because BitTorrent programs exist that do not sort them; what is written here is always sorted.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from p2pcli.errors import P2pxError

Value: TypeAlias = int | bytes | list["Value"] | dict[bytes, "Value"]
Encodable: TypeAlias = int | bytes | Sequence["Encodable"] | Mapping[bytes, "Encodable"]

MAX_DEPTH = 32  # lists and dicts in each other; a KRPC packet has 3
MAX_INTEGER = 2**63 - 1
_MAX_DIGITS = 19  # of a 64-bit integer
_MAX_LENGTH = 100_000  # of a byte string, before its last digit: far more than a datagram holds

_0, _9, _COLON, _D, _E, _I, _L = b"09:deil"


class NotBencode(P2pxError):
    """Bytes that are not exactly one bencoded value."""

    code = "not_bencode"


def decode(data: bytes) -> Value:
    """Return the one value that ``data`` is. Linear in ``len(data)``.

    Raises ``NotBencode`` for anything else, also for nesting deeper than ``MAX_DEPTH``.
    """
    try:
        value, end = _value(data, 0, 0)
    except IndexError:
        raise NotBencode(f"{len(data)} bytes end in the middle of a value") from None
    if end != len(data):
        raise NotBencode(f"{len(data) - end} bytes follow the value that ends at byte {end}")
    return value


def _value(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    first = data[at]
    if first == _I:
        return _integer(data, at + 1)
    if first == _D:
        return _dict(data, at + 1, depth + 1)
    if first == _L:
        return _list(data, at + 1, depth + 1)
    return _bytes(data, at)


def _bytes(data: bytes, at: int) -> tuple[bytes, int]:
    # Digit by digit: half the time of find, slice, isdigit and int for the usual one or two digits,
    # and this runs a dozen times for every packet.
    byte = data[at]
    start = at + 1
    length = byte - _0
    while 0 <= byte - _0 <= 9:
        byte = data[start]
        start += 1
        if byte == _COLON:
            if start + length > len(data):
                raise NotBencode(f"bytes at {at} should be {length} long, {len(data) - start} are left")
            return data[start : start + length], start + length
        if not 0 < length < _MAX_LENGTH:
            break
        length = length * 10 + byte - _0
    raise NotBencode(f"no value starts at byte {at} ({data[at : at + 8]!r})")


def _integer(data: bytes, at: int) -> tuple[int, int]:
    end = data.find(b"e", at, at + _MAX_DIGITS + 2)
    text = data[at:end] if end > at else b""
    digits = text[1:] if text[:1] == b"-" else text
    if not digits.isdigit() or (digits[0] == 48 and len(text) > 1):
        raise NotBencode(f"no integer at byte {at} ({data[at : at + 8]!r})")
    value = int(text)
    if not -MAX_INTEGER <= value <= MAX_INTEGER:
        raise NotBencode(f"integer at byte {at} does not fit 64 bits")
    return value, end + 1


def _list(data: bytes, at: int, depth: int) -> tuple[list[Value], int]:
    if depth > MAX_DEPTH:
        raise NotBencode(f"nested deeper than {MAX_DEPTH} at byte {at}")
    values: list[Value] = []
    while data[at] != _E:
        value, at = _value(data, at, depth)
        values.append(value)
    return values, at + 1


def _dict(data: bytes, at: int, depth: int) -> tuple[dict[bytes, Value], int]:
    if depth > MAX_DEPTH:
        raise NotBencode(f"nested deeper than {MAX_DEPTH} at byte {at}")
    values: dict[bytes, Value] = {}
    while data[at] != _E:
        key, at = _bytes(data, at)
        if key in values:
            raise NotBencode(f"key {key!r} comes twice")
        values[key], at = _bytes(data, at) if data[at] <= _9 else _value(data, at, depth)
    return values, at + 1


def encode(value: Encodable) -> bytes:
    """Return ``value`` in its one canonical form. Linear, but for sorting the keys.

    Lists and dicts are the built-in ones; a bool is the integer 0 or 1. Raises ``NotBencode`` for an integer
    of more than 64 bits, for other types and for nesting deeper than ``MAX_DEPTH``.
    """
    parts: list[bytes] = []
    _encode(value, parts, 0)
    return b"".join(parts)


def _encode(value: Encodable, parts: list[bytes], depth: int) -> None:
    # Concrete types: asking for a Mapping or Sequence would take as long as all the rest.
    if isinstance(value, bytes):
        parts.append(b"%d:%b" % (len(value), value))
    elif isinstance(value, int):
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise NotBencode("an integer does not fit 64 bits")
        parts.append(b"i%de" % value)
    elif depth >= MAX_DEPTH:
        raise NotBencode(f"nested deeper than {MAX_DEPTH}")
    elif isinstance(value, dict):
        parts.append(b"d")
        for key in sorted(value):
            parts.append(b"%d:%b" % (len(key), key))
            item = value[key]
            if isinstance(item, bytes):  # most are, and a call takes longer than this
                parts.append(b"%d:%b" % (len(item), item))
            else:
                _encode(item, parts, depth + 1)
        parts.append(b"e")
    elif isinstance(value, list):
        parts.append(b"l")
        for item in value:
            _encode(item, parts, depth + 1)
        parts.append(b"e")
    else:
        raise NotBencode(f"a {type(value).__name__} has no bencoded form")
