"""What another p2px wrote in an unknown form stops a node, which names both versions; nothing is skipped."""

from pathlib import Path

import msgspec
import pytest

from p2pcli import __version__
from p2pcli.log.entry import Batch
from p2pcli.log.sqlite import SqliteLog
from p2pcli.market.commands import Place, Side
from p2pcli.node.body import VERSION, BadBody
from p2pcli.node.hosted import NoPeerHasIt
from p2pcli.node.state import VERSION as STATE_VERSION
from p2pcli.node.state import OtherStateVersion

MARKET = "BTC/USD"


def sell(price: int) -> Place:
    return Place(Side.SELL, 1, price)


def snapshot_of(folder: str) -> Path:
    (found,) = Path(folder).glob("*/*.snapshot")
    return found


def from_the_future(path: Path) -> None:
    written_here = b"p2px state %d by " % STATE_VERSION + __version__.encode() + b"\n"
    assert path.read_bytes().startswith(written_here)
    path.write_bytes(path.read_bytes().replace(written_here, b"p2px state 7 by 9.1.0\n", 1))


def test_an_entry_of_an_unknown_version_stops_every_node_that_meets_it(start_node, tmp_path):
    nodes = [start_node("client1"), start_node("client2")]
    with nodes[0].client() as client:
        last = client.submit(MARKET, [sell(100)]).sequence
    with SqliteLog(tmp_path / "log" / "BTC-USD", durable=False) as log:
        future = msgspec.msgpack.encode((VERSION + 5, {"another": "form"}, None))
        at = log.append(Batch("client9", 1, 1, future), 5)
    expected = (
        f"entry {at}, written by node client9: body of version {VERSION + 5}, "
        f"this is p2px {__version__}, which reads version {VERSION}"
    )
    for node in nodes:
        failure = node.wait()
        assert isinstance(failure, BadBody)
        assert failure.message == expected
    again = start_node("client1").wait()
    assert isinstance(again, BadBody), "a restart does not pass it over either"
    assert at > last


def test_a_snapshot_of_an_unknown_version_is_not_passed_over(start_node):
    node = start_node()
    with node.client() as client:
        client.submit(MARKET, [sell(100)])
    node.stop()
    path = snapshot_of(node.plan.folder)
    from_the_future(path)
    failure = start_node().wait()
    assert isinstance(failure, OtherStateVersion)
    assert failure.message.startswith(
        f"{path}: snapshot of state version 7, written by p2px 9.1.0; this is p2px"
    )
    path.rename(path.with_suffix(".aside"))
    with start_node().client() as client:
        assert len(client.orders(MARKET)) == 1, "the log has it all"


def test_a_peers_snapshot_of_an_unknown_version_is_not_taken_over(start_node, registry, tmp_path):
    one = start_node("client1", registry=[registry])
    with one.client() as client:
        client.submit(MARKET, [sell(100)])
    one.stop()
    with SqliteLog(tmp_path / "log" / "BTC-USD", durable=False) as log:
        log.trim(log.last())
    one = start_node("client1", registry=[registry])
    from_the_future(snapshot_of(one.plan.folder))
    failure = start_node("client2", registry=[registry]).wait()
    assert isinstance(failure, NoPeerHasIt)
    assert "state version 7, written by p2px 9.1.0" in failure.message


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_new_node_takes_a_peers_snapshot_of_a_long_log_unless_it_is_damaged(start_node, registry, is_whole):
    one = start_node("client1", registry=[registry])
    with one.client() as client:
        for price in range(100, 160):
            last = client.submit(MARKET, [sell(price)]).sequence
    one.stop()
    path = snapshot_of(one.plan.folder)
    if not is_whole:
        path.write_bytes(path.read_bytes()[:-1] + b"\x00")
        path.rename(path.with_name("60.snapshot"))  # so that its own node, too, goes on from the log
    one = start_node("client1", registry=[registry])
    two = start_node("client2", registry=[registry], long_log=50)
    with one.client() as first, two.client() as second:
        assert first.state_digest(MARKET, last) == second.state_digest(MARKET, last)
        history = second.orders(MARKET, closed=True)
    assert len(history) == (0 if is_whole else 60), "history begins with the snapshot"
