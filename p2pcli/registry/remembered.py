"""The tokens that members gave us, by key, for the next announce or put of that key."""

from collections import OrderedDict
from hashlib import sha1
from typing import TypeAlias

from p2pcli.registry.compact import Address

KEPT_S = 60.0  # real Grapes: 300, so that members who joined meanwhile get no announces for minutes
_MAX_TOKENS = 10_000  # of all keys together; 360 bytes each (tracemalloc)
_LONG_KEY = 64

TokenHolders: TypeAlias = list[tuple[Address, bytes]]  # closest first


class RememberedTokens:
    """Whom to store a key with, as long as that is recent and nobody came or went since."""

    def __init__(self) -> None:
        self._by_key: OrderedDict[bytes, tuple[float, int, TokenHolders]] = OrderedDict()
        self._tokens = 0

    def keep(self, key: bytes, holders: TokenHolders, version: int, now: float) -> None:
        """Remember a lookup's ``holders``, made when the ring had ``version``."""
        self.forget(key)
        if holders:
            self._by_key[_short(key)] = (now, version, holders)
            self._tokens += len(holders)
        while self._tokens > _MAX_TOKENS:
            _, (_, _, dropped) = self._by_key.popitem(last=False)
            self._tokens -= len(dropped)

    def get(self, key: bytes, version: int, now: float) -> TokenHolders:
        """Return the holders for ``key``, closest first, or nothing when a lookup is due."""
        at, kept_version, holders = self._by_key.get(_short(key), (0.0, -1, []))
        return holders if kept_version == version and now - at < KEPT_S else []

    def forget(self, key: bytes) -> None:
        """Drop what is remembered for ``key``."""
        dropped = self._by_key.pop(_short(key), None)
        if dropped is not None:
            self._tokens -= len(dropped[2])


def _short(key: bytes) -> bytes:
    # Names are up to 8 KiB long; their hash does as well and bounds the memory.
    return key if len(key) <= _LONG_KEY else sha1(key, usedforsecurity=False).digest()
