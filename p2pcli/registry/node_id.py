"""Node ids: who a member is, and how far it is from a key.

Distance is Kademlia's XOR, read as a number. A Grape's keys are not 20-byte hashes but the raw bytes of a
service name, of any length: only the first ``min(len(key), 20)`` bytes of node id and key are compared, the
rest of a longer key counts the same for every node.
"""

from hashlib import sha1

from p2pcli.registry.compact import ID_BYTES, Address


def derive(address: Address, salt: bytes) -> bytes:
    """Return the node id of the member at ``address`` whose folder holds ``salt``.

    The id lives as long as the address does: real Grapes keep the first address they learn for an id, so a
    member that moved must be somebody new, and one that restarts at its old place should be the same.
    """
    host, port = address
    return sha1(b"%b%b:%d" % (salt, host.encode(), port), usedforsecurity=False).digest()


def distance(node_id: bytes, key: bytes) -> int:
    """Return how far ``node_id`` is from ``key``: 0 is nearest; an empty key is equally far from all."""
    width = min(len(key), ID_BYTES)
    return int.from_bytes(node_id[:width], "big") ^ int.from_bytes(key[:width], "big")


def shared_bits(one: bytes, other: bytes) -> int:
    """Return how many leading bits two node ids have in common, 0 to 160."""
    return ID_BYTES * 8 - distance(one, other).bit_length()
