"""Which engine a log's URL names: opened, told in full, deleted. Each is imported only when it is used."""

from pathlib import Path

from p2pcli.errors import BadInput
from p2pcli.log.entry import Log


class UnknownEngine(BadInput):
    """No log engine answers to that URL."""

    code = "unknown_engine"


def open_log(url: str, market: str, durable: bool) -> Log:
    """Open one market's log, named as its folder is. Raises ``UnknownEngine`` and what the engine raises.

    ``durable`` is for engines of this machine; etcd always is.
    """
    engine, _, place = url.partition("://")
    if engine == "sqlite" and place.startswith("/"):
        from p2pcli.log.sqlite import SqliteLog

        return SqliteLog(Path(place) / market, durable=durable)
    if engine == "etcd":
        from p2pcli.log.etcd import EtcdLog

        return EtcdLog(url, market)
    raise UnknownEngine(
        f"log {url!r} names no engine that p2px knows",
        hint="use sqlite:///absolute/folder or etcd://HOST:PORT,...",
    )


def etcd_url(
    url: str, cluster: str, identity: str, ca: str, cert: str, key: str, user: str, password_file: str
) -> str:
    """Return in full what ``open_log`` needs for a cluster's log, of which a person wrote ``url``."""
    from p2pcli.log.etcd_place import EtcdAccess, address_of

    return address_of(url, cluster, identity, EtcdAccess(ca, cert, key, user, password_file))


def check_access(url: str) -> None:
    """Raise what is wrong with the files that are shown at a log's door, before any node opens it."""
    if url.startswith("etcd://"):
        from p2pcli.log.etcd_access import read_access
        from p2pcli.log.etcd_place import parse

        read_access(parse(url).access)


def wipe_log(url: str) -> None:
    """Delete what lies elsewhere than in the cluster's folder. Raises what the engine raises."""
    if url.startswith("etcd://"):
        from p2pcli.log.etcd_market import wipe

        wipe(url)
