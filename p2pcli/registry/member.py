"""One member of the DHT, without its socket: packets, requests and time go in, packets and answers come out.

::

    shell                                      member
      request(ticket, Announce(b"svc", 1337))  -> a lookup of b"svc", unless its tokens are remembered
      outbox: packets to send                  <- queries, each at most twice
      receive(packet, source)                  -> replies to others; replies to us: contacts, tokens
      tick() at wake_at()                      -> repeats, timeouts, waiting that ends, upkeep
      take_answers(): (ticket, Announced(1))   <- the store queries were acknowledged

Where this differs from a real Grape, on purpose: it waits less for the silent (``lookup``), looks up again
when remembered tokens turn out stale, forgets them when contacts come or go (``remembered``), limits what
strangers get (``door``), and with ``keep_own`` keeps a copy of what it announces, so that a member without
others is useful.

Times are seconds on a clock that only goes forward; ``wall_offset_s`` added to it gives the wall clock.
"""

import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from p2pcli.registry import krpc
from p2pcli.registry.announced import Announced
from p2pcli.registry.compact import ID_BYTES, Address, Contact
from p2pcli.registry.door import Door
from p2pcli.registry.items import ItemStore
from p2pcli.registry.krpc import NotKrpc, Query, Reply, bytes_of
from p2pcli.registry.limits import Silence
from p2pcli.registry.lost import Lost
from p2pcli.registry.operations import Answer, Request
from p2pcli.registry.queries import Queries
from p2pcli.registry.replies import Replies
from p2pcli.registry.routing import K, RoutingTable
from p2pcli.registry.tasks import Task, Tasks
from p2pcli.registry.tokens import Tokens

SWEEP_S = 0.05  # how often waiting is looked at while tasks are under way
DEAD_AFTER = 3  # failures in a row until a contact loses its place
_UPKEEP_S = 60.0  # mean time between two upkeeps of a member that has found its ring
_FIRST_UPKEEP_S = 0.25  # after the start, doubling up to _LONELY_UPKEEP_S until the ring is found
_LONELY_UPKEEP_S = 15.0
_LIVENESS_S = 300.0  # a contact that was quiet for this long is pinged
_MAX_PINGS = 16  # of one upkeep
_STOPPED_S = 1.0  # woken so much too late, a member was stopped meanwhile, and others may have dropped it


@dataclass(frozen=True, slots=True)
class MemberSettings:
    """What one member is."""

    own_id: bytes
    address: Address  # where others reach its DHT socket
    token_secret: bytes
    seeds: Sequence[Address] = ()  # bootstrap members, itself not among them
    keep_own: bool = True
    peer_max_age_s: float = 120.0
    max_peers: int = 10_000
    max_items: int = 5_000
    max_seen: int = 5_000  # addresses remembered from lookups


class Member:
    """A DHT node. The shell drains ``outbox``, (packet, address), and takes the answers."""

    def __init__(
        self,
        settings: MemberSettings,
        random_bytes: Callable[[int], bytes],
        now: float,
        wall_offset_s: float,
    ) -> None:
        self.outbox: deque[tuple[bytes, Address]] = deque()
        self.own_id = settings.own_id
        self._wall_offset_s = wall_offset_s
        self._seeds = settings.seeds
        self._chance = random.Random(random_bytes(16))
        self.table = RoutingTable(settings.own_id)
        self._silence = Silence()
        self._lost = Lost()
        self._queries: Queries[Task] = Queries(random_bytes, self.outbox)
        age = settings.peer_max_age_s
        peers = Announced(age, settings.max_peers, now)
        items = ItemStore(settings.max_items)
        replies = Replies(
            settings.own_id, self._nearest_good, peers, items, Tokens(settings.token_secret), self._chance
        )
        self._door: Door[Task] = Door(
            settings.own_id, self.table, self._silence, replies, self._queries, self.outbox, None
        )
        self._tasks = Tasks(
            settings.own_id,
            settings.address,
            settings.seeds,
            settings.keep_own,
            self.table,
            self._silence,
            peers,
            Announced(age / 2, settings.max_seen, now),
            items,
            self._queries,
            self._chance,
        )
        self._now = now
        self._sweep_at = now
        self._upkeep_at = now
        self._upkeep_s = _FIRST_UPKEEP_S
        self._was_stopped = False

    def request(self, ticket: int, request: Request, now: float) -> None:
        """Start ``request``; ``take_answers`` gives its answer, perhaps at once, under ``ticket``."""
        self._tasks.start(ticket, request, now)

    @property
    def has_answers(self) -> bool:
        """Whether ``take_answers`` has something to give."""
        return bool(self._tasks.answers)

    def take_answers(self) -> list[tuple[int, Answer]]:
        """Return the (ticket, answer) pairs since the last call, in the order they came about."""
        answers, self._tasks.answers = self._tasks.answers, []
        return answers

    def receive(self, packet: bytes, source: Address, now: float) -> None:
        """Take a packet. Whatever is wrong with it, nothing happens."""
        self._look_at_clock(now)
        try:
            message = krpc.parse(packet)
        except NotKrpc:
            return
        if isinstance(message, Query):
            version = self.table.version
            self._door.knock(message, source, len(packet), now, now + self._wall_offset_s)
            if self.table.version != version:
                self._tasks.meet(Contact(bytes_of(message.arguments, b"id") or b"", source), now)
            return
        pending = self._queries.answered(message.transaction, source)
        if pending is None:
            # An answer after its time. One that was stopped gives many when it goes on.
            if self._lost.stirs(source, now):
                self._door.ping(source, now)
            return
        source = pending.address  # equal, but shared with the table: tokens are remembered by the thousand
        self._silence.heard(source, now)
        self._door.answered(source, now)
        task = pending.purpose
        if isinstance(message, Reply):
            node_id = bytes_of(message.values, b"id")
            if node_id is not None and len(node_id) == ID_BYTES:
                quiet = self.table.heard(Contact(node_id, source), answered=True, now=now)
                if quiet is not None:
                    self._door.ping(quiet.address, now)
            if task is not None:
                self._tasks.replied(task, message, source, now)
        elif task is not None:
            self._tasks.refused(task, message, source, now)

    def tick(self, now: float) -> None:
        """Do what time brings: repeat, give up, keep the table fresh. Call at ``wake_at`` or any time."""
        self._look_at_clock(now)
        for pending in self._queries.tick(now):
            if self._silence.failed(pending.address, pending.asked_at, now) >= DEAD_AFTER:
                self._drop(pending.address, now)
            self._tasks.unanswered(pending, now)
        if now >= self._sweep_at and self._tasks.busy:
            self._tasks.tick(now)
            self._sweep_at = now + SWEEP_S
        if self._was_stopped:
            self._was_stopped = False
            self._tasks.populate(now)
        for address in self._lost.due(now):
            self._call_again(address, now)
        if now >= self._upkeep_at:
            self._upkeep(now)

    def wake_at(self) -> float:
        """Return when ``tick`` has something to do next."""
        at = self._due_at()
        return self._sweep_at if self._tasks.busy and self._sweep_at < at else at

    def _due_at(self) -> float:
        # Without the sweep, which is overdue whenever a task begins after a rest.
        at = min(self._upkeep_at, self._lost.wake_at())
        due = self._queries.wake_at()
        return at if due is None or at < due else due

    def _look_at_clock(self, now: float) -> None:
        # A slow loop may be as late; then one lookup is the whole cost.
        if now >= self._due_at() + _STOPPED_S:
            self._was_stopped = True
        self._now = now

    def _drop(self, address: Address, now: float) -> None:
        if self.table.knows(address):
            self.table.remove(address)
            self._lost.drop(address, now)

    def _call_again(self, address: Address, now: float) -> None:
        if self.table.knows(address):
            self._lost.found(address)
        else:
            self._door.ping(address, now)

    def _nearest_good(self, key: bytes, count: int) -> list[Contact]:
        contacts = self.table.closest(key, 2 * K)
        return [contact for contact in contacts if not self._silence.failures(contact.address, self._now)][
            :count
        ]

    def _upkeep(self, now: float) -> None:
        lonely = not len(self.table)
        if lonely or any(not self.table.knows(seed) for seed in self._seeds):
            # Also for rings that formed apart, because their members started one by one.
            self._tasks.populate(now)
        for contact in self.table.doubtful(_LIVENESS_S, now)[:_MAX_PINGS]:
            self._door.ping(contact.address, now)
        if lonely:
            self._upkeep_s = min(_LONELY_UPKEEP_S, 2 * self._upkeep_s)
        else:
            self._upkeep_s = _UPKEEP_S
        self._upkeep_at = now + self._upkeep_s * self._chance.uniform(0.5, 1.5)
