"""A backup as bytes: what was written is read back, and no damage to it goes unnoticed."""

import io
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pcli.log.chain import GENESIS, link
from p2pcli.log.entry import Batch, Entry
from p2pcli.market.commands import Place, Side
from p2pcli.market.instrument import Instrument, as_define
from p2pcli.node.backup import (
    BadBackup,
    Head,
    Market,
    Piece,
    Restored,
    Run,
    Writer,
    check,
    contents,
    parts,
)
from p2pcli.node.body import encode_body
from p2pcli.node.machine import Machine

BTC = Instrument("BTC/USD", 1, tick=1_000_000, lot=1, max_price=10**11, max_quantity=10**14)
ETH = Instrument("ETH/USD", 2, tick=1_000_000, lot=1, max_price=10**11, max_quantity=10**14)


def entries_of(*commands):
    found, chain = [], GENESIS
    for number, command in enumerate(commands, start=1):
        raw = msgspec.Raw(msgspec.msgpack.encode([command]))
        batch = Batch("client1", 1, number, encode_body(number, [("client1", raw)]))
        chain = link(chain, batch)
        found.append(Entry(number, batch, chain))
    return found


ENTRIES = entries_of(
    as_define(BTC), *(Place(Side.SELL, 5, 100 + n, client_order_id=f"a-{n}") for n in range(4))
)


def machine_after(entries):
    machine = Machine()
    for entry in entries:
        machine.apply(entry)
    return machine


def backup_of(*market_parts, markets=(BTC,)):
    file = io.BytesIO()
    writer = Writer(file.write)
    writer.add(Head("default", "0.1.0", 7, list(markets)))
    for part in market_parts:
        writer.add(part)
    writer.finish()
    return file.getvalue()


def with_snapshot(at=3, first=None, piece=50):
    data = machine_after(ENTRIES[:at]).snapshot()
    first = at if first is None else first
    return backup_of(
        Market("BTC/USD", at, len(data), first, 5),
        *(Piece(data[start : start + piece]) for start in range(0, len(data), piece)),
        Run(ENTRIES[first - 1 : 4]),
        Run(ENTRIES[4:]),
    )


def read(data):
    """Return what a check of these bytes yields: head first, then the markets."""
    return list(check(parts(io.BytesIO(data).read)))


@pytest.mark.parametrize("first", [1, 2, 3])
def test_a_snapshot_and_its_tail_give_the_state_of_the_whole_log(first):
    _, restored = read(with_snapshot(first=first))
    assert isinstance(restored, Restored)
    assert restored.machine.snapshot() == machine_after(ENTRIES).snapshot()


def test_a_market_without_snapshot_begins_with_its_first_entry():
    data = backup_of(Market("BTC/USD", 0, 0, 1, 5), Run(ENTRIES))
    _, restored = read(data)
    assert restored.machine.snapshot() == machine_after(ENTRIES).snapshot()


def test_markets_come_one_after_the_other_with_snapshot_and_entries():
    snapshot = machine_after(ENTRIES).snapshot()
    data = backup_of(
        Market("ETH/USD", 0, 0, 1, 0),
        Market("BTC/USD", 5, len(snapshot), 5, 5),
        Piece(snapshot),
        Run(ENTRIES[4:]),
        markets=(BTC, ETH),
    )
    assert [one.market.symbol for one in read(data)[1:]] == ["ETH/USD", "BTC/USD"]
    found = [
        (market.symbol, kept, list(entries))
        for market, kept, entries in contents(parts(io.BytesIO(data).read))
    ]
    assert found == [("ETH/USD", b"", []), ("BTC/USD", snapshot, ENTRIES[4:])]


def test_entries_that_nobody_takes_do_not_hide_the_next_market():
    data = backup_of(
        Market("BTC/USD", 0, 0, 1, 5), Run(ENTRIES), Market("ETH/USD", 0, 0, 1, 0), markets=(BTC, ETH)
    )
    symbols = [market.symbol for market, _, _ in contents(parts(io.BytesIO(data).read))]
    assert symbols == ["BTC/USD", "ETH/USD"]


def test_every_shorter_backup_is_refused():
    data = with_snapshot()
    for length in range(len(data)):
        with pytest.raises(BadBackup):
            read(data[:length])


@given(st.data())
def test_a_flipped_bit_anywhere_is_refused(choice):
    data = bytearray(with_snapshot())
    place = choice.draw(st.integers(0, len(data) - 1))
    data[place] ^= 1 << choice.draw(st.integers(0, 7))
    with pytest.raises(BadBackup):
        read(bytes(data))


def test_something_behind_the_end_is_refused():
    with pytest.raises(BadBackup, match="follows its end"):
        read(with_snapshot() + b"\0")


def test_another_version_and_another_file_are_named():
    data = with_snapshot()
    with pytest.raises(BadBackup, match="of version '2', this p2px reads version 1"):
        read(data.replace(b"p2px backup 1", b"p2px backup 2", 1))
    with pytest.raises(BadBackup, match="this is no backup"):
        read(b"PK\x03\x04 something else entirely")


def test_a_body_of_another_version_is_named_with_its_entry():
    batch = Batch("client1", 1, 6, msgspec.msgpack.encode((99, 1, [])))
    future = Entry(6, batch, link(ENTRIES[-1].chain, batch))
    with pytest.raises(BadBackup, match="'BTC/USD': entry 6: body of version 99"):
        read(backup_of(Market("BTC/USD", 0, 0, 1, 6), Run([*ENTRIES, future])))


SNAPSHOT = machine_after(ENTRIES[:3]).snapshot()


@pytest.mark.parametrize(
    ("what", "found"),
    [
        ("entry 3 is missing", [Market("BTC/USD", 0, 0, 1, 5), Run(ENTRIES[:2] + ENTRIES[3:])]),
        ("entries end at 4, not at 5", [Market("BTC/USD", 0, 0, 1, 5), Run(ENTRIES[:4])]),
        ("its snapshot is not whole", [Market("BTC/USD", 3, 99, 3, 5)]),
        ("before the end of its snapshot", [Market("BTC/USD", 3, 99, 3, 5), Run(ENTRIES[2:])]),
        ("its snapshot is of sequence 3", [Market("BTC/USD", 4, len(SNAPSHOT), 4, 5), Piece(SNAPSHOT)]),
        ("contradict", [Market("BTC/USD", 0, 0, 2, 5), Run(ENTRIES[1:])]),
        ("contradict", [Market("BTC/USD", 3, len(SNAPSHOT), 5, 5), Piece(SNAPSHOT), Run(ENTRIES[4:])]),
        ("not every market", []),
        ("out of place", [Market("BTC/USD", 0, 0, 1, 0), Head("other", "", 0, [])]),
        ("out of place", [Market("BTC/USD", 0, 0, 1, 0), Market("BTC/USD", 0, 0, 1, 0)]),
        ("not in its head", [Market("XYZ/USD", 0, 0, 1, 0)]),
    ],
)
def test_what_contradicts_itself_is_refused_though_its_digest_is_right(what, found):
    with pytest.raises(BadBackup, match=what):
        read(backup_of(*found))


def test_a_snapshot_of_another_log_is_refused():
    others = entries_of(as_define(BTC), Place(Side.BUY, 1, 1), Place(Side.BUY, 1, 2))
    data = machine_after(others).snapshot()
    with pytest.raises(BadBackup, match="entry 3 is not the one of its snapshot"):
        read(backup_of(Market("BTC/USD", 3, len(data), 3, 5), Piece(data), Run(ENTRIES[2:])))


def test_a_part_of_absurd_length_is_refused_before_it_is_read():
    data = with_snapshot()
    line = data[: data.index(b"\n") + 1]
    with pytest.raises(BadBackup, match="a part of 4294967295 bytes"):
        read(line + struct.pack(">I", 2**32 - 1))
