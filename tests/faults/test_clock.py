"""A wall clock that jumps an hour ahead and back: time in the market never goes back, and nodes agree.

The clock that counts is the proposer's, which is in the entry. So the jumps are put where they arrive: into
the shared log, by a producer whose clock is wrong, beside nodes whose clocks are right.
"""

import msgspec
import pytest
from herd import MARKET, violations

from p2pcli.clock import NANOSECONDS, now_ns
from p2pcli.log.entry import Batch
from p2pcli.log.sqlite import SqliteLog
from p2pcli.market.commands import Place, Side
from p2pcli.node.body import encode_body
from p2pcli.node.requests import encode

pytestmark = pytest.mark.slow

HOUR = 3600 * NANOSECONDS


def test_time_never_goes_back_when_clocks_jump_by_an_hour(herd):
    for name in ("client1", "client2"):
        assert not herd.start(name).failure
    with (
        herd.client("client1") as one,
        herd.client("client2") as two,
        SqliteLog(herd.folder.data / MARKET.replace("/", "-")) as log,
    ):
        last = 0
        for number, jump in enumerate((0, HOUR, -HOUR, HOUR, 0, -HOUR, 2 * HOUR, -2 * HOUR), start=1):
            commands = [Place(Side.SELL, 5, 10_000, client_order_id=f"w{number}")]
            body = encode_body(now_ns() + jump, [("wrong", msgspec.Raw(encode(commands)))])
            log.append(Batch("client3", 1, number, body), 5)
            name = f"b{number}"
            last = one.submit(MARKET, [Place(Side.BUY, 3, 10_000, client_order_id=name)]).sequence
        two.book(MARKET, at_least=last)
        trades = one.trades(MARKET, 1000)
        times = [trade.time_ns for trade in trades]
        assert len(times) >= 8
        assert times == sorted(times)
        assert times[-1] - times[0] > HOUR
        assert two.trades(MARKET, 1000) == trades
        assert one.state_digest(MARKET) == two.state_digest(MARKET)
        assert one.day(MARKET).trades == len(trades)
    assert violations(herd.arena(), []) == []
