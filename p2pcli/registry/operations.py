"""What a member can be asked to do on the DHT, and what comes of it. Values only."""

from dataclasses import dataclass

from p2pcli.registry.compact import Address
from p2pcli.registry.items import Item

NO_NODES = "No nodes to query"
ALL_FAILED = "All queries failed"


@dataclass(frozen=True, slots=True)
class Find:
    """Who announced this service name?"""

    key: bytes


@dataclass(frozen=True, slots=True)
class Announce:
    """Publish our address with this port under a service name."""

    key: bytes
    port: int


@dataclass(frozen=True, slots=True)
class Put:
    """Store an item; a mutable one only in place of sequence number ``cas``, when that is given."""

    item: Item
    cas: int | None = None


@dataclass(frozen=True, slots=True)
class Get:
    """Fetch the item under ``target``; ``salt`` is part of a mutable item's identity."""

    target: bytes
    salt: bytes = b""
    use_own: bool = True  # False: ask others even when it is stored here


Request = Find | Announce | Put | Get


@dataclass(frozen=True, slots=True)
class Peers:
    """Answer to ``Find``: at most 100 addresses in random order."""

    addresses: list[Address]


@dataclass(frozen=True, slots=True)
class Announced:
    """Answer to ``Announce``: how many members hold it now, at least 1."""

    members: int


@dataclass(frozen=True, slots=True)
class Kept:
    """Answer to ``Put``."""

    target: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """Answer to ``Get``: the item, who had it, and that member's token (None: it was stored here)."""

    item: Item
    holder: bytes  # node id
    token: bytes | None
    as_stored: bool = False  # stored here, although others were to be asked: nobody had better


@dataclass(frozen=True, slots=True)
class Unknown:
    """Answer to ``Get``: nobody has the item."""


@dataclass(frozen=True, slots=True)
class Failed:
    """No answer; ``code`` is BEP 44's 301 or 302 when a member gave it, else 0."""

    text: str
    code: int = 0


Answer = Peers | Announced | Kept | Found | Unknown | Failed
