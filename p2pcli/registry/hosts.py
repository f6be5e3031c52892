"""Which web pages may use the API: none but those of this machine. Decided by a request's Host and Origin.

A browser lets any page send requests to 127.0.0.1, and a page whose name an attacker's DNS makes point here
(DNS rebinding) may even read the answers. Programs are told from such pages by two headers that a page cannot
change: browsers send ``Origin``, programs do not; and after rebinding ``Host`` is still the attacker's name.
A real Grape looks at neither.

Let in is a Host that is an IP address, ``localhost``, a name without a dot (a container or machine of the own
network; public DNS has none) or a name the owner has listed, and with it no Origin or one of the same kinds.
"""

from collections.abc import Collection
from functools import lru_cache

from p2pcli.registry.compact import is_ipv4

FORBIDDEN_HOST = b"ERR_GRAPE_FORBIDDEN_HOST"  # with status 403; p2px's own, real Grapes have no such check
FORBIDDEN_ORIGIN = b"ERR_GRAPE_FORBIDDEN_ORIGIN"


@lru_cache(maxsize=256)
def objection(host: bytes, origin: bytes | None, listed: Collection[str]) -> bytes | None:
    """Return why a request with these headers is not let in, or None when it is. ``listed`` is a tuple."""
    if not is_near(_name(host.decode("latin-1")), listed):
        return FORBIDDEN_HOST
    if origin is not None:
        scheme, separator, authority = origin.decode("latin-1").partition("://")
        if scheme not in ("http", "https") or not separator or not is_near(_name(authority), listed):
            return FORBIDDEN_ORIGIN
    return None


def is_near(name: str, listed: Collection[str]) -> bool:
    """Tell whether a page under this host name can only be one of this machine or its owner's network."""
    name = name.lower().removesuffix(".")
    if name.startswith("[") and name.endswith("]"):
        return all(character in "0123456789abcdef:." for character in name[1:-1])
    if not name or not all(character.isalnum() or character in "-._" for character in name):
        return False
    return is_ipv4(name) or "." not in name or name.endswith(".localhost") or name in listed


def _name(authority: str) -> str:
    """Return the host of ``host:port``, or nothing when the port is none."""
    if authority.startswith("["):
        name, bracket, rest = authority.partition("]")
        return name + bracket if not rest or (rest[0] == ":" and _is_port(rest[1:])) else ""
    name, _, port = authority.partition(":")
    return name if _is_port(port) else ""


def _is_port(text: str) -> bool:
    return not text or (text.isascii() and text.isdigit())  # RFC 3986: a port may be empty
