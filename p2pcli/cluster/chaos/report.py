"""What a run came to: counts of answers, recovery times of each kind of fault, what was violated. Pure."""

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from p2pcli.cluster.chaos.ledger import Telling, Told
from p2pcli.cluster.chaos.plan import Fault, Kind
from p2pcli.cluster.chaos.verdict import Violation

BEFORE_S, AFTER_S = 15.0, 60.0  # around a strike, in which requests were sent that may have felt it


class Strike(msgspec.Struct):
    """One fault as it was carried out. Moments are on the monotonic clock, 0.0: it did not come to that."""

    number: int
    kind: Kind
    process: str  # client1, registry2, supervisor, everything
    at: float = 0.0
    pause: float = 0.0  # seconds, of a pause
    was_killed: bool = False  # the watchdog ended the pause
    orphans_gone: float = 0.0  # of a killed supervisor: its last child has ended
    back: float = 0.0  # it answers again
    caught_up: float = 0.0  # ... and has everything that was acknowledged before it was back
    trouble: str = ""  # why it could not be carried out


class Spread(msgspec.Struct, frozen=True):
    """Seconds: the median, the 99th percentile and the longest of some times."""

    p50: float
    p99: float
    max: float


class FaultFigures(msgspec.Struct, frozen=True):
    """One kind of fault."""

    kind: str
    struck: int
    bit: int  # of those, how many met requests in flight
    orders_ok: Spread | None  # until every client had an ok again
    back: Spread | None
    caught_up: Spread | None
    orphans_gone: Spread | None


class Counts(msgspec.Struct, frozen=True):
    """Tellings: each sending of a request is told one thing."""

    sent: int
    ok: int
    refused: int
    unknown: int  # at the time; they were resolved afterwards
    repeats: int  # of those sent, how many were repeats on purpose
    refusals: dict[str, int]  # by code
    ok_per_s: float
    latency: Spread | None  # of ok


class Report(msgspec.Struct, frozen=True):
    """A whole run."""

    seed: int
    cluster: str
    market: str
    nodes: int
    clients: int
    load_s: float  # how long clients were sending
    healed_s: float  # from the end of the load until every process served again
    orders: Counts
    faults: list[FaultFigures]
    strikes: list[Strike]
    entries: int  # of the log, all of them judged
    trades: int
    violations: list[Violation]
    interrupted: bool = False

    @property
    def ok(self) -> bool:
        return not self.violations


def spread(times: Iterable[float]) -> Spread | None:
    """Return the spread of some times, None of none. A percentile is the smallest time that covers it."""
    ordered = sorted(times)
    if not ordered:
        return None
    rank = {share: ordered[max(0, math.ceil(share * len(ordered)) - 1)] for share in (0.5, 0.99)}
    return Spread(rank[0.5], rank[0.99], ordered[-1])


def counts(tellings: Sequence[Telling], load_s: float) -> Counts:
    """Count what was told."""
    told = {kind: [each for each in tellings if each.told is kind] for kind in Told}
    refusals: dict[str, int] = defaultdict(int)
    for telling in told[Told.REFUSED]:
        refusals[telling.reason] += 1
    return Counts(
        len(tellings),
        len(told[Told.OK]),
        len(told[Told.REFUSED]),
        len(told[Told.UNKNOWN]),
        sum(each.is_repeat for each in tellings),
        dict(refusals),
        len(told[Told.OK]) / load_s if load_s else 0.0,
        spread(each.answered - each.sent for each in told[Told.OK]),
    )


def bites(strike: Strike, tellings: Iterable[Telling]) -> bool:
    """Return whether requests were in flight when it struck: of a node's, those through that node."""
    anywhere = not strike.process.startswith("client")
    return any(
        each.sent <= strike.at < each.answered and (anywhere or each.through == strike.process)
        for each in tellings
    )


def orders_ok_after(strike: Strike, tellings: Iterable[Telling]) -> float | None:
    """Return the seconds until every client had an ok after the strike; None when some never had one.

    Clients whose load ended at that time do not count.
    """
    first: dict[str, float] = {}
    last_sent: dict[str, float] = {}
    for each in tellings:
        if each.sent > strike.at:
            last_sent[each.owner] = max(each.sent, last_sent.get(each.owner, 0.0))
        if each.told is Told.OK and each.answered > strike.at:
            first[each.owner] = min(each.answered, first.get(each.owner, math.inf))
    if not last_sent or any(owner not in first for owner in last_sent):
        return None
    return max(first[owner] for owner in last_sent) - strike.at


def figures(strikes: Sequence[Strike], tellings: Sequence[Telling]) -> list[FaultFigures]:
    """Return one row for each kind that struck, in the order of ``Kind``."""
    rows = []
    by_time = sorted(tellings, key=lambda each: each.sent)
    sent = [each.sent for each in by_time]
    around = {
        strike.number: by_time[
            bisect_left(sent, strike.at - BEFORE_S) : bisect_left(sent, strike.at + AFTER_S)
        ]
        for strike in strikes
    }
    for kind in Kind:
        hit = [strike for strike in strikes if strike.kind is kind and strike.at]
        if not hit:
            continue
        again = [orders_ok_after(strike, around[strike.number]) for strike in hit]
        rows.append(
            FaultFigures(
                kind.value,
                len(hit),
                sum(bites(strike, around[strike.number]) for strike in hit),
                spread(each for each in again if each is not None),
                spread(strike.back - strike.at for strike in hit if strike.back),
                spread(strike.caught_up - strike.at for strike in hit if strike.caught_up),
                spread(strike.orphans_gone - strike.at for strike in hit if strike.orphans_gone),
            )
        )
    return rows


def unhealed(strikes: Sequence[Strike]) -> list[Violation]:
    """Return a violation for each strike after which the process never came back."""
    return [
        Violation("recovery", f"{strike.process} is not back after fault {strike.number}: {strike.trouble}")
        for strike in strikes
        if strike.at and not strike.back
    ]


def struck(fault: Fault, process: str) -> Strike:
    """Return the strike that a planned fault becomes when it is that process' turn."""
    return Strike(fault.number, fault.kind, process, pause=fault.pause)
