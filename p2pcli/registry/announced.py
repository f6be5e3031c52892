"""Who announced what: addresses under service names, forgotten when they are not announced again.

Two generations, as in real Grapes: an address is added to the fresh one; every 2/3 of ``max_age_s`` the fresh
generation becomes the stale one and the stale one is dropped. So an address is found for 2/3 to 4/3 of
``max_age_s`` after its last announce, and forgetting costs nothing per address. A generation also turns when
it is full (addresses or bytes), so memory is bounded whatever is announced: the oldest goes.
"""

import random
from itertools import chain

_NAME_COST, _PEER_COST = 260, 70  # bytes that a name costs beside its own, and an address (tracemalloc)
MAX_BYTES = 4 << 20  # of one generation: names are up to 8 KiB long


class Announced:
    """Compact 6-byte peers by key (the raw service name)."""

    def __init__(self, max_age_s: float, max_peers: int, now: float) -> None:
        self._turn_s = max_age_s * 2 / 3
        self._max_peers = max_peers
        self._fresh: dict[bytes, dict[bytes, None]] = {}
        self._stale: dict[bytes, dict[bytes, None]] = {}
        self._peers = 0  # in the fresh generation
        self._bytes = 0  # of the fresh generation
        self._turn_at = now + self._turn_s

    def add(self, key: bytes, peer: bytes, now: float) -> None:
        """Remember ``peer`` under ``key`` as announced at ``now``."""
        if now >= self._turn_at:
            self._turn_by_time(now)
        peers = self._fresh.get(key)
        if peers is None:
            peers = self._fresh[key] = {}
            self._bytes += len(key) + _NAME_COST
        if peer not in peers:
            peers[peer] = None
            self._peers += 1
            self._bytes += _PEER_COST
            if self._peers > self._max_peers or self._bytes > MAX_BYTES:
                self._turn()

    def get(self, key: bytes, now: float) -> list[bytes]:
        """Return every peer under ``key``, each once, in no particular order."""
        if now >= self._turn_at:
            self._turn_by_time(now)
        fresh, stale = self._fresh.get(key), self._stale.get(key)
        if fresh is None or stale is None:
            return list(fresh or stale or ())
        return list(dict.fromkeys(chain(fresh, stale)))

    def sample(self, key: bytes, count: int, chance: random.Random, now: float) -> list[bytes]:
        """Return at most ``count`` peers under ``key`` in random order."""
        peers = self.get(key, now)
        if len(peers) > count:
            return chance.sample(peers, count)
        if len(peers) > 1:
            chance.shuffle(peers)
        return peers

    def __len__(self) -> int:
        """Return the number of addresses held, an address in both generations counted twice."""
        return sum(map(len, self._fresh.values())) + sum(map(len, self._stale.values()))

    def _turn_by_time(self, now: float) -> None:
        if now >= self._turn_at + self._turn_s:  # two turns at once: nothing was added meanwhile
            self._turn()
        self._turn()
        self._turn_at = now + self._turn_s - (now - self._turn_at) % self._turn_s

    def _turn(self) -> None:
        self._stale, self._fresh = self._fresh, {}
        self._peers = self._bytes = 0
