"""Requests under way on the DHT: lookups that are searching, and stores that wait for their acknowledgements.

One lookup serves every request for the same key that comes while it runs, as in real Grapes. What it ends
with, the closest members and the token each gave, is remembered, so that repeating an announce costs one
query per member.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from p2pcli.registry import krpc
from p2pcli.registry.announced import Announced as AnnouncedPeers
from p2pcli.registry.bencode import Encodable, encode
from p2pcli.registry.compact import (
    ID_BYTES,
    Address,
    Contact,
    pack_peer,
    unpack_peer,
)
from p2pcli.registry.items import Item, ItemRefused, ItemStore
from p2pcli.registry.krpc import Refusal, Reply
from p2pcli.registry.limits import Silence
from p2pcli.registry.lookup import GRACE_S, PATIENCE_S, Lookup
from p2pcli.registry.operations import (
    ALL_FAILED,
    NO_NODES,
    Announce,
    Announced,
    Answer,
    Failed,
    Find,
    Found,
    Get,
    Kept,
    Peers,
    Put,
    Request,
    Unknown,
)
from p2pcli.registry.queries import Pending, Queries
from p2pcli.registry.remembered import RememberedTokens, TokenHolders
from p2pcli.registry.routing import K, RoutingTable
from p2pcli.registry.search import Search

MAX_SHOWN = 100  # addresses in an answer, as in real Grapes


@dataclass(slots=True)
class Storing:
    """A request whose store queries are under way."""

    ticket: int
    request: Announce | Put
    fresh: bool  # the tokens come from a lookup made for this request
    sent_at: float
    unanswered: set[Address]
    acknowledged: int = 0
    refusal: Failed | None = None


Task = Search | Storing | None  # what a query of ours is for; None: a ping


class Tasks:
    """Runs requests. ``answers`` holds (ticket, answer) for the shell to take."""

    def __init__(
        self,
        own_id: bytes,
        own_address: Address,
        seeds: Sequence[Address],
        keep_own: bool,
        table: RoutingTable,
        silence: Silence,
        peers: AnnouncedPeers,
        seen: AnnouncedPeers,
        items: ItemStore,
        queries: Queries[Task],
        chance: random.Random,
    ) -> None:
        self.answers: list[tuple[int, Answer]] = []
        self._own_id = own_id
        self._own_address = own_address
        self._seeds = seeds
        self._keep_own = keep_own
        self._table = table
        self._silence = silence
        self._peers = peers
        self._seen = seen
        self._items = items
        self._queries = queries
        self._chance = chance
        self._tokens = RememberedTokens()
        self._searches: dict[tuple[bytes, bytes, bytes], Search] = {}  # method, key, salt
        self._stores: dict[int, Storing] = {}  # ticket -> store under way

    @property
    def busy(self) -> bool:
        """Whether something is under way, so that ``tick`` is due every few hundredths of a second."""
        return bool(self._searches or self._stores)

    @property
    def _ring_version(self) -> int:
        """A number that changes when a member comes, goes or is heard from after a silence."""
        return self._table.version + self._silence.recoveries

    # -- what starts, moves and ends tasks ----------------------------------------------------------

    def start(self, ticket: int, request: Request, now: float) -> None:
        """Carry out ``request``; its answer comes, perhaps at once, under ``ticket``."""
        match request:
            case Find(key):
                self._search(b"get_peers", key, now, waiting=(ticket, request))
            case Announce(key, port):
                if 1 <= port <= 65535:
                    self._store_or_search(ticket, request, b"get_peers", key, now)
                else:  # every member would keep silent
                    self._answer(ticket, Failed(ALL_FAILED))
            case Put(item):
                self._start_put(ticket, request, item, now)
            case Get(target, salt):
                own = self._items.get(target)
                if own is not None and request.use_own and not (own.mutable and self._keep_own):
                    self._answer(ticket, Found(own, self._own_id, None))
                elif len(target) == ID_BYTES:
                    self._search(b"get", target, now, salt, waiting=(ticket, request))
                else:  # no item has such a target
                    self._answer(ticket, Unknown())

    def populate(self, now: float) -> None:
        """Look up our own id, which makes us known to the members nearest to us, and them to us."""
        self._search(b"find_node", self._own_id, now, seeds=self._seeds)

    def meet(self, newcomer: Contact, now: float) -> None:
        """Let the lookups that nobody has answered yet ask a contact that has just shown up."""
        for search in list(self._searches.values()):
            if not search.lookup.replies:
                search.lookup.meet(newcomer)
                self._advance(search, now)

    def replied(self, task: Search | Storing, reply: Reply, source: Address, now: float) -> None:
        """Take the reply to a query of ``task``."""
        if isinstance(task, Storing):
            task.acknowledged += 1
            self._acknowledge(task, source, now)
        elif task.done:
            # It was silent too long to be waited for, and the next announce has to go to it as well.
            self._tokens.forget(task.lookup.key)
        else:
            task.collect(reply, source, self._own_id, self._own_address, now)
            for peer in task.peers_in(reply):
                self._seen.add(task.lookup.key, peer, now)
            self._advance(task, now)

    def refused(self, task: Search | Storing, refusal: Refusal, source: Address, now: float) -> None:
        """Take the refusal of a query of ``task``."""
        if isinstance(task, Storing):
            if 300 <= refusal.code < 400:
                task.refusal = Failed(f"{refusal.code} {refusal.text}", refusal.code)
            self._acknowledge(task, source, now)
        elif not task.done:
            task.lookup.failed(source)
            self._advance(task, now)

    def unanswered(self, pending: Pending[Task], now: float) -> None:
        """Take note that a query got no answer at all."""
        task = pending.purpose
        if isinstance(task, Storing):
            self._acknowledge(task, pending.address, now)
        elif task is not None and not task.done:
            task.lookup.failed(pending.address)
            self._advance(task, now)

    def tick(self, now: float) -> None:
        """Stop waiting for those who have had their time."""
        for search in list(self._searches.values()):
            for address, asked_at in search.lookup.give_up(now):
                self._silence.failed(address, asked_at, now)
            self._advance(search, now)
        for storing in list(self._stores.values()):
            if now >= storing.sent_at + (GRACE_S if storing.acknowledged else PATIENCE_S):
                for address in storing.unanswered:
                    self._silence.failed(address, storing.sent_at, now)
                self._finish_store(storing, now)

    # -- searching ----------------------------------------------------------------------------------

    def _search(
        self,
        method: bytes,
        key: bytes,
        now: float,
        salt: bytes = b"",
        waiting: tuple[int, Request] | None = None,
        seeds: Sequence[Address] = (),
    ) -> None:
        search = self._searches.get((method, key, salt))
        if search is None:
            contacts = self._table.closest(key, K)
            if len(contacts) < len(self._seeds):
                seeds = self._seeds
            asked_for = b"info_hash" if method == b"get_peers" else b"target"
            search = Search(
                method,
                Lookup(key, contacts, seeds, self._silence.failures, now),
                encode({b"id": self._own_id, asked_for: key}),
                salt,
            )
            self._searches[method, key, salt] = search
        if waiting is not None:
            search.waiting.append(waiting)
        self._advance(search, now)

    def _advance(self, search: Search, now: float) -> None:
        if search.done:
            return
        lookup = search.lookup
        if not search.settled:
            for address in lookup.ask(now):
                if not self._queries.send(address, search.method, search.arguments, search, now):
                    lookup.failed(address)
        if search.settled or lookup.finished(now):
            search.done = True
            del self._searches[search.method, lookup.key, search.salt]
            self._finish_search(search, now)

    def _finish_search(self, search: Search, now: float) -> None:
        key = search.lookup.key
        holders = search.holders()
        if search.method != b"find_node":
            self._tokens.keep(key, holders, self._ring_version, now)
        peers = self._peers_of(key, now) if search.method == b"get_peers" else Peers([])
        for ticket, request in search.waiting:
            match request:
                case Find():
                    self._answer(ticket, peers)
                case Get(target):
                    self._answer(ticket, search.answer(request, self._items.get(target), self._own_id))
                case Announce() | Put():
                    self._store(ticket, request, holders, True, now)

    def _peers_of(self, key: bytes, now: float) -> Peers:
        for peer in self._peers.get(key, now):
            self._seen.add(key, peer, now)
        sample = self._seen.sample(key, MAX_SHOWN, self._chance, now)
        return Peers([address for address in map(unpack_peer, sample) if address is not None])

    # -- storing ------------------------------------------------------------------------------------

    def _start_put(self, ticket: int, request: Put, item: Item, now: float) -> None:
        if item.mutable and not item.is_signed():
            self._answer(ticket, Failed(ALL_FAILED))  # every member would keep silent
            return
        if not item.mutable:
            self._items.put(replace(item, sender=self._own_id))
        self._store_or_search(ticket, request, b"get", item.target(), now)

    def _store_or_search(
        self, ticket: int, request: Announce | Put, method: bytes, key: bytes, now: float
    ) -> None:
        holders = self._tokens.get(key, self._ring_version, now)
        if holders:
            self._store(ticket, request, holders, False, now)
        else:
            self._search(method, key, now, waiting=(ticket, request))

    def _store(
        self, ticket: int, request: Announce | Put, holders: TokenHolders, fresh: bool, now: float
    ) -> None:
        if isinstance(request, Announce) and self._keep_own:
            self._peers.add(request.key, pack_peer((self._own_address[0], request.port)), now)
        if not holders:
            self._answer(ticket, self._alone(request))
            return
        storing = Storing(ticket, request, fresh, now, {address for address, _ in holders})
        self._stores[ticket] = storing
        for address, token in holders:
            if isinstance(request, Announce):
                method = b"announce_peer"
                arguments = krpc.announce_arguments(self._own_id, request.key, request.port, token)
            else:
                method, arguments = b"put", self._put_arguments(request, token)
            if not self._queries.send(address, method, arguments, storing, now):
                self._acknowledge(storing, address, now)

    def _put_arguments(self, request: Put, token: bytes) -> bytes:
        item = request.item
        arguments: dict[bytes, Encodable] = {b"id": self._own_id, b"token": token, b"v": item.v}
        if item.mutable:
            arguments |= {b"k": item.k, b"seq": item.seq, b"sig": item.sig}
            if item.salt:
                arguments[b"salt"] = item.salt
            if request.cas is not None:
                arguments[b"cas"] = request.cas
        return encode(arguments)

    def _acknowledge(self, storing: Storing, source: Address, now: float) -> None:
        storing.unanswered.discard(source)
        if not storing.unanswered:
            self._finish_store(storing, now)

    def _finish_store(self, storing: Storing, now: float) -> None:
        if self._stores.pop(storing.ticket, None) is None:
            return  # an answer after the last one we waited for
        request = storing.request
        if storing.acknowledged:
            if isinstance(request, Announce):
                self._answer(storing.ticket, Announced(storing.acknowledged))
            else:
                if self._keep_own and request.item.mutable:
                    self._keep(request.item, None)
                self._answer(storing.ticket, Kept(request.item.target()))
        elif storing.refusal is not None:
            self._answer(storing.ticket, storing.refusal)
        elif storing.fresh:
            self._answer(storing.ticket, Failed(ALL_FAILED))
        else:
            # The tokens were old: a member that restarted refuses them, one that died says nothing.
            key = request.key if isinstance(request, Announce) else request.item.target()
            self._tokens.forget(key)
            method = b"get_peers" if isinstance(request, Announce) else b"get"
            self._search(method, key, now, waiting=(storing.ticket, request))

    def _alone(self, request: Announce | Put) -> Answer:
        if not self._keep_own:
            return Failed(NO_NODES)
        if isinstance(request, Announce):
            return Announced(1)
        if request.item.mutable:
            refusal = self._keep(request.item, request.cas)
            if refusal is not None:
                return refusal
        return Kept(request.item.target())

    def _keep(self, item: Item, cas: int | None) -> Failed | None:
        try:
            self._items.put(replace(item, sender=self._own_id), cas)
        except ItemRefused as refused:
            return Failed(f"{refused.number} {refused.message}", refused.number)
        return None

    def _answer(self, ticket: int, answer: Answer) -> None:
        self.answers.append((ticket, answer))
