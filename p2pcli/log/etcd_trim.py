"""The ends of an etcd log: its old entries deleted, or those of another log installed."""

from collections.abc import Iterable, Iterator
from typing import Final

from p2pcli.log.chain import GENESIS
from p2pcli.log.check import first_problem
from p2pcli.log.entry import Corrupt, Entry, Trimmed
from p2pcli.log.etcd_keys import FORMAT_VERSION, Begin, Lane, Meta, after_all, encode_stored
from p2pcli.log.etcd_market import EtcdMarket, add_put
from p2pcli.log.etcd_merge import Cursor
from p2pcli.log.etcd_messages import CREATE, MESSAGES, MOD
from p2pcli.log.etcd_reader import EtcdReader

TRIM_KEYS: Final = 1000  # deleted at once
INSTALL_KEYS: Final = 60  # entries written at once: two operations each, of the 128 that etcd takes
INSTALL_BYTES: Final = 1 << 20  # likewise: etcd takes 1.5 MiB


def trim(market: EtcdMarket, reader: EtcdReader, before: int) -> None:
    """Delete entries below ``before``, an entry that is there, and let etcd forget them (compaction).

    What is deleted is read first, once: the log has to say how far each lane and the hash had come.
    """
    kv = market.first_of(market.keys.begin)
    begin = market.begin(kv)
    if before <= (begin.first if begin is not None else 1):
        return
    cursor = Cursor(begin)
    try:
        while cursor.sequence < before - 1:
            reader.collect(cursor, cursor.sequence, before - 1 - cursor.sequence)
        entry = reader.collect(cursor.copy(), cursor.sequence, 1)[0]
    except Trimmed:  # by another node
        return
    if market.set_begin(cursor.begin_at(reader.lanes, entry), kv.mod_revision if kv is not None else 0):
        revision = max(
            (_delete_lane(market, lane, number) for lane, number in cursor.lanes.items()), default=0
        )
        if revision:
            market.client.compact(revision, market.timeout)


def _delete_lane(market: EtcdMarket, lane: Lane, number: int) -> int:
    """Delete a lane up to ``number``, itself too when empty then; return the revision, 0: nothing was."""
    revision = 0
    key, end = market.keys.batch(lane, 0), market.keys.batch(lane, number + 1)
    while True:
        request = MESSAGES["RangeRequest"](key=key, range_end=end, limit=TRIM_KEYS, keys_only=True)
        kvs = market.asked(market.client.range, request).kvs
        if not kvs:
            break
        revision = market.client.delete(key, kvs[-1].key + b"\0", market.timeout).header.revision
    request = MESSAGES["TxnRequest"]()
    request.compare.add(target=CREATE, key=key, range_end=after_all(key[:-20]), create_revision=0)
    request.success.add().delete_range.key = market.keys.lane(lane)
    market.asked(market.client.txn, request)
    return revision


def install(market: EtcdMarket, entries: Iterable[Entry]) -> None:
    """Write entries as they are into an empty log, see ``entry.Log``. Memory for one request."""
    if not market.set_meta(Meta(FORMAT_VERSION, whole=False)):
        raise market.not_empty()
    numbers: dict[Lane, int] = {}
    last, chain = 0, GENESIS
    for some in _runs(entries):
        if not numbers and some[0].sequence > 1:
            last = some[0].sequence - 1
            market.set_begin(Begin(last + 1, some[0].chain, []), 0)
        problem = first_problem(some, last, chain if numbers or not last else None)
        if problem is not None:
            raise Corrupt(f"entry {problem.sequence} {problem.what}", problem.sequence)
        _write(market, some, numbers)
        last, chain = some[-1].sequence, some[-1].chain
    market.set_meta(Meta(FORMAT_VERSION, installed=last))


def _write(market: EtcdMarket, entries: list[Entry], numbers: dict[Lane, int]) -> None:
    """Put entries at once; ``numbers`` has the last number of every lane so far, and is kept so."""
    request = MESSAGES["TxnRequest"]()
    request.compare.add(target=MOD, key=market.keys.meta, mod_revision=market.revision)
    for entry in entries:
        batch = entry.batch
        lane = batch.producer, batch.epoch
        if lane not in numbers:
            add_put(request.success, market.keys.lane(lane), b"")
        value = encode_stored(batch, numbers.get(lane, 0), entry.sequence)
        add_put(request.success, market.keys.batch(lane, batch.number), value)
        numbers[lane] = batch.number
    market.asked(market.client.txn, request)


def _runs(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Yield the entries in runs that fit one request."""
    some: list[Entry] = []
    size = 0
    for entry in entries:
        size += len(entry.batch.body)
        if some and (len(some) == INSTALL_KEYS or size > INSTALL_BYTES):
            yield some
            some, size = [], len(entry.batch.body)
        some.append(entry)
    if some:
        yield some
