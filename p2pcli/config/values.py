"""How the text of a setting becomes a value: durations, sizes, numbers, names. Pure; text in, value out.

Every source (flag, environment, ``.env``, YAML) hands over source text, and the setting's own ``Kind``
reads it. YAML's guesses (``010`` is eight, ``1:30`` is ninety, ``no`` is false, ``0.01`` is a float)
therefore never happen: a tick written as 0.01 arrives as the exact text 0.01.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from p2pcli.errors import BadInput
from p2pcli.market.instrument import BadNumber, units_of

T = TypeVar("T")

MAX_TEXT = 4096  # characters of one value; a path has at most as many
MAX_ETCD = 9  # members of one etcd cluster
MAX_ITEMS = 999  # items of one list

_WHOLE = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)
_DURATION = re.compile(r"(0|[1-9][0-9]{0,8})(\.[0-9]{1,3})?(us|ms|s|m|h|d)", re.ASCII)
_SIZE = re.compile(r"(0|[1-9][0-9]{0,11})(B|kB|MB|GB|KiB|MiB|GiB)", re.ASCII)
_PERCENT = re.compile(r"(0|[1-9][0-9]{0,4})(?:\.([0-9]{1,2}))?%?", re.ASCII)
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,30}[a-z0-9])?", re.ASCII)
_NODE_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_HOST_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?", re.ASCII)
_SYMBOL = re.compile(r"[A-Z0-9]{1,12}/[A-Z0-9]{1,12}", re.ASCII)
_SERVICE = re.compile(r"\S{1,64}")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{100,3900}={0,2}", re.ASCII)
_PEM_BEGIN, _PEM_END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_KEY_PREFIX = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


class BadValue(BadInput):
    """Text that is not a value of the kind expected."""

    code = "bad_value"


class Kind(Generic[T]):
    """One kind of value: what a person is told to write, and how it is read.

    ``read`` raises ``BadValue`` whose message says what was expected and what was found; whoever
    knows the key, the file and the line puts them in front.
    """

    def __init__(
        self, expected: str, parse: Callable[[str], T | None], choices: tuple[str, ...] = ()
    ) -> None:
        self.expected = expected
        self.choices = choices  # every valid text, where there are few; for did-you-mean and completion
        self._parse = parse

    def read(self, text: str) -> T:
        value = self._parse(text) if len(text) <= MAX_TEXT else None
        if value is None:
            raise BadValue(f"expected {self.expected}, found {shown(text)}")
        return value


class ListOf(Generic[T]):
    """A list of values of one kind, written as a YAML list, or separated by commas on one line."""

    def __init__(self, item: Kind[T], limit: int = MAX_ITEMS) -> None:
        self.item = item
        self.limit = limit
        self.expected = f"a list of at most {limit}, each {item.expected}"


AnyKind = Kind[Any] | ListOf[Any]


def duration(text: str) -> float:
    """Return ``500ms``, ``30s`` or ``1.5h`` in seconds. Raises ``BadValue``."""
    return _seconds("a duration like 500ms or 30s").read(text)


def size(text: str) -> int:
    """Return ``10MiB``, ``64kB`` or ``512B`` in bytes. Raises ``BadValue``."""
    return _bytes("a size like 512B, 64kB or 10MiB").read(text)


def shown(text: str) -> str:
    """Return text as an error shows it: printable ASCII, cut short, ``nothing`` when empty."""
    if not text:
        return "nothing"
    return ascii(text if len(text) <= 60 else text[:57] + "...")


# -- the kinds -------------------------------------------------------------------------------------


def whole(low: int, high: int) -> Kind[int]:
    """Whole numbers in decimal digits; a leading zero is refused because YAML 1.1 reads it as octal."""

    def parse(text: str) -> int | None:
        return int(text) if _WHOLE.fullmatch(text) and low <= int(text) <= high else None

    return Kind(f"a whole number from {low} to {high}", parse)


def seconds(low: str, high: str, zero: str = "") -> Kind[float]:
    """Durations from ``low`` to ``high``; with ``zero`` also 0s, which then means what ``zero`` says."""
    least, most = duration(low), duration(high)
    also = f", or 0s: {zero}" if zero else ""
    return _seconds(
        f"a duration from {low} to {high}{also}", lambda s: least <= s <= most or bool(zero and s == 0)
    )


def octets(low: str, high: str) -> Kind[int]:
    """Sizes from ``low`` to ``high``."""
    least, most = size(low), size(high)
    return _bytes(f"a size from {low} to {high}", lambda n: least <= n <= most)


def decimal(what: str) -> Kind[str]:
    """Exact decimal text above zero, kept as text: floats would not be exact."""

    def parse(text: str) -> str | None:
        try:
            return text if units_of(what, text) > 0 else None
        except BadNumber:
            return None

    return Kind(
        "a decimal number above zero like 0.01, with at most 12 digits before the point and 8 after", parse
    )


def choice(*names: str) -> Kind[str]:
    """One of a few names."""
    return Kind(f"one of {', '.join(names)}", lambda text: text if text in names else None, names)


def choice_of(values: Mapping[str, T]) -> Kind[T]:
    """One of a few names, each standing for a value."""
    return Kind(f"one of {', '.join(values)}", values.get, tuple(values))


def or_empty(kind: Kind[str]) -> Kind[str]:
    """The same kind, or an empty text for "not set"."""
    return Kind(f"{kind.expected}, or nothing", lambda text: kind.read(text) if text else "", kind.choices)


def percent() -> Kind[int]:
    """``5%`` or ``0.25%``, as basis points."""

    def parse(text: str) -> int | None:
        match = _PERCENT.fullmatch(text)
        if not match:
            return None
        points = int(match[1]) * 100 + int((match[2] or "").ljust(2, "0"))
        return points if points <= 1_000_000 else None

    return Kind("a percentage from 0% to 10000% with at most two decimals, like 5%", parse)


FLAG: Kind[bool] = choice_of({"true": True, "false": False})
NAME: Kind[str] = Kind(
    "a name of 1 to 32 small letters, digits, - and _", lambda text: text if _NAME.fullmatch(text) else None
)
SYMBOL: Kind[str] = Kind(
    "BASE/QUOTE in capital letters and digits, like BTC/USD",
    lambda text: text if _SYMBOL.fullmatch(text) else None,
)
SERVICE: Kind[str] = Kind(
    "a service name of 1 to 64 printable characters without spaces",
    lambda text: text if _SERVICE.fullmatch(text) and text.isprintable() else None,
)
FOLDER: Kind[str] = Kind("the path of a folder", lambda text: None if _CONTROL.search(text) else text)
FILE: Kind[str] = Kind("the path of a file", lambda text: None if _CONTROL.search(text) else text)
PORT = whole(1, 65535)


def _host(text: str) -> str | None:
    labels = text.split(".")
    if len(text) > 253 or not all(_HOST_LABEL.fullmatch(label) for label in labels):
        return None
    if all(label.isdigit() for label in labels):  # digits and dots only: an IPv4 address, or a mistake
        octets_fit = all(_WHOLE.fullmatch(label) and int(label) <= 255 for label in labels)
        return text if len(labels) == 4 and octets_fit else None
    return text


def _address(text: str) -> str | None:
    host, colon, port = text.rpartition(":")
    fits = colon and _host(host) and _WHOLE.fullmatch(port) and 1 <= int(port) <= 65535
    return text if fits else None


def _log_url(text: str) -> str | None:
    if text == "sqlite":
        return text
    if text.startswith("sqlite:///"):
        return text if len(text) > len("sqlite:///") and not _CONTROL.search(text) else None
    if text.startswith("etcd://"):
        members, slash, prefix = text.removeprefix("etcd://").partition("/")
        addresses = members.split(",")
        for address in addresses:
            if not _address(address):
                raise BadValue(f"expected {ADDRESS.expected} for each member of etcd, found {shown(address)}")
        if len(addresses) > MAX_ETCD or len(set(addresses)) < len(addresses):
            raise BadValue(f"expected 1 to {MAX_ETCD} different members of etcd, found {len(addresses)}")
        if slash and not _KEY_PREFIX.fullmatch(prefix):
            raise BadValue(
                f"expected a prefix of letters, digits, _ . - and / for keys, found {shown(prefix)}"
            )
        return text
    return None


def _certificate(text: str) -> str | None:
    """Return a PEM certificate as OpenSSL wants it, however its lines were broken."""
    if not text:
        return text
    words = text.removeprefix(_PEM_BEGIN).removesuffix(_PEM_END)
    body = "".join(words.split())
    if len(text) - len(words) != len(_PEM_BEGIN) + len(_PEM_END) or not _BASE64.fullmatch(body):
        return None
    lines = (body[start : start + 64] for start in range(0, len(body), 64))
    return "\n".join((_PEM_BEGIN, *lines, _PEM_END, ""))


CERTIFICATE: Kind[str] = Kind(
    "a PEM certificate (-----BEGIN CERTIFICATE----- ...), or nothing", lambda text: _certificate(text.strip())
)


def _hosting(text: str) -> tuple[str, tuple[str, ...]] | None:
    name, equals, listed = text.partition("=")
    symbols = tuple(symbol.strip() for symbol in listed.split("+"))
    fits = equals and _NODE_NAME.fullmatch(name) and all(_SYMBOL.fullmatch(symbol) for symbol in symbols)
    return (name, symbols) if fits and len(set(symbols)) == len(symbols) else None


HOSTING: Kind[tuple[str, tuple[str, ...]]] = Kind("NODE=MARKET+MARKET like client2=BTC/USD+ETH/USD", _hosting)
HOST: Kind[str] = Kind("an IPv4 address or a host name", _host)
ADDRESS: Kind[str] = Kind("HOST:PORT like 127.0.0.1:30001", _address)
LOG_URL: Kind[str] = Kind("sqlite, sqlite:///FOLDER or etcd://HOST:PORT,HOST:PORT,...[/PREFIX]", _log_url)


def _seconds(expected: str, fits: Callable[[float], bool] = lambda _: True) -> Kind[float]:
    def parse(text: str) -> float | None:
        match = _DURATION.fullmatch(text)
        if not match:
            return None
        value = float(match[1] + (match[2] or "")) * _SECONDS[match[3]]
        return value if fits(value) else None

    return Kind(expected, parse)


def _bytes(expected: str, fits: Callable[[int], bool] = lambda _: True) -> Kind[int]:
    def parse(text: str) -> int | None:
        match = _SIZE.fullmatch(text)
        if not match:
            return None
        value = int(match[1]) * _BYTES[match[2]]
        return value if fits(value) else None

    return Kind(expected, parse)
