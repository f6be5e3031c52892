"""A market on the disk, looked at without its node."""

from pathlib import Path

import msgspec
import pytest

from p2pcli.log.entry import Batch
from p2pcli.log.sqlite import SqliteLog
from p2pcli.market.commands import Place, Side
from p2pcli.market.instrument import Instrument, as_define
from p2pcli.node.body import encode_body
from p2pcli.node.files import MarketFiles, NothingLogged
from p2pcli.node.machine import Machine

BTC = Instrument("BTC/USD", 1, tick=1_000_000, lot=1, max_price=10**11, max_quantity=10**14)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The address of a log of three entries: a definition and two orders that trade."""
    with SqliteLog(tmp_path / "BTC-USD", durable=False) as log:
        for number, command in enumerate(
            (as_define(BTC), Place(Side.SELL, 5, 100), Place(Side.BUY, 3, 100)), start=1
        ):
            raw = msgspec.Raw(msgspec.msgpack.encode([command]))
            log.append(Batch("client1", 1, number, encode_body(number, [("client1", raw)])), 5.0)
    return f"sqlite://{tmp_path}"


def test_the_tail_shows_commands_with_owner_and_hash(url: str) -> None:
    with MarketFiles(url, "BTC/USD") as files:
        two = files.tail(2)
        everything = files.tail(100)
    assert [entry.sequence for entry in two] == [2, 3]
    assert [entry.sequence for entry in everything] == [1, 2, 3]
    assert two[1].groups[0].owner == "client1"
    assert two[1].groups[0].commands == [Place(Side.BUY, 3, 100)]
    assert len(two[1].chain) == 32


def test_a_body_that_nobody_understands_is_shown_as_such(url: str, tmp_path: Path) -> None:
    with SqliteLog(tmp_path / "BTC-USD", durable=False) as log:
        log.append(Batch("client1", 1, 4, b"nonsense"), 5.0)
    with MarketFiles(url, "BTC/USD") as files:
        (entry,) = files.tail(1)
        assert files.check().problem is None  # the log carries bytes and knows no commands
    assert (entry.groups, bool(entry.problem)) == ([], True)


def test_what_is_beyond_a_machine_is_applied_to_it(url: str) -> None:
    machine = Machine()
    with MarketFiles(url, "BTC/USD") as files:
        records = list(files.beyond(machine))
    assert [record.sequence for record in records] == [1, 2, 3]
    assert machine.sequence == 3
    assert [view.remaining for view in machine.full_book()] == [2]


def test_a_market_without_a_log_is_said_to_have_none(tmp_path: Path) -> None:
    with pytest.raises(NothingLogged, match="market ETH/USD has no log in"):
        MarketFiles(f"sqlite://{tmp_path}", "ETH/USD")
    assert list(tmp_path.iterdir()) == []
