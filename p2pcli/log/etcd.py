"""The log of many machines: one key per batch in an etcd cluster, in the order that etcd gives them.

An append is one transaction: the batch under its own key (producer, epoch, number), unless it is there, and
the counter, whose version is the sequence. Nothing is compared that another producer changes, so nobody loses
a race: with three writers that is 863 appends a second and 10 ms at the 99th percentile, where writing to
"the next place, if it is free" gave 409 and 87 ms (3 members, 2 cores, measured). The key makes a repeat
harmless, so whatever is not answered is simply asked again, of another member.

Entries stay when etcd is compacted by others: they are live keys, not old revisions. Hashes are not stored;
whoever reads in order computes them (``etcd_merge``), from the beginning or from what ``passed``.
"""

import threading
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

from p2pcli.log.entry import BadBatch, Batch, Entry, LogFull, Unavailable, Undecided, check_batch
from p2pcli.log.etcd_client import QUICK_S, Compacted, NoAnswer
from p2pcli.log.etcd_keys import Lane, encode_stored
from p2pcli.log.etcd_market import EtcdMarket, add_put, add_range
from p2pcli.log.etcd_merge import Found
from p2pcli.log.etcd_messages import CREATE, MESSAGES, MOD, NOT_EQUAL
from p2pcli.log.etcd_reader import MAX_PAGE, EtcdReader
from p2pcli.log.etcd_trim import install, trim

POLL_S = 0.25  # at 50 ms, three idle nodes cost 20 % of a core for one market (measured), etcd's share 12
ROOM_PAUSE_S = 2.0  # between two attempts to make room


class EtcdLog:
    """The log of one market in etcd, see ``entry.Log``. Threads append and read at once."""

    def __init__(self, address: str, market: str, *, poll_s: float = POLL_S, timeout: float = 5.0) -> None:
        """Open the log of ``market`` at ``address`` (``etcd_place``), and make it when missing.

        ``timeout`` (seconds) bounds opening, every read and every step of trimming. Raises Unavailable,
        OtherCluster, Corrupt, BadInput.
        """
        self._market = EtcdMarket(address, market, timeout)
        self._reader = EtcdReader(self._market)
        self._poll_s = poll_s
        self._room = threading.Lock()  # held while room is being made
        # Lanes known to be listed, and the last number that this object put into each.
        self._sent: dict[Lane, int] = {}

    @property
    def poll_s(self) -> float:
        """Return how often a tailer asks: every question goes round the members."""
        return self._poll_s

    def append(self, batch: Batch, timeout: float, grown: Callable[[], Batch] | None = None) -> int:
        """Make the batch durable on most members and return its sequence, within ``timeout`` seconds.

        Raises BadBatch, LogFull, Unavailable, Undecided, Corrupt, Broken.
        """
        if grown is not None:  # nobody has a turn here
            batch = grown()
        check_batch(batch)
        deadline = time.monotonic() + timeout
        while True:
            self._market.check()
            try:
                sequence = self._put(batch, max(0.001, deadline - time.monotonic()))
            except NoAnswer as silence:
                self._market.check()
                raise Undecided(silence.message, hint=silence.hint) from silence
            except LogFull:
                self._make_room()
                sequence = self._put_all_the_same(batch)
                if sequence is None:
                    raise
            if sequence is not None:
                return sequence

    def _put_all_the_same(self, batch: Batch) -> int | None:
        """Return the sequence of a batch that is in although etcd answered that there is no room, else None.

        The put that uses the quota up is carried out and answered "space exceeded" as well; later ones are
        only answered so. Raises Undecided when that cannot be asked.
        """
        lane = (batch.producer, batch.epoch)
        try:
            kv = self._market.first_of(self._market.keys.batch(lane, batch.number))
            return self._repeated(batch, kv) if kv is not None else None
        except Unavailable as silence:
            raise Undecided(silence.message, hint=silence.hint) from silence

    def _make_room(self) -> None:
        """Begin, in a thread, to make room in etcd, unless that is being done or was just now."""
        if self._room.acquire(blocking=False):
            threading.Thread(target=self._have_room, name="etcd room", daemon=True).start()

    def _have_room(self) -> None:
        try:
            self._market.client.make_room()
        except (Unavailable, Compacted):  # the next append that finds no room begins anew
            pass
        finally:
            self._market.closing.wait(ROOM_PAUSE_S)
            self._room.release()

    def _put(self, batch: Batch, timeout: float) -> int | None:
        """Try once; None when a lane or the log was not as this object knew it and is known now."""
        lane, keys = (batch.producer, batch.epoch), self._market.keys
        before = self._sent.get(lane)
        key, lane_key = keys.batch(lane, batch.number), keys.lane(lane)
        request = MESSAGES["TxnRequest"]()
        request.compare.add(target=MOD, key=keys.meta, mod_revision=self._market.revision)
        request.compare.add(target=CREATE, key=key, create_revision=0)
        if before is None:
            add_put(request.success, lane_key, b"")
        else:
            request.compare.add(target=CREATE, result=NOT_EQUAL, key=lane_key, create_revision=0)
        add_put(request.success, key, encode_stored(batch, before or 0))
        add_put(request.success, keys.count, b"")
        add_range(request.success, keys.count, keys_only=True)
        for wanted in (key, lane_key, keys.meta):
            add_range(request.failure, wanted)
        answer = self._market.client.txn(request, timeout, QUICK_S)
        if answer.succeeded:
            self._sent[lane] = batch.number
            return self._market.counted(answer.responses[-1].range)
        there, lanes, metas = (response.range.kvs for response in answer.responses)
        if there:
            return self._repeated(batch, there[0])
        if not lanes:  # it was trimmed away
            self._sent.pop(lane, None)
        if not metas or metas[0].mod_revision != self._market.revision:
            raise self._market.corrupt(0, "is not the log that was opened: it was removed, or made anew")
        return None

    def _repeated(self, batch: Batch, kv: Any) -> int:
        found = self._market.found((batch.producer, batch.epoch), kv)
        sequence = found.place or self._sequence_at(found)
        if found.batch.body != batch.body:
            raise BadBatch(
                f"batch {batch.number} of {batch.producer}, epoch {batch.epoch}: "
                f"expected the body that is in the log as entry {sequence}, found another one"
            )
        self._sent[batch.producer, batch.epoch] = batch.number
        return sequence

    def _sequence_at(self, found: Found) -> int:
        request = MESSAGES["RangeRequest"](
            key=self._market.keys.count, revision=found.revision, keys_only=True
        )
        try:
            return self._market.counted(self._market.client.range(request, self._market.timeout))
        except Compacted:  # so long ago that only counting tells
            after = self.first() - 1
            while entries := self.read(after, MAX_PAGE):
                for entry in entries:
                    if entry.batch == found.batch:
                        return entry.sequence
                after = entries[-1].sequence
            raise self._market.corrupt(
                0, f"{found.batch.producer}'s batch {found.batch.number} is in no place"
            ) from None

    def read(self, after: int, limit: int) -> list[Entry]:
        """Return durable entries from ``after + 1``, see ``entry.Log``.

        O(entries between ``after`` and the last one read or passed), or from the beginning when ``after``
        comes before that.
        """
        return self._reader.read(after, limit)

    def passed(self, entry: Entry) -> None:
        """Take note of an entry, so that reading goes on after it. Touches no network."""
        self._reader.passed(entry)

    def wait(self, after: int, timeout: float) -> bool:
        """Return True as soon as ``last() > after``, False after ``timeout`` seconds. It polls."""
        deadline = time.monotonic() + timeout
        while self.last() <= after:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self._market.closing.wait(min(left, self._poll_s))
        return True

    def last(self) -> int:
        """Return the last sequence, as most members know it."""
        request = MESSAGES["RangeRequest"](key=self._market.keys.count, keys_only=True)
        return self._market.counted(self._market.asked(self._market.client.range, request))

    def first(self) -> int:
        """Return the oldest sequence still here, 1 for an empty log."""
        begin = self._market.begin(self._market.first_of(self._market.keys.begin))
        return begin.first if begin is not None else 1

    def trim(self, before: int) -> None:
        """Delete entries below ``before``, but never the last, and let etcd forget them (compaction).

        Raises Unavailable, Corrupt, Broken.
        """
        trim(self._market, self._reader, min(before, self.last()))

    def install(self, entries: Iterable[Entry]) -> None:
        """Write entries as they are into this log, which must be empty, see ``entry.Log``."""
        if self.last() or self.first() > 1:
            raise self._market.not_empty()
        install(self._market, entries)

    def close(self) -> None:
        """Break off what is being asked, and close the connections."""
        self._market.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
