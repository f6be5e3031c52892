"""One lookup on the DHT and what its replies bring: holders of tokens, announced peers, items."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from p2pcli.registry.compact import ID_BYTES, PEER_BYTES, Address, unpack_contacts
from p2pcli.registry.items import Item
from p2pcli.registry.krpc import Reply, bytes_of
from p2pcli.registry.lookup import Lookup
from p2pcli.registry.node_id import distance
from p2pcli.registry.operations import Answer, Found, Get, Request, Unknown
from p2pcli.registry.remembered import TokenHolders
from p2pcli.registry.replies import item_of
from p2pcli.registry.routing import K

_MAX_PEERS_READ = 2000  # of one reply


@dataclass(slots=True)
class Search:
    """A lookup under way, what it has collected, and which requests wait for it."""

    method: bytes  # find_node, get_peers or get
    lookup: Lookup
    arguments: bytes  # of its queries, encoded
    salt: bytes
    found: Found | None = None
    settled: bool = False  # an immutable item was found: nothing can be better
    done: bool = False
    waiting: list[tuple[int, Request]] = field(default_factory=list)  # ticket, request
    _holders: list[tuple[int, Address, bytes]] = field(default_factory=list)  # distance, address, token

    def collect(self, reply: Reply, source: Address, own_id: bytes, own_address: Address, now: float) -> None:
        """Take a reply: who it names, its token, its item."""
        values = reply.values
        node_id = bytes_of(values, b"id")
        if node_id is None or len(node_id) != ID_BYTES or node_id == own_id:
            self.lookup.failed(source)
            return
        nodes = bytes_of(values, b"nodes")
        contacts = [
            contact
            for contact in (unpack_contacts(nodes, K) if nodes else ())
            if contact.id != own_id and contact.address != own_address
        ]
        self.lookup.heard(source, node_id, contacts, now)
        token = bytes_of(values, b"token")
        if token:
            self._holders.append((distance(node_id, self.lookup.key), source, token))
        if self.method == b"get" and b"v" in values:
            item = item_of(values, values[b"v"], self.salt, node_id)
            if item is not None and item.target() == self.lookup.key:
                self._consider(Found(item, node_id, token))

    def peers_in(self, reply: Reply) -> Iterator[bytes]:
        """Yield the announced peers in a reply, 6 bytes each."""
        peers = reply.values.get(b"values") if self.method == b"get_peers" else None
        if isinstance(peers, list):
            for peer in peers[:_MAX_PEERS_READ]:
                if isinstance(peer, bytes) and len(peer) == PEER_BYTES:
                    yield peer

    def holders(self) -> TokenHolders:
        """Return whom to store with: the closest members that gave a token."""
        return [(address, token) for _, address, token in sorted(self._holders)[:K]]

    def answer(self, request: Get, own: Item | None, own_id: bytes) -> Answer:
        """Return the best of what was found and of ``own``, the item stored here."""
        found = self.found
        if own is not None and (found is None or (own.mutable and own.seq >= found.item.seq)):
            if request.use_own:
                return Found(own, own_id, None)
            if found is None:
                return Found(own, own.sender, None, as_stored=True)
        return found or Unknown()

    def _consider(self, found: Found) -> None:
        item = found.item
        if not item.mutable:
            self.found, self.settled = found, True
        elif (self.found is None or item.seq > self.found.item.seq) and item.is_signed():
            self.found = found
