"""What a member replies to the queries of others (BEP 5, BEP 44, and real Grapes where they differ).

Queries that are not understood, and stores that are wrong in a way an honest member's never is, get silence.
"""

import random
from collections.abc import Callable

from p2pcli.registry import krpc
from p2pcli.registry.announced import Announced
from p2pcli.registry.bencode import Encodable, Value, encode
from p2pcli.registry.compact import CONTACT_BYTES, Address, Contact, pack_contacts, pack_peer
from p2pcli.registry.items import KEY_BYTES, MAX_SALT, Item, ItemRefused, ItemStore
from p2pcli.registry.krpc import Query, bytes_of, integer_of
from p2pcli.registry.routing import K
from p2pcli.registry.tokens import Tokens

MAX_VALUES = 128  # peers in one reply: it still fits one Ethernet frame, and a Grape shows 100
_VALUE_BYTES = 8  # of one peer: 6:......
_LIST_BYTES = 16  # of the key and brackets around nodes or values

Nearest = Callable[[bytes, int], list[Contact]]


class Replies:
    """Answers queries from this member's stores. Knows no socket and no clock."""

    def __init__(
        self,
        own_id: bytes,
        nearest: Nearest,
        peers: Announced,
        items: ItemStore,
        tokens: Tokens,
        chance: random.Random,
    ) -> None:
        self._own_id = own_id
        self._nearest = nearest
        self._peers = peers
        self._items = items
        self._tokens = tokens
        self._chance = chance
        self._own = encode({b"id": own_id})
        with_token = {b"id": own_id, b"token": tokens.give("", 0.0)}
        self._base = len(krpc.reply(b"", encode(with_token))) + _LIST_BYTES

    def reply(self, query: Query, source: Address, room: int, now: float, wall_s: float) -> bytes | None:
        """Return the reply's packet, or None for silence.

        ``room`` is how many bytes it should have at most: contacts and peers are left out to keep within it;
        a stored item is not, the caller decides. O(n log n) in the contacts known.
        """
        match query.method:
            case b"ping":
                return krpc.reply(query.transaction, self._own)
            case b"find_node":
                return self._find_node(query, room)
            case b"get_peers":
                return self._get_peers(query, source, room, now, wall_s)
            case b"announce_peer":
                return self._announce_peer(query, source, now, wall_s)
            case b"get":
                return self._get(query, source, room, wall_s)
            case b"put":
                return self._put(query, source, wall_s)
        return None

    def _find_node(self, query: Query, room: int) -> bytes | None:
        if b"target" not in query.arguments:
            text = "`find_node` missing required `a.target` field"
            return krpc.refusal(query.transaction, krpc.PROTOCOL, text)
        target = bytes_of(query.arguments, b"target")
        if target is None:
            return None
        return self._with_nodes(query, {b"id": self._own_id}, target, room)

    def _get_peers(self, query: Query, source: Address, room: int, now: float, wall_s: float) -> bytes | None:
        if b"info_hash" not in query.arguments:
            text = "`get_peers` missing required `a.info_hash` field"
            return krpc.refusal(query.transaction, krpc.PROTOCOL, text)
        key = bytes_of(query.arguments, b"info_hash")
        if key is None:
            return None
        values: dict[bytes, Encodable] = {b"id": self._own_id, b"token": self._tokens.give(source[0], wall_s)}
        peers = self._peers.get(key, now)
        if peers and not source[0].startswith("127."):
            # A loopback address means another machine there: it is of no use to the asker.
            peers = [peer for peer in peers if peer[0] != 127]
        if not peers:
            return self._with_nodes(query, values, key, room)
        count = max(1, self._fitting(query, room, _VALUE_BYTES, MAX_VALUES))
        if len(peers) > count:
            peers = self._chance.sample(peers, count)
        values[b"values"] = list(peers)
        return krpc.reply(query.transaction, encode(values))

    def _announce_peer(self, query: Query, source: Address, now: float, wall_s: float) -> bytes | None:
        host, source_port = source
        port = source_port if query.arguments.get(b"implied_port") else integer_of(query.arguments, b"port")
        key, token = bytes_of(query.arguments, b"info_hash"), bytes_of(query.arguments, b"token")
        if port is None or not 1 <= port <= 65535 or key is None or not token:
            return None
        if not self._tokens.accepts(token, host, wall_s):
            text = "cannot `announce_peer` with bad token"
            return krpc.refusal(query.transaction, krpc.PROTOCOL, text)
        self._peers.add(key, pack_peer((host, port)), now)
        return krpc.reply(query.transaction, self._own)

    def _get(self, query: Query, source: Address, room: int, wall_s: float) -> bytes | None:
        target = bytes_of(query.arguments, b"target")
        if target is None:
            return None
        values: dict[bytes, Encodable] = {b"id": self._own_id, b"token": self._tokens.give(source[0], wall_s)}
        item = self._items.get(target)
        if item is None:
            return self._with_nodes(query, values, target, room)
        extra: dict[bytes, Encodable] = (
            {b"k": item.k, b"seq": item.seq, b"sig": item.sig} if item.mutable else {}
        )
        return krpc.reply(query.transaction, encode({**values, **extra, b"v": item.v}))

    def _put(self, query: Query, source: Address, wall_s: float) -> bytes | None:
        arguments = query.arguments
        token, sender = bytes_of(arguments, b"token"), bytes_of(arguments, b"id")
        v = arguments.get(b"v")
        if v is None or not token or not sender:
            return None
        if not self._tokens.accepts(token, source[0], wall_s):
            return krpc.refusal(query.transaction, krpc.PROTOCOL, "cannot `put` with bad token")
        item = item_of(arguments, v, bytes_of(arguments, b"salt") or b"", sender)
        if item is None or len(item.salt) > MAX_SALT:
            return None
        if not item.fits():
            return krpc.refusal(query.transaction, krpc.TOO_LARGE, "data payload too large")
        if item.mutable and not item.is_signed():
            return None
        try:
            self._items.put(item, integer_of(arguments, b"cas"))
        except ItemRefused as refused:
            return krpc.refusal(query.transaction, refused.number, refused.message)
        return krpc.reply(query.transaction, self._own)

    def _with_nodes(self, query: Query, values: dict[bytes, Encodable], key: bytes, room: int) -> bytes:
        count = self._fitting(query, room, CONTACT_BYTES, K)
        values[b"nodes"] = pack_contacts(self._nearest(key, count))
        return krpc.reply(query.transaction, encode(values))

    def _fitting(self, query: Query, room: int, size: int, most: int) -> int:
        """Return how many entries of ``size`` bytes fit a reply beside id and token, at most ``most``."""
        return max(0, min(most, (room - self._base - len(query.transaction or b"")) // size))


def item_of(values: dict[bytes, Value], v: Value, salt: bytes, sender: bytes) -> Item | None:
    """Return the item that a put's arguments or a get's reply carry, or None when it cannot be one.

    Sizes are checked, the signature is not.
    """
    if b"k" not in values and b"sig" not in values:
        return Item(v, sender=sender)
    k, sig, seq = bytes_of(values, b"k"), bytes_of(values, b"sig"), integer_of(values, b"seq")
    if k is None or len(k) != KEY_BYTES or sig is None or (b"seq" in values and (seq is None or seq < 0)):
        return None
    return Item(v, k, sig, seq or 0, salt, sender)
