"""One iterative lookup: ask the closest contacts known, learn closer ones from replies, until none is left.

This is Kademlia's node lookup with the width of real Grapes (the 20 closest, 16 under way). It decides whom
to ask and when to stop waiting; packets, values and tokens are its owner's business::

    lookup = Lookup(key, closest_contacts, seeds, silence.failures, now)
    while not lookup.finished(now):
        for address in lookup.ask(now): ...send...
        lookup.heard(address, node_id, contacts, now)   or   lookup.failed(address)
        lookup.give_up(now)

A real Grape waits 2.0 to 2.5 seconds for every silent contact, longer than its clients do. Here waiting ends
``GRACE_S`` after the last reply when somebody has replied and ``PATIENCE_S`` after the question when nobody
has; a contact that was silent before is not waited for at all once another one has replied. Whoever replies
late is still heard, as long as the lookup runs.
"""

from bisect import insort
from collections.abc import Callable, Iterable, Iterator

from p2pcli.registry.compact import Address, Contact
from p2pcli.registry.node_id import distance
from p2pcli.registry.routing import K

WIDTH = 16  # questions under way to contacts worth waiting for
MAX_QUESTIONS = 160  # of one lookup; replies that always name closer contacts are an attack
GRACE_S = 0.25
PATIENCE_S = 1.0
SUSPECT_PATIENCE_S = 0.25  # while only contacts that failed once are left and nobody has replied

_NEW, _ASKED, _HEARD, _FAILED = range(4)


class Lookup:
    """The state of one lookup. Every method takes O(k + log n) for n contacts seen."""

    def __init__(
        self,
        key: bytes,
        contacts: Iterable[Contact],
        seeds: Iterable[Address],
        failures: Callable[[Address, float], int],
        now: float,
    ) -> None:
        self.key = key
        self.replies = 0
        self._failures = failures
        self._state: dict[Address, int] = {}
        self._nearest: list[tuple[int, Address]] = []  # distance, address; sorted; without the failed ones
        self._trusted: dict[Address, float] = {}  # under way and worth waiting for -> when asked
        self._hopeful = 0  # under way to contacts that have failed once
        self._questions = 0
        self._moved_at = now  # when a reply came last
        self._asked_at = now
        for contact in contacts:
            self.offer(contact)
        self._seeds = [address for address in seeds if address not in self._state]

    def offer(self, contact: Contact) -> None:
        """Consider a contact, if it is new."""
        address = contact.address
        if address not in self._state:
            self._state[address] = _NEW
            insort(self._nearest, (distance(contact.id, self.key), address))

    def meet(self, contact: Contact) -> None:
        """Consider a contact that has just shown up, also when it was asked before and not there yet."""
        address = contact.address
        if self._state.get(address) in (_ASKED, _FAILED):
            self._trusted.pop(address, None)
            self._nearest = [entry for entry in self._nearest if entry[1] != address]
            del self._state[address]
        self.offer(contact)

    def ask(self, now: float) -> list[Address]:
        """Return the addresses to send the question to now; they count as asked."""
        asked = []
        for address in self._next():
            if len(self._trusted) >= WIDTH or self._questions >= MAX_QUESTIONS:
                break
            failures = self._failures(address, now)
            if not failures:
                self._trusted[address] = now
            elif failures == 1:
                self._hopeful += 1
            self._state[address] = _ASKED
            self._questions += 1
            self._asked_at = now
            asked.append(address)
        return asked

    def heard(self, address: Address, node_id: bytes, contacts: Iterable[Contact], now: float) -> None:
        """Take a reply from ``address``, which names ``contacts``."""
        self._trusted.pop(address, None)
        entry = (distance(node_id, self.key), address)
        if self._state.get(address) != _HEARD and entry not in self._nearest:
            insort(self._nearest, entry)  # a seed, whose id nobody knew
        self._state[address] = _HEARD
        self.replies += 1
        self._moved_at = now
        for contact in contacts:
            self.offer(contact)

    def failed(self, address: Address) -> None:
        """Take note that ``address`` refused, or will not answer: the next closest moves up."""
        self._trusted.pop(address, None)
        if self._state.get(address) == _ASKED:
            self._state[address] = _FAILED
            self._nearest = [entry for entry in self._nearest if entry[1] != address]

    def give_up(self, now: float) -> list[tuple[Address, float]]:
        """Stop waiting for the contacts that have had their time; return them and when they were asked."""
        since, patience = (self._moved_at, GRACE_S) if self.replies else (0.0, PATIENCE_S)
        overdue = [(address, at) for address, at in self._trusted.items() if now >= max(at, since) + patience]
        for address, _ in overdue:
            self.failed(address)
        return overdue

    def finished(self, now: float) -> bool:
        """Tell whether nobody is left to ask and to wait for."""
        if self._trusted or self._can_ask():
            return False
        if self._hopeful and not self.replies:
            return now >= self._asked_at + SUSPECT_PATIENCE_S
        return True

    def _can_ask(self) -> bool:
        return self._questions < MAX_QUESTIONS and next(self._next(), None) is not None

    def _next(self) -> Iterator[Address]:
        state = self._state
        for address in self._seeds:
            if address not in state:
                yield address
        for _, address in self._nearest[:K]:
            if state[address] == _NEW:
                yield address
