"""Where a log on etcd is and how to get in, as one address. Pure.

    etcd://HOST:PORT[,HOST:PORT...][/PREFIX]             what a person writes
    etcd://HOST:PORT[,HOST:PORT...]/PREFIX/CLUSTER?...   what a node is told (``address_of``)

The second names the cluster, and after the question mark who it is and the files to show at etcd's door, so
that whoever holds the address can open the log. A password is never in it, only the file that has it.
"""

from typing import Final
from urllib.parse import parse_qsl, urlencode

import msgspec

from p2pcli.errors import BadInput, P2pxError

SCHEME: Final = "etcd://"
DEFAULT_PREFIX: Final = "p2px"
MAX_MEMBERS: Final = 9


class BadEtcdAddress(BadInput):
    """The text is no address of a log on etcd."""

    code = "bad_etcd_address"


class EtcdLibraryMissing(P2pxError):
    """p2px was installed without the extra that speaks with etcd."""

    code = "etcd_library_missing"


class EtcdAccess(msgspec.Struct, frozen=True):
    """What etcd asks for at its door. Paths of files, each "" when there is none."""

    ca: str = ""  # certificates that sign the members'; with it, or with ``cert``, connections are TLS
    cert: str = ""
    key: str = ""
    user: str = ""
    password_file: str = ""

    @property
    def is_tls(self) -> bool:
        return bool(self.ca or self.cert)


class EtcdPlace(msgspec.Struct, frozen=True):
    """The members of an etcd cluster and the place in it that belongs to one p2px cluster."""

    members: tuple[str, ...]  # "host:port", in the order they are tried
    folder: str  # "/p2px/default": every key of the cluster begins so
    identity: str = ""  # which cluster of that name this is; "": whichever
    access: EtcdAccess = EtcdAccess()

    def shown(self) -> str:
        """Return the place for messages: without identity and files."""
        return f"{SCHEME}{','.join(self.members)}{self.folder}"


def address_of(url: str, cluster: str, identity: str, access: EtcdAccess) -> str:
    """Return in full where the log of ``cluster`` is, from the ``url`` that a person wrote."""
    place = parse(url)
    folder = place.folder if place.folder.strip("/") else f"/{DEFAULT_PREFIX}"
    fields = {"identity": identity} | msgspec.structs.asdict(access)
    query = urlencode({name: value for name, value in fields.items() if value})
    whole = f"{SCHEME}{','.join(place.members)}{folder}/{cluster}"
    return f"{whole}?{query}" if query else whole


def parse(address: str) -> EtcdPlace:
    """Return what an address of either kind says. Raises ``BadEtcdAddress``."""
    rest, _, query = address.removeprefix(SCHEME).partition("?")
    members, slash, folder = rest.partition("/")
    addresses = tuple(members.split(","))
    if not address.startswith(SCHEME) or not all(addresses) or len(addresses) > MAX_MEMBERS:
        raise BadEtcdAddress(
            f"log {address[:200]!r}: expected {SCHEME}HOST:PORT,... with 1 to {MAX_MEMBERS} members",
            hint="p2px cluster up --log etcd://127.0.0.1:2379",
        )
    fields = dict(parse_qsl(query))
    identity = fields.pop("identity", "")
    try:
        access = msgspec.convert(fields, EtcdAccess)
    except msgspec.ValidationError as error:
        raise BadEtcdAddress(f"log {address[:200]!r}: {error}") from error
    return EtcdPlace(addresses, (slash + folder).rstrip("/"), identity, access)
