"""Two memories about addresses: how much each may ask, and which did not answer lately. Both are bounded."""

from collections import OrderedDict
from collections.abc import Hashable

from p2pcli.registry.compact import Address


class Allowances:
    """A token bucket for each source: ``burst`` questions at once, ``per_second`` in the long run."""

    def __init__(self, per_second: float, burst: float, max_sources: int) -> None:
        self._per_second = per_second
        self._burst = burst
        self._max_sources = max_sources
        # OrderedDicts in this room: taking the oldest of many entries one by one from a dict is quadratic.
        self._left: OrderedDict[Hashable, tuple[float, float]] = (
            OrderedDict()
        )  # source -> questions left, when

    def take(self, source: Hashable, now: float) -> bool:
        """Take one question from ``source``'s allowance; False when nothing is left of it."""
        left, since = self._left.pop(source, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._per_second)
        if len(self._left) >= self._max_sources:
            self._left.popitem(last=False)  # the one that has asked least recently
        allowed = left >= 1
        self._left[source] = (left - 1 if allowed else left, now)
        return allowed


class Silence:
    """Addresses that left queries unanswered, and how often in a row.

    One failure makes an address a suspect: it is asked as before, but an operation that has heard from others
    does not wait for it. Any packet from the address clears it, and so do five minutes.
    """

    FORGET_S = 300.0
    MAX_ADDRESSES = 4096

    def __init__(self) -> None:
        self.recoveries = 0  # how many suspects were heard from again
        self._failures: OrderedDict[Address, tuple[int, float]] = OrderedDict()  # failures in a row, last one
        self._heard_at: OrderedDict[Address, float] = OrderedDict()

    def failures(self, address: Address, now: float) -> int:
        """Return how many queries in a row ``address`` left unanswered, 0 when it answers."""
        count, last = self._failures.get(address, (0, now))
        return count if now - last < self.FORGET_S else 0

    def failed(self, address: Address, asked_at: float, now: float) -> int:
        """Count a query of ``asked_at`` that got no answer; return the failures in a row.

        It does not count when anything was heard from the address since: then packets were lost, or it came
        up later. Queries that were under way together count once: they tell of one moment of silence, which
        may be ours (a process that was stopped and goes on finds all its queries overdue).
        """
        count, last = self._failures.pop(address, (0, asked_at))
        if self._heard_at.get(address, asked_at) > asked_at:
            return 0
        if asked_at >= last:
            count, last = count + 1, now
        self._failures[address] = (count, last)
        if len(self._failures) > self.MAX_ADDRESSES:
            self._failures.popitem(last=False)
        return count

    def heard(self, address: Address, now: float) -> None:
        """Forget the failures of an address that has just sent a packet."""
        self._heard_at[address] = now
        self._heard_at.move_to_end(address)
        if len(self._heard_at) > self.MAX_ADDRESSES:
            self._heard_at.popitem(last=False)
        if self._failures and self._failures.pop(address, None) is not None:
            self.recoveries += 1
