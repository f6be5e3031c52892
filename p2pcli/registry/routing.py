"""The routing table: contacts in buckets by how many leading bits of our own id they share (Kademlia, BEP 5).

Each of the 160 buckets holds at most ``k`` contacts, so the table is dense near us and sparse far away, and
at most about ``k * log2(members)`` contacts are known. Old contacts that still answer are worth more than new
ones (they have shown that they stay), so a full bucket takes a newcomer only in the place of one that is dead
or was never proven; until then it waits among the bucket's spares.

A contact is *proven* when it has answered a query of ours from its address: whoever merely sends us a packet
can name any id and any source address.
"""

from dataclasses import dataclass

from p2pcli.registry.compact import Address, Contact
from p2pcli.registry.node_id import distance, shared_bits

K = 20  # contacts in a bucket, and answers of a lookup (as in real Grapes)
_QUIET_S = 10.0  # a contact heard from within this time is not pinged to see whether it lives


@dataclass(slots=True)
class _Entry:
    contact: Contact
    heard_at: float
    proven: bool


class RoutingTable:
    """Contacts other than ourselves. ``version`` counts who came and went."""

    def __init__(self, own_id: bytes, k: int = K) -> None:
        self._own_id = own_id
        self._k = k
        self._entries: dict[bytes, _Entry] = {}  # id -> entry, of every contact with a place
        self._buckets: dict[int, dict[bytes, _Entry]] = {}  # shared bits -> id -> entry
        self._spares: dict[int, dict[bytes, _Entry]] = {}  # newcomers without a place, latest last
        self._id_at: dict[Address, bytes] = {}
        self.version = 0

    def __len__(self) -> int:
        """Return the number of contacts with a place in a bucket."""
        return len(self._entries)

    def knows(self, address: Address) -> bool:
        """Tell whether a contact with this address has a place."""
        return address in self._id_at

    def heard(self, contact: Contact, answered: bool, now: float) -> Contact | None:
        """Take note of a packet from ``contact``; ``answered``: it was the answer to a query of ours.

        Return the contact that should be pinged now, because it has been quiet longest in the full bucket of
        a newcomer and may be dead; or None.
        """
        node_id, address = contact
        entry = self._entries.get(node_id)
        if entry is not None:
            self._heard_again(entry, contact, answered, now)
            return None
        if node_id == self._own_id:
            return None
        if answered and address in self._id_at:
            # Another id answers here now: whoever had this address before has restarted.
            self.remove(address)
        newcomer = _Entry(contact, now, answered)
        bits = shared_bits(node_id, self._own_id)
        bucket = self._buckets.setdefault(bits, {})
        if len(bucket) >= self._k and not (answered and self._evict_unproven(bucket)):
            return self._queue(bits, bucket, newcomer, now)
        if address not in self._id_at:  # one place for each address, or one host could fill the table
            self._place(bucket, newcomer)
        return None

    def remove(self, address: Address) -> None:
        """Drop the contact at ``address``, if any; the latest spare of its bucket takes its place."""
        node_id = self._id_at.pop(address, None)
        if node_id is None:
            return
        bits = shared_bits(node_id, self._own_id)
        bucket = self._buckets[bits]
        del bucket[node_id], self._entries[node_id]
        self.version += 1
        spares = self._spares.get(bits)
        while spares:
            _, spare = spares.popitem()
            if spare.contact.address not in self._id_at:
                self._place(bucket, spare)
                break

    def closest(self, key: bytes, count: int) -> list[Contact]:
        """Return the ``count`` contacts nearest to ``key``, nearest first. O(n log n) in the contacts."""
        contacts = [entry.contact for entry in self._entries.values()]
        if len(contacts) > 1:
            contacts.sort(key=lambda contact: distance(contact.id, key))
        return contacts[:count]

    def doubtful(self, age_s: float, now: float) -> list[Contact]:
        """Return the contacts that were never proven or have not been heard from for ``age_s``."""
        return [
            entry.contact
            for entry in self._entries.values()
            if not entry.proven or now - entry.heard_at >= age_s
        ]

    def _heard_again(self, entry: _Entry, contact: Contact, answered: bool, now: float) -> None:
        if entry.contact.address != contact.address:
            # A known id keeps its first address: ids are public, so a packet can claim any.
            # Only one who has never answered at its address gives way to one who does.
            if entry.proven or not answered:
                return
            self.remove(contact.address)
            del self._id_at[entry.contact.address]
            self._id_at[contact.address] = contact.id
            entry.contact = contact
        entry.heard_at = now
        entry.proven = entry.proven or answered

    def _evict_unproven(self, bucket: dict[bytes, _Entry]) -> bool:
        unproven = next((entry for entry in bucket.values() if not entry.proven), None)
        if unproven is None:
            return False
        self.remove(unproven.contact.address)
        return len(bucket) < self._k  # a spare may have taken the place

    def _queue(self, bits: int, bucket: dict[bytes, _Entry], newcomer: _Entry, now: float) -> Contact | None:
        spares = self._spares.setdefault(bits, {})
        spares.pop(newcomer.contact.id, None)
        spares[newcomer.contact.id] = newcomer
        if len(spares) > self._k:
            del spares[next(iter(spares))]
        eldest = min(bucket.values(), key=lambda entry: entry.heard_at)
        return eldest.contact if now - eldest.heard_at >= _QUIET_S else None

    def _place(self, bucket: dict[bytes, _Entry], entry: _Entry) -> None:
        contact = entry.contact
        bucket[contact.id] = self._entries[contact.id] = entry
        self._id_at[contact.address] = contact.id
        self.version += 1
