"""The reading half of the etcd log: lanes back into entries in order, counted and hashed.

Reading in order is what a node does, so the place reached is kept: reading on costs what there is to read.
A second place is kept for whoever reads again what is before it. To begin anywhere else means to walk there
from the beginning of the log.
"""

import threading
from typing import Any, Final

from p2pcli.log.check import Problem
from p2pcli.log.entry import MAX_BODY, MAX_READ, Entry, Trimmed
from p2pcli.log.etcd_client import Compacted
from p2pcli.log.etcd_keys import Begin, Lane, after_all
from p2pcli.log.etcd_market import EtcdMarket, add_range
from p2pcli.log.etcd_merge import Cursor, Page, merged
from p2pcli.log.etcd_messages import MESSAGES

LANES_AT_ONCE: Final = 100  # etcd takes 128 operations in a transaction
MAX_PAGE: Final = 1000  # batches of one lane in one answer


class EtcdReader:
    """Reads one market's lanes. One thread at a time reads, others wait; ``passed`` waits for nobody."""

    def __init__(self, market: EtcdMarket) -> None:
        self._market = market
        self._turn = threading.Lock()
        self._following = threading.Lock()  # around ``_front``, for moments
        self._front = Cursor(None)  # as far as read or passed
        self._back = Cursor(None)  # of whoever reads again what is before it
        self._listed: list[Lane] = []
        self._entry_bytes = MAX_BODY  # expected of an entry, so that an answer is not too large

    @property
    def lanes(self) -> list[Lane]:
        """Return the lanes that were listed when last read."""
        return self._listed

    def passed(self, entry: Entry) -> None:
        """Take note of an entry that is known from elsewhere."""
        with self._following:
            if entry.sequence == self._front.sequence + 1:
                self._front.follow(entry)

    def read(self, after: int, limit: int) -> list[Entry]:
        """Return entries from ``after + 1``, see ``entry.Log``.

        Raises Trimmed, Corrupt, Unavailable, Broken.
        """
        with self._turn:
            self._market.check()
            with self._following:
                cursor = self._front.copy()
            is_front = cursor.sequence <= after
            if not is_front:
                cursor = self._back.copy() if self._back.sequence <= after else Cursor(None)
            entries = self.collect(cursor, after, limit)
            if not is_front:
                self._back = cursor
                return entries
            with self._following:
                if cursor.sequence > self._front.sequence:
                    self._front = cursor
            return entries

    def collect(self, cursor: Cursor, after: int, limit: int) -> list[Entry]:
        """Return entries from ``after + 1``, and move ``cursor``, which is before it, to the last of them.

        At most ``limit`` and MAX_READ bytes, at least one entry.
        """
        entries: list[Entry] = []
        size = 0
        while True:
            pages, begin, last = self._fetch(cursor, after + limit - cursor.sequence)
            if begin is not None and begin.first > cursor.sequence + 1:  # trimmed meanwhile, or new here
                if entries:
                    return entries
                self._check_trimmed(after, begin)
                cursor.restart(begin)
                continue
            for found in merged(pages, cursor.lanes):
                if cursor.sequence >= after:
                    size += len(found.batch.body)
                    if len(entries) == limit or (entries and size > MAX_READ):
                        return entries
                entry = cursor.step(found)
                if isinstance(entry, Problem):
                    if entries:
                        return entries
                    raise self._market.corrupt(*entry)
                if entry.sequence > after:
                    entries.append(entry)
            if not any(page.is_cut for page in pages.values()):
                self._check_end(cursor, after, last)
                return entries

    def _check_trimmed(self, after: int, begin: Begin) -> None:
        if begin.first > after + 1:
            raise Trimmed(
                f"log {self._market.place.shown()}: entry {after + 1} was trimmed away, "
                f"the oldest is {begin.first}",
                first=begin.first,
            )

    def _check_end(self, cursor: Cursor, after: int, last: int) -> None:
        """Raise Corrupt unless as many entries were found as were counted: a lost one renumbers the rest."""
        if cursor.sequence != last:
            raise self._market.corrupt(
                min(cursor.sequence, last) + 1,
                f"or one before it is missing: {last} were counted and {cursor.sequence} found",
            )
        if last < after:
            raise self._market.corrupt(last + 1, f"is missing: entry {after} was read before")

    def _fetch(self, cursor: Cursor, wanted: int) -> tuple[dict[Lane, Page], Begin | None, int]:
        """Return what follows ``cursor`` in each lane, where the log begins and ends; all at one revision."""
        market = self._market
        while True:
            lanes = self._listed
            count = max(1, min(wanted, MAX_PAGE, MAX_READ // (self._entry_bytes * max(1, len(lanes)))))
            pages: dict[Lane, Page] = {}
            heads: Any = None
            try:
                for start in range(0, max(1, len(lanes)), LANES_AT_ONCE):
                    some = lanes[start : start + LANES_AT_ONCE]
                    revision = heads.header.revision if heads is not None else 0
                    request = self._request(cursor, some, count, revision)
                    answer = market.asked(market.client.txn, request)
                    kvss = [response.range.kvs for response in answer.responses]
                    if heads is None:
                        heads, kvss = answer, kvss[3:]
                    for lane, kvs in zip(some, kvss, strict=True):
                        pages[lane] = Page([market.found(lane, kv) for kv in kvs], len(kvs) == count)
            except Compacted:  # between two requests: it happens after trimming, so not for ever
                continue
            counted, begins, listed = (response.range for response in heads.responses[:3])
            self._listed = [market.lane(kv.key) for kv in listed.kvs]
            if self._listed == lanes:
                self._learn_size(pages)
                begin = market.begin(begins.kvs[0] if begins.kvs else None)
                return pages, begin, market.counted(counted)

    def _request(self, cursor: Cursor, lanes: list[Lane], count: int, revision: int) -> Any:
        """Return the request for some lanes; the first, of no ``revision`` yet, asks for the heads too."""
        request, keys = MESSAGES["TxnRequest"](), self._market.keys
        if not revision:
            add_range(request.success, keys.count, keys_only=True)
            add_range(request.success, keys.begin)
            add_range(request.success, keys.lanes, range_end=after_all(keys.lanes), keys_only=True)
        for lane in lanes:
            key = keys.batch(lane, cursor.lanes.get(lane, 0) + 1)
            end = after_all(key[:-20])
            add_range(request.success, key, range_end=end, limit=count, revision=revision)
        return request

    def _learn_size(self, pages: dict[Lane, Page]) -> None:
        sizes = [len(found.batch.body) for page in pages.values() for found in page.found]
        if sizes:
            self._entry_bytes = max(256, 2 * sum(sizes) // len(sizes))
