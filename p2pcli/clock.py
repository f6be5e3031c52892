"""The clocks, in one place, so that rules can be given a time instead of reading one.

Rooms that decide take ``now`` as a parameter; shells call these.
"""

import time

NANOSECONDS = 1_000_000_000


def now_ns() -> int:
    """Return wall-clock time in nanoseconds since 1970 (UTC). It can jump: never measure with it."""
    return time.time_ns()


def monotonic() -> float:
    """Return seconds on a clock that only goes forward; deadlines are moments on this clock."""
    return time.monotonic()
