"""The keys of one market in etcd: found or made, asked about, and given up when they are damaged."""

import threading
from collections.abc import Callable
from typing import Any, Final

import msgspec

from p2pcli.errors import Conflict
from p2pcli.log.entry import Batch, Broken, Corrupt, NotEmpty, Unavailable
from p2pcli.log.etcd_client import EtcdClient
from p2pcli.log.etcd_keys import FORMAT_VERSION, Begin, Damaged, Keys, Lane, Meta, after_all, decode_stored
from p2pcli.log.etcd_merge import Found
from p2pcli.log.etcd_messages import CREATE, MESSAGES, MOD
from p2pcli.log.etcd_place import EtcdPlace, parse

CLOSED: Final = "it was closed"


class OtherCluster(Conflict):
    """The place in etcd belongs to another cluster of the same name, or holds what p2px cannot go on with."""

    code = "other_cluster"


class EtcdMarket:
    """One market's keys, and whether they may be gone on with. Any thread may find that they may not."""

    def __init__(self, address: str, market: str, timeout: float) -> None:
        """Open the keys, and make them when missing. ``timeout`` (seconds) bounds this and every ``asked``.

        Raises Unavailable, OtherCluster, Corrupt, BadInput.
        """
        self.place = parse(address)
        self.keys = Keys(self.place.folder, market)
        self.timeout = timeout
        self.closing = threading.Event()
        self.client = EtcdClient(self.place)
        self._trouble: str | None = None
        try:
            _claim_place(self.client, self.place, self.keys.owner, timeout)
            self.meta, self.revision = self._open()
        except BaseException:
            self.client.close()
            raise

    def asked(self, ask: Callable[[Any, float], Any], request: Any) -> Any:
        """Return the answer of a method of the client. Raises Unavailable, Broken."""
        self.check()
        try:
            return ask(request, self.timeout)
        except Unavailable:
            self.check()  # closed meanwhile: that is why
            raise

    def first_of(self, key: bytes) -> Any:
        """Return the key with its value, None when it is not there."""
        kvs = self.asked(self.client.range, MESSAGES["RangeRequest"](key=key)).kvs
        return kvs[0] if kvs else None

    def counted(self, counted: Any) -> int:
        """Return the sequence that an answer about the counter means."""
        return self.meta.installed + (counted.kvs[0].version if counted.kvs else 0)

    def begin(self, kv: Any) -> Begin | None:
        """Return where the log begins, None for 1. Raises Corrupt."""
        if kv is None:
            return None
        try:
            return msgspec.msgpack.decode(kv.value, type=Begin)
        except msgspec.MsgspecError as error:
            raise self.corrupt(0, f"has a beginning that cannot be decoded: {error}") from error

    def set_begin(self, begin: Begin, since: int) -> bool:
        """Let the log begin there unless another node has moved its beginning after revision ``since``."""
        request, key = MESSAGES["TxnRequest"](), self.keys.begin
        request.compare.add(target=MOD, key=key, mod_revision=since)
        add_put(request.success, key, msgspec.msgpack.encode(begin))
        return bool(self.asked(self.client.txn, request).succeeded)

    def set_meta(self, meta: Meta) -> bool:
        """Describe an empty log otherwise; False when somebody else has, or has appended."""
        request, keys = MESSAGES["TxnRequest"](), self.keys
        value = msgspec.msgpack.encode(meta)
        request.compare.add(target=MOD, key=keys.meta, mod_revision=self.revision)
        request.compare.add(target=CREATE, key=keys.count, create_revision=0)
        add_put(request.success, keys.meta, value)
        for operations in (request.success, request.failure):
            add_range(operations, keys.meta)
        kvs = self.asked(self.client.txn, request).responses[-1].range.kvs
        if not kvs or kvs[0].value != value:  # equal also when an attempt without an answer has done it
            return False
        self.meta, self.revision = meta, kvs[0].mod_revision
        return True

    def lane(self, key: bytes) -> Lane:
        """Return the lane of a key beneath ``lane/``. Raises Corrupt."""
        try:
            return self.keys.lane_of(key)
        except Damaged as damaged:
            raise self.corrupt(0, str(damaged)) from damaged

    def found(self, lane: Lane, kv: Any) -> Found:
        """Return a batch as it lies in its lane, with what is wrong with it."""
        number = 0
        try:
            number = self.keys.number_of(kv.key)
            batch, before, place = decode_stored(lane, number, kv.value)
        except Damaged as damaged:
            return Found(kv.create_revision, 0, 0, Batch(*lane, number, b""), str(damaged))
        # Where it was created is its place, also when somebody overwrites it.
        return Found(kv.create_revision, place, before, batch)

    def check(self) -> None:
        """Raise Broken unless the log may go on."""
        if self._trouble is not None:
            raise Broken(
                f"log {self.place.shown()}: cannot be used: {self._trouble}",
                hint="open it anew and read again",
            )

    def corrupt(self, sequence: int, what: str) -> Corrupt:
        """Give up, and return the failure that names the first entry not to be trusted (0: all of it)."""
        where = f"entry {sequence} {what}" if sequence else what
        self._trouble = self._trouble or f"it is damaged: {where}"
        return Corrupt(
            f"log {self.place.shown()}: {where}",
            sequence,
            hint="restore etcd from a snapshot of its own, or export what is intact",
        )

    def not_empty(self) -> NotEmpty:
        """Return the failure to install into a log that is in use."""
        return NotEmpty(
            f"log {self.place.shown()}: expected one without entries to install into, found some",
            hint="begin a new cluster with --name, or p2px cluster down --wipe",
        )

    def close(self) -> None:
        """Break off what is being asked, and close the connections."""
        self._trouble = self._trouble or CLOSED
        self.closing.set()
        self.client.close()

    def _open(self) -> tuple[Meta, int]:
        """Return what this log is and the revision that says so; make it if it is new."""
        new = msgspec.msgpack.encode(Meta(FORMAT_VERSION))
        value, revision = _claim(self.client, self.keys.meta, new, self.timeout)
        try:
            meta = msgspec.msgpack.decode(value, type=Meta)
        except msgspec.MsgspecError as error:
            raise self.corrupt(0, f"has a description that cannot be decoded: {error}") from error
        if meta.version != FORMAT_VERSION:
            raise OtherCluster(
                f"log {self.place.shown()}: expected format {FORMAT_VERSION}, found {meta.version}",
                hint="open it with the p2px that wrote it",
            )
        if not meta.whole:
            raise OtherCluster(
                f"log {self.place.shown()}: entries were being installed in it and are not complete",
                hint="remove it (p2px cluster down --wipe) and install them again",
            )
        return meta, revision


def wipe(address: str, timeout: float = 5.0) -> int:
    """Delete every key of the cluster at ``address``; return how many there were.

    0 when the keys are those of another cluster of this name. Raises Unavailable.
    """
    place = parse(address)
    client = EtcdClient(place)
    try:
        folder = f"{place.folder}/".encode()
        try:
            _claim_place(client, place, folder + b"owner", timeout)
        except OtherCluster:
            return 0
        return int(client.delete(folder, after_all(folder), timeout).deleted) - 1
    finally:
        client.close()


def add_put(operations: Any, key: bytes, value: bytes) -> None:
    """Add a put to the operations of a ``TxnRequest``."""
    operations.add().put.key = key
    operations[-1].put.value = value


def add_range(operations: Any, key: bytes, **fields: Any) -> None:
    """Add a range to the operations of a ``TxnRequest``."""
    operations.add().range.CopyFrom(MESSAGES["RangeRequest"](key=key, **fields))


def _claim_place(client: EtcdClient, place: EtcdPlace, key: bytes, timeout: float) -> None:
    mine = place.identity.encode()
    owner, since = _claim(client, key, mine, timeout)
    if not owner and mine:  # it was opened before by somebody who was not told whose it is
        owner, _ = _claim(client, key, mine, timeout, since)
    if place.identity and owner.decode(errors="replace") != place.identity:
        raise OtherCluster(
            f"log {place.shown()}: another cluster of this name keeps its log there",
            hint="choose another --name, or a prefix of your own: etcd://HOST:PORT/PREFIX",
        )


def _claim(client: EtcdClient, key: bytes, value: bytes, timeout: float, since: int = 0) -> tuple[bytes, int]:
    """Put ``value`` where nothing is, or what is there ``since`` that revision; return what is there then.

    And since which revision it is.
    """
    request = MESSAGES["TxnRequest"]()
    request.compare.add(target=MOD, key=key, mod_revision=since)
    add_put(request.success, key, value)
    for operations in (request.success, request.failure):
        add_range(operations, key)
    kv = client.txn(request, timeout).responses[-1].range.kvs[0]
    return kv.value, kv.mod_revision
