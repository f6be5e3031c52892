"""Who can reach an address: this machine alone, or others too. Reads the kernel's own table of addresses."""

import ipaddress
from pathlib import Path

from p2pcli.errors import BadInput

ANY = "0.0.0.0"  # every address of this machine
_TABLE = Path("/proc/net/fib_trie")


class Unprotected(BadInput):
    """Others could reach a node that has no TLS; it does not start like that."""

    code = "unprotected"


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches what listens there. Names but localhost count as no."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_protected(what: str, host: str, *, has_tls: bool) -> None:
    """Raise ``Unprotected`` when others could reach ``host`` and there is no TLS."""
    if not has_tls and not is_loopback(host):
        raise Unprotected(
            f"{what} would listen at {host} without TLS, where others can reach it",
            hint=f"p2px cluster init --host {host} makes the cluster's certificates",
        )


def own_addresses(table: str | None = None) -> list[str]:
    """Return this machine's IPv4 addresses but loopback's, where the kernel has a table of them."""
    if table is None:
        try:
            table = _TABLE.read_text(encoding="ascii")
        except OSError:
            return []
    found: list[str] = []
    last = ""
    for line in table.splitlines():
        words = line.split()
        if words[:1] in (["|--"], ["+--"]) and len(words) > 1:
            last = words[1]
        elif words[:3] == ["/32", "host", "LOCAL"] and not is_loopback(last) and last not in found:
            found.append(last)
    return found


def hosts_of(name: str, host: str) -> list[str]:
    """Return what the certificate of a node that listens at ``host`` is for: its addresses and its name."""
    addresses = own_addresses() if host == ANY else []
    return list(dict.fromkeys([host, "127.0.0.1", "localhost", name, *addresses]))
