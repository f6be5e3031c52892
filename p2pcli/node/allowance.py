"""How many requests a client may send: one token bucket an owner. Pure; ``now`` is a parameter.

A bucket holds as many tokens as a minute allows and refills evenly, so a client that was quiet may send a
whole minute's requests at once, and in the long run no more than the limit.
"""

from collections import OrderedDict

MAX_OWNERS = 10_000  # whose buckets are kept; of more, the one asked for longest ago starts anew
MINUTE = 60.0


class Bucket:
    """One owner's tokens. ``now`` is in seconds on any clock that does not go back."""

    __slots__ = ("_at", "_limit", "_tokens")

    def __init__(self, per_minute: int, now: float) -> None:
        self._limit = per_minute
        self._tokens = float(per_minute)
        self._at = now

    def take(self, now: float) -> float:
        """Take one token and return 0.0, or return the seconds until there is one. O(1)."""
        refill = (now - self._at) * self._limit / MINUTE
        self._tokens = min(float(self._limit), self._tokens + max(0.0, refill))
        self._at = max(self._at, now)
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return 0.0
        return (1.0 - self._tokens) * MINUTE / self._limit


class Allowances:
    """Every owner's bucket, of at most ``MAX_OWNERS``. ``per_minute`` 0: no limit."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self.refused = 0  # requests since the beginning
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def take(self, owner: str, now: float) -> float:
        """Return 0.0 when the owner may send a request now, else the seconds until it may. O(1)."""
        if not self.per_minute:
            return 0.0
        bucket = self._buckets.get(owner)
        if bucket is None:
            if len(self._buckets) >= MAX_OWNERS:
                self._buckets.popitem(last=False)
            bucket = self._buckets[owner] = Bucket(self.per_minute, now)
        else:
            self._buckets.move_to_end(owner)
        wait = bucket.take(now)
        if wait:
            self.refused += 1
        return wait
