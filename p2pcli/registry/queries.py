"""Our own queries under way: sent, repeated once, answered or given up.

A packet that gets lost would cost its operation a whole timeout, so a query is sent again after ``REPEAT_S``.
The transaction is four random bytes and an answer must come from the address that was asked, so somebody who
does not see our packets cannot answer them. (Real Grapes count with two bytes and echo whatever they get.)
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from p2pcli.registry import krpc
from p2pcli.registry.compact import Address

REPEAT_S = 0.3
TIMEOUT_S = 2.0
MAX_UNDER_WAY = 16_384
_TRANSACTION_BYTES = 4

Purpose = TypeVar("Purpose")


@dataclass(slots=True)
class Pending(Generic[Purpose]):
    """One query under way."""

    address: Address
    purpose: Purpose
    asked_at: float
    packet: bytes
    transaction: bytes


class Queries(Generic[Purpose]):
    """Queries under way; ``outbox`` holds (packet, address) to be sent."""

    def __init__(self, random_bytes: Callable[[int], bytes], outbox: "deque[tuple[bytes, Address]]") -> None:
        self._random_bytes = random_bytes
        self._outbox = outbox
        self._under_way: dict[bytes, Pending[Purpose]] = {}  # oldest first
        self._repeats: deque[Pending[Purpose]] = deque()  # oldest first; answered ones are dropped when due

    def __len__(self) -> int:
        return len(self._under_way)

    def send(self, address: Address, method: bytes, arguments: bytes, purpose: Purpose, now: float) -> bool:
        """Ask ``address``; ``arguments`` is an encoded dict. False when too many are under way already."""
        if len(self._under_way) >= MAX_UNDER_WAY:
            return False
        transaction = self._random_bytes(_TRANSACTION_BYTES)
        while transaction in self._under_way:
            transaction = self._random_bytes(_TRANSACTION_BYTES)
        packet = krpc.query(transaction, method, arguments)
        pending = Pending(address, purpose, now, packet, transaction)
        self._under_way[transaction] = pending
        self._repeats.append(pending)
        self._outbox.append((packet, address))
        return True

    def answered(self, transaction: bytes, address: Address) -> Pending[Purpose] | None:
        """Return the query that ``address`` answers with ``transaction`` and forget it, or None."""
        pending = self._under_way.get(transaction)
        if pending is None or pending.address != address:
            return None
        del self._under_way[transaction]
        return pending

    def tick(self, now: float) -> list[Pending[Purpose]]:
        """Send what is due again, and return the queries that got no answer in time; they are forgotten."""
        repeats, under_way = self._repeats, self._under_way
        while repeats and now >= repeats[0].asked_at + REPEAT_S:
            pending = repeats.popleft()
            if pending.transaction in under_way:
                self._outbox.append((pending.packet, pending.address))
        overdue = []
        while under_way:
            pending = next(iter(under_way.values()))
            if now < pending.asked_at + TIMEOUT_S:
                break
            del under_way[pending.transaction]
            overdue.append(pending)
        return overdue

    def wake_at(self) -> float | None:
        """Return when ``tick`` has something to do next, or None."""
        if self._repeats:
            return self._repeats[0].asked_at + REPEAT_S
        if self._under_way:
            return next(iter(self._under_way.values())).asked_at + TIMEOUT_S
        return None
