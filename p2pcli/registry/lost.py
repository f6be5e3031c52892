"""Contacts that were silent until they lost their place, and when each is asked again whether it lives.

A silent contact may be dead, or stopped for a while (a debugger, a machine without memory, a cut cable) and
not know that it was missed, so both sides look for each other. One that went on finds its clock far ahead
and calls on those it knows (``member``); those who dropped it ping it, at once when any packet comes from its
address, else after 1 s, 2 s, 4 s and so on. A late answer alone proves nothing: anybody can send one.
"""

from collections import OrderedDict
from dataclasses import dataclass
from math import inf

from p2pcli.registry.compact import Address

FIRST_S = 1.0  # from the loss to the first ping; each further wait is twice as long
LONGEST_S = 60.0
FORGET_S = 3600.0  # one that says nothing for so long has gone
MAX_LOST = 256


@dataclass(slots=True)
class _Loss:
    dropped_at: float
    pinged_at: float
    wait_s: float  # from that ping to the next

    @property
    def due_at(self) -> float:
        return self.pinged_at + self.wait_s


class Lost:
    """Addresses that were dropped. ``due`` takes O(1) until one is, then O(n)."""

    def __init__(self) -> None:
        self._losses: OrderedDict[Address, _Loss] = OrderedDict()  # the first dropped first
        self._next_at = inf

    def drop(self, address: Address, now: float) -> None:
        """Remember an address that has just lost its place; beyond ``MAX_LOST`` the oldest is forgotten."""
        self._losses.pop(address, None)
        self._losses[address] = _Loss(now, now, FIRST_S)
        if len(self._losses) > MAX_LOST:
            self._losses.popitem(last=False)
        self._next_at = min(self._next_at, now + FIRST_S)

    def found(self, address: Address) -> None:
        """Forget an address that has its place again."""
        self._losses.pop(address, None)

    def due(self, now: float) -> list[Address]:
        """Return whom to ping now; they count as pinged."""
        if now < self._next_at:
            return []
        due = [address for address, loss in self._losses.items() if loss.due_at <= now]
        for address in due:
            loss = self._losses[address]
            loss.pinged_at, loss.wait_s = now, min(LONGEST_S, 2 * loss.wait_s)
            if now - loss.dropped_at >= FORGET_S:
                del self._losses[address]
        self._next_at = min((loss.due_at for loss in self._losses.values()), default=inf)
        return due

    def stirs(self, address: Address, now: float) -> bool:
        """Tell whether to ping ``address``, from which a packet came: if it is lost, once in ``FIRST_S``."""
        loss = self._losses.get(address)
        if loss is None or now < loss.pinged_at + FIRST_S:
            return False
        loss.pinged_at = now
        return True

    def wake_at(self) -> float:
        """Return when ``due`` may have something to give."""
        return self._next_at
