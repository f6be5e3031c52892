"""A backup of the log in one stream: of each market a snapshot, and the entries from there on. Pure.

    "p2px backup 1\\n"
    length (4 bytes, big endian) | MessagePack of one ``Part``      ... again and again
        Head                          whose it is, and its markets
        Market, Piece ..., Run ...    one market: its snapshot in pieces, its entries in runs; and the next
        End                           BLAKE2b-256 of every byte before this part

The entry that the snapshot was taken after is the first of the entries, so that the numbering of a restored
log goes on even if nothing came after it. Everything is checked before anything is used: the digest at the
end, each snapshot's own, the chain from entry to entry, and that a machine carries all of it out.
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b

import msgspec

from p2pcli.errors import BadInput
from p2pcli.log.check import first_problem
from p2pcli.log.entry import MAX_READ, Entry
from p2pcli.market.instrument import Instrument
from p2pcli.node.body import BadBody
from p2pcli.node.machine import Machine
from p2pcli.node.snapshots import MAX_SNAPSHOT
from p2pcli.node.state import DIGEST_BYTES, BadSnapshot

VERSION = 1
PIECE = 1 << 20  # bytes of a snapshot in one part
MAX_PART = 4 * MAX_READ  # bytes; a run of entries has MAX_READ of bodies, and as much again around them
MAX_MARKETS = 10_000

_NAME = b"p2px backup "
_FIRST_LINE = b"%s%d\n" % (_NAME, VERSION)
_LENGTH = struct.Struct(">I")


class BadBackup(BadInput):
    """The bytes are no backup, or a damaged one, or cut short, or of another version."""

    code = "bad_backup"


class Head(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Whose log it is."""

    cluster: str
    program: str  # version of p2px that wrote it
    time_ns: int
    markets: list[Instrument]


class Market(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """What follows is this market's."""

    symbol: str
    snapshot: int  # the sequence it was taken after; 0: there is none, and the entries begin at 1
    snapshot_bytes: int
    first: int  # of the entries
    last: int  # 0: the market has no entries yet


class Piece(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """The next bytes of the market's snapshot."""

    data: bytes


class Run(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """The market's next entries."""

    entries: list[Entry]


class End(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """Nothing follows."""

    digest: bytes


Part = Head | Market | Piece | Run | End

_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Part)


class Writer:
    """Writes the parts of one backup in turn. ``finish`` makes it whole."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._hashed = blake2b(digest_size=DIGEST_BYTES)
        self._put(_FIRST_LINE)

    def add(self, part: Part) -> None:
        """Write one part."""
        data = _encode(part)
        assert len(data) <= MAX_PART, type(part)
        self._put(_LENGTH.pack(len(data)) + data)

    def finish(self) -> None:
        """Write the end."""
        self.add(End(self._hashed.digest()))

    def _put(self, data: bytes) -> None:
        self._write(data)
        self._hashed.update(data)


def parts(read: Callable[[int], bytes]) -> Iterator[Part]:
    """Yield the parts of a backup but the end, which is checked. Raises ``BadBackup``.

    ``read(n)`` returns n bytes, or fewer at the end of the file. What was yielded is to be trusted only
    once the iterator has ended.
    """
    hashed = blake2b(digest_size=DIGEST_BYTES)
    hashed.update(_first_line(read))
    while True:
        digest = hashed.digest()
        length = read(_LENGTH.size)
        if len(length) < _LENGTH.size:
            raise _cut_short()
        (size,) = _LENGTH.unpack(length)
        if size > MAX_PART:
            raise BadBackup(f"the backup is damaged: a part of {size} bytes, at most {MAX_PART} are written")
        data = read(size)
        if len(data) < size:
            raise _cut_short()
        try:
            part = _decoder.decode(data)
        except (msgspec.MsgspecError, RecursionError, ValueError) as error:
            raise BadBackup(f"the backup is damaged: a part does not decode: {error}") from None
        if isinstance(part, End):
            if part.digest != digest:
                raise BadBackup("the backup is damaged: its bytes do not match the digest at its end")
            if read(1):
                raise BadBackup("the backup is damaged: something follows its end")
            return
        hashed.update(length)
        hashed.update(data)
        yield part


class Restored(msgspec.Struct, frozen=True):
    """One market of a backup that was carried out to its end."""

    market: Market
    machine: Machine


def check(
    found: Iterable[Part], seen: Callable[[Part], object] = lambda part: None
) -> Iterator[Head | Restored]:
    """Yield the head, then each market with the state that its nodes will have. Raises ``BadBackup``.

    ``seen`` is called after each part. Memory for one market's snapshot and state. Use nothing of it
    before the iterator has ended: the digest comes last.
    """
    head: Head | None = None
    trial: _Trial | None = None
    symbols: set[str] = set()
    for part in found:
        match part:
            case Head() if head is None:
                head = part
                yield part
            case Market() if head is not None and part.symbol not in symbols:
                if trial is not None:
                    yield trial.end()
                symbols.add(part.symbol)
                instrument = next((one for one in head.markets if one.symbol == part.symbol), None)
                if instrument is None:
                    raise BadBackup(f"the backup is damaged: market {part.symbol[:40]!a} is not in its head")
                trial = _Trial(part)
            case Piece() if trial is not None:
                trial.piece(part.data)
            case Run() if trial is not None:
                trial.run(part.entries)
            case _:
                raise BadBackup(f"the backup is damaged: found {type(part).__name__} out of place")
        seen(part)
    if trial is not None:
        yield trial.end()
    if head is None or {one.symbol for one in head.markets} != symbols:
        raise BadBackup("the backup is damaged: not every market of its head is in it")


def contents(found: Iterable[Part]) -> Iterator[tuple[Market, bytes, Iterator[Entry]]]:
    """Yield each market of a backup that was checked, its snapshot, and its entries.

    The entries are to be taken before the next market is.
    """
    rest = iter(found)
    part = next(rest, None)
    while part is not None:
        if not isinstance(part, Market):
            part = next(rest, None)
            continue
        market, snapshot = part, bytearray()
        while isinstance(part := next(rest, None), Piece):
            snapshot += part.data
        after: list[Part | None] = []
        entries = _entries(part, rest, after)
        yield market, bytes(snapshot), entries
        for _ in entries:  # what was not taken
            pass
        (part,) = after


def _entries(part: Part | None, rest: Iterator[Part], after: list[Part | None]) -> Iterator[Entry]:
    """Yield the entries of the runs from ``part`` on, and put the part behind them into ``after``."""
    while isinstance(part, Run):
        yield from part.entries
        part = next(rest, None)
    after.append(part)


class _Trial:
    """Carries one market out as its nodes will."""

    def __init__(self, market: Market) -> None:
        sound = 0 <= market.snapshot <= market.last and 0 <= market.snapshot_bytes <= MAX_SNAPSHOT
        begins = market.first == 1 or 1 < market.first <= market.snapshot
        if not sound or not begins or (market.snapshot > 0) != (market.snapshot_bytes > 0):
            raise self._bad(market, "its numbers contradict each other")
        self._market = market
        self._snapshot = bytearray()
        self._machine: Machine | None = None if market.snapshot else Machine()
        self._last = market.first - 1
        self._chain = self._machine.chain if self._machine is not None and market.first == 1 else None

    def piece(self, data: bytes) -> None:
        self._snapshot += data
        missing = self._market.snapshot_bytes - len(self._snapshot)
        if missing > 0:
            return
        if missing < 0 or self._machine is not None:
            raise self._bad(self._market, "its snapshot is longer than announced")
        try:
            self._machine = Machine.restore(bytes(self._snapshot))
        except BadSnapshot as error:
            raise self._bad(self._market, error.message) from error
        self._snapshot.clear()
        if self._machine.sequence != self._market.snapshot:
            raise self._bad(self._market, f"its snapshot is of sequence {self._machine.sequence}")

    def run(self, entries: list[Entry]) -> None:
        machine = self._machine
        if machine is None:
            raise self._bad(self._market, "entries before the end of its snapshot")
        problem = first_problem(entries, self._last, self._chain)
        if problem is not None:
            raise self._bad(self._market, f"entry {problem.sequence} {problem.what}")
        for entry in entries:
            if entry.sequence == self._market.snapshot and entry.chain != machine.chain:
                raise self._bad(self._market, f"entry {entry.sequence} is not the one of its snapshot")
            if entry.sequence > self._market.snapshot:
                try:
                    machine.apply(entry)
                except BadBody as error:
                    raise self._bad(self._market, f"entry {entry.sequence}: {error.message}") from error
            self._last, self._chain = entry.sequence, entry.chain

    def end(self) -> Restored:
        machine = self._machine
        if machine is None:
            raise self._bad(self._market, "its snapshot is not whole")
        if self._last != self._market.last:
            raise self._bad(self._market, f"entries end at {self._last}, not at {self._market.last}")
        return Restored(self._market, machine)

    @staticmethod
    def _bad(market: Market, what: str) -> BadBackup:
        return BadBackup(
            f"the backup cannot be used: {market.symbol[:40]!a}: {what}", hint="take another one"
        )


def _first_line(read: Callable[[int], bytes]) -> bytes:
    line = read(len(_FIRST_LINE))
    if line == _FIRST_LINE:
        return line
    if not line.startswith(_NAME):
        raise BadBackup(
            f"this is no backup: expected {_FIRST_LINE.decode().strip()!r} first,"
            f" found {line.decode('latin-1')!a}",
            hint="p2px log export FILE writes one",
        )
    version = line.removeprefix(_NAME).strip().decode("ascii", "replace")
    raise BadBackup(
        f"the backup is of version {version!a}, this p2px reads version {VERSION}",
        hint="import it with the p2px that wrote it",
    )


def _cut_short() -> BadBackup:
    return BadBackup("the backup is cut short: its end is missing", hint="copy it again, or take another one")
