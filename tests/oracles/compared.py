"""A machine, its naive twin and an accountant: every command is put to all three. Any difference is an error.

Run as a program it says "comparing" and ends well with a right machine, with an error with a wrong one.
"""

import random
from collections.abc import Iterable

from checks import check_book, check_ladder
from driven import DEFINE, Driven, Groups, random_batches, random_commands
from ledger import Ledger
from msgspec.structs import replace
from naive import NaiveMarket

from p2pcli.book import book, ladder, level
from p2pcli.market.commands import Command, Define, Place, SelfTrade, Side
from p2pcli.node.machine import Machine

MARKETS = {
    "plain": DEFINE,
    "oldest goes": Define("A/B", 1, 1, 1, 1_000, 1_000, self_trade=SelfTrade.CANCEL_OLDEST),
    "newest goes, banded": Define("A/B", 1, 1, 1, 1_000, 1_000, SelfTrade.CANCEL_NEWEST, price_band=150),
    "both go, capped": Define("A/B", 1, 1, 1, 1_000, 1_000, SelfTrade.CANCEL_BOTH, max_open_orders=4),
}


class Compared:
    """One market three times over."""

    def __init__(self, define: Define) -> None:
        self.driven = Driven(define)
        self.twin = NaiveMarket(define)
        self.ledger = Ledger()

    def do(self, owner: str, command: Command) -> None:
        """Put a command to all three and compare what they say and have (S4 to S8)."""
        self.enter([(owner, [command])])

    def enter(self, groups: Groups) -> None:
        """Put the commands of one entry to all three."""
        applied = self.driven.apply(*groups)
        machine = self.driven.machine
        for (owner, commands), outcomes in zip(groups, applied.outcomes, strict=True):
            for command, outcome in zip(commands, outcomes, strict=True):
                expected = self.twin.do(owner, command, machine.sequence, outcome)
                assert outcome == expected, (
                    f"to {owner}'s {command} the machine says {outcome}, the twin {expected}"
                )
                self.ledger.enter(command, outcome)
        assert [
            (view.order, view.owner, view.price, view.quantity, view.filled) for view in machine.full_book()
        ] == self.twin.in_priority()
        bid, ask = machine.best_bid(), machine.best_ask()
        assert bid is None or ask is None or bid < ask, "a resting book is never crossed (S8)"
        assert (machine.last_price, machine.last_trade) == (self.twin.last_price, self.twin.trades)
        check(machine)

    def restart(self) -> None:
        """Go on with a machine restored from a snapshot."""
        self.driven.machine = Machine.restore(self.driven.machine.snapshot())


def check(machine: Machine) -> None:
    """Assert that the inside of the machine's book is in order."""
    check_book(machine._desk.book, machine._desk.accounts.values())


def run(define: Define, seed: int, count: int) -> Compared:
    """Put a random stream to a market, with a restart now and then. Raises with the seed in a note."""
    stream = random_commands(seed, count)
    return _run(Compared(define), seed, ([(owner, [command])] for owner, command in stream))


def run_batches(define: Define, seed: int, count: int) -> Compared:
    """Put random batches to a market that remembers few ids, with a restart now and then."""
    remembered = 3 + seed % 8
    compared = Compared(replace(define, remembered_ids=remembered))
    return _run(compared, seed, random_batches(compared.driven, seed, count, remembered))


def _run(compared: Compared, seed: int, entries: Iterable[Groups]) -> Compared:
    chance = random.Random(seed)
    for at, groups in enumerate(entries):
        try:
            compared.enter(groups)
            if chance.random() < 0.05:
                compared.restart()
        except Exception as error:
            error.add_note(f"seed {seed}, entry {at}: {groups}")
            raise
    return compared


def run_ladder(sign: int, seed: int, count: int) -> None:
    """Open and close random prices of one side, and now and then look at all of them."""
    chance = random.Random(seed)
    side = ladder.Ladder(sign)
    order = level.Order(1, level.Owner("ann"), Place(Side.BUY, 1, 1), 1, level.Moment(1, 1))
    for _ in range(count):
        price = chance.randint(1, 60)
        if price not in side.levels:
            side.open(price, order)
        elif chance.random() < 0.6:
            side.close(price)
        else:
            side.close_best()
        assert side.best == max(side.levels, key=lambda each: each * sign, default=side.best), f"seed {seed}"
        if chance.random() < 0.1:
            check_ladder(side)


if __name__ == "__main__":
    print("comparing")
    book.SPARSE = level.SPARSE = 1  # so that short queues are swept as well
    ladder.NEAR, ladder.PILE, ladder.MOST = 4, 6, 16  # and few prices lie in piles
    for stream in (1, 2, 3):
        run_ladder(1, stream, 2_000)
        run_ladder(-1, stream, 2_000)
    for market in MARKETS.values():
        for stream in (1, 2, 3):
            run(market, stream, 800)
            run_batches(market, stream, 80)
