"""What others want of us: who may ask how much, and how much each may be told.

A source address can be forged, and whoever forges a victim's makes us send the victim our replies. So a
source that has not *proven* its address (by answering a query of ours) gets at most three times the bytes it
sent, and a limited number of replies a second. Replies to lookups are cut to that size; a stored item cannot
be cut, so it is held back until a ping has shown that the address is real.
"""

from collections import OrderedDict, deque
from typing import Generic

from p2pcli.registry.bencode import encode
from p2pcli.registry.compact import ID_BYTES, Address, Contact
from p2pcli.registry.krpc import MAX_PACKET, Query, bytes_of
from p2pcli.registry.limits import Allowances, Silence
from p2pcli.registry.queries import Purpose, Queries
from p2pcli.registry.replies import Replies
from p2pcli.registry.routing import RoutingTable

AMPLIFICATION = 3  # bytes told for each byte asked, to an address that is not proven
PROOF_S = 900.0  # how long an address stays proven after its last answer
PING_BYTES = 60  # what our ping takes, with room to spare
_MAX_PROVEN = 4096
_MAX_HELD = 64


class Door(Generic[Purpose]):
    """Takes the queries of others. ``ping_purpose`` is what a ping of ours is sent for."""

    def __init__(
        self,
        own_id: bytes,
        table: RoutingTable,
        silence: Silence,
        replies: Replies,
        queries: Queries[Purpose],
        outbox: deque[tuple[bytes, Address]],
        ping_purpose: Purpose,
    ) -> None:
        self._table = table
        self._silence = silence
        self._replies = replies
        self._queries = queries
        self._outbox = outbox
        self._ping_purpose = ping_purpose
        self._ping_arguments = encode({b"id": own_id})
        self._proven: OrderedDict[Address, float] = OrderedDict()  # address -> last answer
        self._held: OrderedDict[Address, bytes] = OrderedDict()
        self._strangers = Allowances(per_second=1_000, burst=2_000, max_sources=4_096)
        self._all_strangers = Allowances(per_second=5_000, burst=5_000, max_sources=1)
        self._neighbours = Allowances(per_second=50_000, burst=50_000, max_sources=_MAX_PROVEN)

    def knock(self, query: Query, source: Address, size: int, now: float, wall_s: float) -> None:
        """Take a query that came in ``size`` bytes; what is to be said goes to the outbox."""
        proven = self.is_proven(source, now)
        if not self._may_ask(source, proven, now):
            return
        self._silence.heard(source, now)
        node_id = bytes_of(query.arguments, b"id")
        if node_id is not None and len(node_id) == ID_BYTES and source[1]:
            quiet = self._table.heard(Contact(node_id, source), answered=False, now=now)
            if quiet is not None:
                self.ping(quiet.address, now)
        room = MAX_PACKET if proven else AMPLIFICATION * size
        packet = self._replies.reply(query, source, room, now, wall_s)
        if packet is None:
            return
        if len(packet) <= room:
            self._outbox.append((packet, source))
        elif room >= PING_BYTES:
            self._hold(packet, source, now)

    def answered(self, source: Address, now: float) -> None:
        """Take note that ``source`` has answered a query of ours: its address is real."""
        self._proven[source] = now
        if len(self._proven) > _MAX_PROVEN:
            self._proven.popitem(last=False)
        held = self._held.pop(source, None) if self._held else None
        if held is not None:
            self._outbox.append((held, source))

    def is_proven(self, source: Address, now: float) -> bool:
        """Tell whether ``source`` has answered a query of ours within ``PROOF_S``."""
        at = self._proven.get(source)
        return at is not None and now - at < PROOF_S

    def ping(self, address: Address, now: float) -> None:
        """Ask ``address`` for a sign of life."""
        self._queries.send(address, b"ping", self._ping_arguments, self._ping_purpose, now)

    def _may_ask(self, source: Address, proven: bool, now: float) -> bool:
        if proven:
            return self._neighbours.take(source, now)
        # On loopback addresses cannot be forged and the port tells programs apart; elsewhere a port
        # costs nothing, so a host is one source.
        stranger = source if source[0].startswith("127.") else source[0]
        return self._strangers.take(stranger, now) and self._all_strangers.take(None, now)

    def _hold(self, packet: bytes, source: Address, now: float) -> None:
        if source not in self._held:
            self.ping(source, now)
        self._held[source] = packet
        if len(self._held) > _MAX_HELD:
            self._held.popitem(last=False)
