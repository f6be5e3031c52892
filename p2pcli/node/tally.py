"""The last 24 hours of trading, minute by minute: open, high, low, volume. Part of the replicated state.

Time is the entries' (proposers' clocks, never going back), so every node keeps the same minutes. At most
1,440 of them, whatever is traded. A figure for "the last 24 hours" is exact to the minute.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from copy import copy

import msgspec

from p2pcli.market.commands import MAX_WHOLE
from p2pcli.market.views import DayView

MINUTE_NS = 60_000_000_000
MINUTES = 24 * 60


class Minute(msgspec.Struct, array_like=True, gc=False):
    """The trades of one minute; ``minute`` counts from 1970."""

    minute: int
    first: int  # ticks
    high: int
    low: int
    last: int
    volume: int  # lots; stays at MAX_WHOLE rather than outgrow 64 bits
    trades: int


class Tally:
    """The minutes of the last day in which something traded, oldest first."""

    __slots__ = ("_minutes",)

    def __init__(self, minutes: Iterable[Minute] = ()) -> None:
        self._minutes = deque(minutes)

    def add(self, time_ns: int, prices: Sequence[int], volume: int, trades: int) -> None:
        """Count what traded at one moment. ``time_ns`` never goes back.

        ``prices`` are those of the trades in turn, of each order at least the first and the last: an order
        takes prices from best to worst, so these are also its highest and lowest.
        """
        minute = time_ns // MINUTE_NS
        minutes = self._minutes
        if not minutes or minutes[-1].minute != minute:
            minutes.append(Minute(minute, prices[0], prices[0], prices[0], prices[0], 0, 0))
            while minutes[0].minute <= minute - MINUTES:
                minutes.popleft()
        now = minutes[-1]
        now.high = max(now.high, *prices)
        now.low = min(now.low, *prices)
        now.last = prices[-1]
        now.volume = min(now.volume + volume, MAX_WHOLE)
        now.trades += trades

    def day(self, time_ns: int) -> DayView:
        """Return the figures of the 1,440 minutes up to this moment's."""
        end = time_ns // MINUTE_NS
        minutes = [each for each in self._minutes if end - MINUTES < each.minute <= end]
        if not minutes:
            return DayView()
        return DayView(
            open=minutes[0].first,
            high=max(each.high for each in minutes),
            low=min(each.low for each in minutes),
            last=minutes[-1].last,
            volume=min(sum(each.volume for each in minutes), MAX_WHOLE),
            trades=sum(each.trades for each in minutes),
        )

    def minutes(self) -> list[Minute]:
        """Return what a snapshot keeps; later trades change nothing of it."""
        return [copy(minute) for minute in self._minutes]
