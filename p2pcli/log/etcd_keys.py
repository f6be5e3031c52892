"""How the log of one market lies in etcd: its keys, and what their values say. Pure.

```text
/p2px/default/owner                     which cluster "default" this is
/p2px/default/BTC-USD/meta              format, and how many entries were installed rather than appended
                     /count             put by every append: its version counts them
                     /begin             after trimming: the oldest entry and how far each lane was trimmed
                     /lane/P/E          producer P has used epoch E
                     /batch/P/E/N       batch N of that lane: one key per batch, written once
```

P is the producer, percent-encoded; E and N have 20 digits, so that keys sort as numbers do. A value of
``batch`` is a version byte and MessagePack (``Stored``), with a digest: etcd does not check what it keeps.
"""

from hashlib import blake2b
from typing import Final
from urllib.parse import quote, unquote

import msgspec

from p2pcli.log.chain import GENESIS, link
from p2pcli.log.entry import Batch

FORMAT_VERSION: Final = 1
DIGEST_BYTES: Final = 8

Lane = tuple[str, int]  # producer and epoch


class Meta(msgspec.Struct, frozen=True, array_like=True):
    """What a market's log is."""

    version: int
    installed: int = 0  # the last sequence that ``install`` wrote; appends count on from it
    whole: bool = True  # False while ``install`` is at work, and for ever when it was interrupted


class Begin(msgspec.Struct, frozen=True, array_like=True):
    """Where a log begins that was trimmed or installed."""

    first: int  # the oldest entry
    chain: bytes  # its hash
    lanes: list[tuple[str, int, int]]  # producer, epoch, the last number before ``first``


class Stored(msgspec.Struct, frozen=True, array_like=True):
    """One batch as it is kept."""

    before: int  # number of the lane's batch before this one; 0: the appender did not know
    place: int  # its sequence when it was installed, else 0: etcd's revision says
    digest: bytes
    body: bytes


class Damaged(ValueError):
    """A value that p2px did not write so. The text is a part of a sentence."""


class Keys:
    """The keys of one market's log."""

    def __init__(self, folder: str, market: str) -> None:
        self.owner = f"{folder}/owner".encode()
        base = f"{folder}/{market}"
        self.all = f"{base}/".encode()
        self.meta = f"{base}/meta".encode()
        self.count = f"{base}/count".encode()
        self.begin = f"{base}/begin".encode()
        self.lanes = f"{base}/lane/".encode()
        self.batches = f"{base}/batch/".encode()

    def lane(self, lane: Lane) -> bytes:
        return self.lanes + _named(lane)

    def batch(self, lane: Lane, number: int) -> bytes:
        return b"%s%s/%020d" % (self.batches, _named(lane), number)

    def lane_of(self, key: bytes) -> Lane:
        """Return the lane whose key that is. Raises ``Damaged``."""
        producer, slash, epoch = key.removeprefix(self.lanes).decode(errors="replace").partition("/")
        if not slash or not epoch.isdecimal():
            raise Damaged(f"key {key.decode(errors='replace')!r} is none of ours")
        return unquote(producer), int(epoch)

    def number_of(self, key: bytes) -> int:
        """Return the number in a batch's key. Raises ``Damaged``."""
        digits = key[-20:]
        if not digits.isdigit():
            raise Damaged(f"key {key.decode(errors='replace')!r} is none of ours")
        return int(digits)


def after_all(prefix: bytes) -> bytes:
    """Return the first key behind all that begin with ``prefix``, whose last character is no 0xff."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


def encode_stored(batch: Batch, before: int, place: int = 0) -> bytes:
    """Return the value of a batch's key."""
    return bytes([FORMAT_VERSION]) + msgspec.msgpack.encode(Stored(before, place, _digest(batch), batch.body))


def decode_stored(lane: Lane, number: int, value: bytes) -> tuple[Batch, int, int]:
    """Return batch, ``before`` and ``place``. Raises ``Damaged``."""
    if not value or value[0] != FORMAT_VERSION:
        raise Damaged(f"is of format {value[0] if value else 'none'}, this p2px reads {FORMAT_VERSION}")
    try:
        stored = msgspec.msgpack.decode(memoryview(value)[1:], type=Stored)
    except msgspec.MsgspecError as error:
        raise Damaged(f"cannot be decoded: {error}") from error
    batch = Batch(*lane, number, stored.body)
    if stored.digest != _digest(batch):
        raise Damaged("has changed since it was written")
    return batch, stored.before, stored.place


def _digest(batch: Batch) -> bytes:
    return blake2b(link(GENESIS, batch), digest_size=DIGEST_BYTES).digest()


def _named(lane: Lane) -> bytes:
    return f"{quote(lane[0], safe='')}/{lane[1]:020d}".encode()
