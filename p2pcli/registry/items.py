"""Items: values that the DHT keeps (BEP 44), immutable ones under their hash, mutable ones under their key.

::

    immutable   target = sha1(bencode(v))
    mutable     target = sha1(k + salt)       k: ed25519 public key, 32 bytes; salt: 0 to 64 bytes
                sig over bencode({salt?, seq, v}) without the outer d and e:  4:salt6:foobar3:seqi1e1:v5:Hello

Whoever holds the secret half of ``k`` may replace a mutable item by one with a higher ``seq``; with ``cas``
only when the one stored has exactly that ``seq``. A real Grape verifies signatures only when its program
gives it a function for that; ours always can.
"""

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha1

from p2pcli.errors import P2pxError
from p2pcli.registry.bencode import Encodable, encode
from p2pcli.registry.krpc import CAS_MISMATCH, NOT_NEWER

MAX_VALUE = 1000  # bytes of v: of a byte string itself, of anything else encoded
MAX_SALT = 64
KEY_BYTES, SIGNATURE_BYTES = 32, 64
MAX_BYTES = 6 << 20  # of all items in a store


class ItemRefused(P2pxError):
    """A mutable item that may not replace the stored one; ``number`` is BEP 44's error code."""

    code = "item_refused"

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number


@dataclass(frozen=True, slots=True)
class Item:
    """A value and, when it is mutable, the proof that its owner wants it there."""

    v: Encodable
    k: bytes = b""
    sig: bytes = b""
    seq: int = 0
    salt: bytes = b""
    sender: bytes = b""  # node id of the member that stored it here; not part of the item's identity

    @property
    def mutable(self) -> bool:
        """Whether the item has an owner, who may replace it."""
        return bool(self.k)

    def target(self) -> bytes:
        """Return the 20-byte key under which the item is found."""
        return sha1(self.k + self.salt if self.k else encode(self.v), usedforsecurity=False).digest()

    def signed_bytes(self) -> bytes:
        """Return what ``sig`` signs."""
        salt = b"4:salt%d:%b" % (len(self.salt), self.salt) if self.salt else b""
        return b"%b3:seqi%de1:v%b" % (salt, self.seq, encode(self.v))

    def fits(self) -> bool:
        """Tell whether the value is within ``MAX_VALUE``."""
        return value_size(self.v) <= MAX_VALUE

    def is_signed(self) -> bool:
        """Tell whether ``sig`` is the owner's signature. About 0.1 ms, and 30 ms for the first."""
        if len(self.k) != KEY_BYTES or len(self.sig) != SIGNATURE_BYTES:
            return False
        # Imported here: it takes longer than starting a member, and few ever see a mutable item.
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.k).verify(self.sig, self.signed_bytes())
        except (InvalidSignature, ValueError):
            return False
        return True


def value_size(v: Encodable) -> int:
    """Return the bytes that count against ``MAX_VALUE``."""
    return len(v) if isinstance(v, bytes) else len(encode(v))


class ItemStore:
    """The items this member keeps: the most recently used ones, bounded in number and bytes."""

    def __init__(self, max_items: int, max_bytes: int = MAX_BYTES) -> None:
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._items: OrderedDict[bytes, Item] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._items)

    def get(self, target: bytes) -> Item | None:
        """Return the item under ``target``, or None."""
        item = self._items.get(target)
        if item is not None:
            self._items.move_to_end(target)
        return item

    def put(self, item: Item, cas: int | None = None) -> bytes:
        """Keep an item whose signature and size have been checked; return its target.

        Raises ``ItemRefused`` when ``cas`` is not the stored item's ``seq``, or ``seq`` is not above it.
        """
        target = item.target()
        stored = self._items.get(target)
        if stored is not None and item.mutable:
            if cas is not None and cas != stored.seq:
                raise ItemRefused(CAS_MISMATCH, "CAS mismatch, re-read and try again")
            if item.seq <= stored.seq:
                raise ItemRefused(NOT_NEWER, "sequence number less than current")
        if stored is not None:
            self._bytes -= _cost(stored)
        self._items[target] = item
        self._items.move_to_end(target)
        self._bytes += _cost(item)
        while len(self._items) > self._max_items or self._bytes > self._max_bytes:
            _, dropped = self._items.popitem(last=False)
            self._bytes -= _cost(dropped)
        return target


def _cost(item: Item) -> int:
    # 400: the objects of an item beside its bytes; 8 per byte for values that are many small objects.
    return 400 + value_size(item.v) * (1 if isinstance(item.v, bytes) else 8) + len(item.salt)
