"""Addresses and contacts, and the compact bytes in which DHT packets carry them.

::

    peer     4 bytes IPv4 | 2 bytes port, big endian
    contact  20 bytes node id | peer

A port of 0 cannot be reached, so such entries are skipped when read, as real Grapes do.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from p2pcli.errors import BadInput

Address: TypeAlias = tuple[str, int]  # dotted IPv4, port

ID_BYTES = 20
PEER_BYTES = 6
CONTACT_BYTES = ID_BYTES + PEER_BYTES


class BadAddress(BadInput):
    """Text that is not the ``ip:port`` of a member."""

    code = "bad_address"


class Contact(NamedTuple):
    """A DHT node: who it is and where it answers."""

    id: bytes
    address: Address


def parse_address(text: str) -> Address:
    """Return ``127.0.0.1:20001`` as an address. Raises ``BadAddress``; a port must be 1 to 65535."""
    host, colon, port = text.rpartition(":")
    if not (colon and is_ipv4(host) and port.isascii() and port.isdigit() and len(port) <= 5):
        raise BadAddress(f"{text!r} is not an address like 127.0.0.1:20001 (an IPv4 address and a port)")
    if not 1 <= int(port) <= 65535:
        raise BadAddress(f"port {port} of {text!r} is not between 1 and 65535")
    return host, int(port)


def is_ipv4(text: str) -> bool:
    """Tell whether ``text`` is four decimal numbers of 0 to 255, without leading zeros."""
    parts = text.split(".")
    return len(parts) == 4 and all(
        part.isascii() and part.isdigit() and len(part) <= 3 and int(part) < 256 and str(int(part)) == part
        for part in parts
    )


@lru_cache(maxsize=4096)
def pack_host(host: str) -> bytes:
    """Return a dotted IPv4 address as 4 bytes."""
    return bytes(map(int, host.split(".")))


@lru_cache(maxsize=4096)
def _unpack_host(packed: bytes) -> str:
    return ".".join(map(str, packed))


def pack_peer(address: Address) -> bytes:
    """Return the 6 bytes of an address."""
    return pack_host(address[0]) + address[1].to_bytes(2, "big")


def unpack_peer(packed: bytes) -> Address | None:
    """Return the address in 6 bytes, or None for another length or port 0."""
    if len(packed) != PEER_BYTES:
        return None
    port = int.from_bytes(packed[4:], "big")
    return (_unpack_host(packed[:4]), port) if port else None


def pack_contacts(contacts: Iterable[Contact]) -> bytes:
    """Return the contacts' 26 bytes each, in order."""
    return b"".join([contact.id + pack_peer(contact.address) for contact in contacts])


def unpack_contacts(packed: bytes, limit: int) -> list[Contact]:
    """Return at most ``limit`` contacts; entries with port 0 and a torn last entry are skipped."""
    contacts: list[Contact] = []
    for at in range(0, len(packed) - CONTACT_BYTES + 1, CONTACT_BYTES):
        if len(contacts) == limit:
            break
        address = unpack_peer(packed[at + ID_BYTES : at + CONTACT_BYTES])
        if address is not None:
            contacts.append(Contact(packed[at : at + ID_BYTES], address))
    return contacts
