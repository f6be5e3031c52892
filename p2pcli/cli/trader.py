"""Commands of one owner, through one node as long as it answers and through any other after that.

Every command that leaves here carries an id, so it may be sent again: a node that carried it out
already gives the first answer (rule M7), and a node that never saw it carries it out now.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from p2pcli.cli.reach import addresses, reach
from p2pcli.clock import monotonic
from p2pcli.errors import P2pxError, TimedOut
from p2pcli.market.commands import Command
from p2pcli.market.events import Amended, Cancelled, CancelledAll, Done, Placed, Refused, Repeated
from p2pcli.market.instrument import Instrument
from p2pcli.market.refusals import refusal
from p2pcli.market.views import BookView, OrderView, TradeView
from p2pcli.node.answers import Answer
from p2pcli.node.client import ExchangeClient
from p2pcli.node.requests import ELSEWHERE

if TYPE_CHECKING:
    from p2pcli.cli.invocation import Invocation
    from p2pcli.node.roaming import RoamingClient

ATTEMPT_S = 2.0  # for the first node, of the whole client.timeout
SHORTEST_S = 0.5  # for the others
MAX_TRADES = 1000  # told of at once


class Carried(msgspec.Struct, frozen=True):
    """What a command did, now or when its id was first used."""

    outcome: Placed | Amended | Cancelled | CancelledAll | Done
    sequence: int
    is_repeated: bool


class Standing(msgspec.Struct, frozen=True):
    """A market as one owner sees it."""

    book: BookView  # its best level of both sides
    open_orders: int  # the owner's
    trades: list[TradeView]  # anybody's


class Trader:
    """One owner's way to the market. A context manager; ``client`` is where it begins, and reads."""

    def __init__(self, invocation: "Invocation", node: str | None = None, owner: str = "") -> None:
        self._invocation = invocation
        self.client: ExchangeClient = reach(invocation, node, owner)
        self.owner = self.client.owner
        self._roaming: RoamingClient | None = None

    def __enter__(self) -> "Trader":
        return self

    def __exit__(self, *exc: object) -> None:
        self.client.close()
        if self._roaming is not None:
            self._roaming.close()

    @property
    def node(self) -> str:
        """The node whose name the orders bear, unless their owner is another."""
        return self.client.node

    def submit(self, market: str, commands: Sequence[Command]) -> Answer:
        """Carry out commands that all have ids, and return their outcomes.

        Raises what certainly changed nothing (``Busy``, ``LogFull`` and other refusals to take a request), or
        ``Unknown`` when no node answered within the client timeout.
        """
        left, is_unknown = None, False
        if self._roaming is None:
            began, whole = monotonic(), self.client.timeout
            try:
                self.client.timeout = min(ATTEMPT_S, whole)  # a node that hangs must leave the others time
                return self.client.submit(market, commands)
            except P2pxError as error:
                self._tell_request(error.request_name)
                if not isinstance(error, ELSEWHERE):
                    raise
                is_unknown = isinstance(error, TimedOut)
                self._invocation.tell(f"{self.node}: {error.message}; asking every node")
                self._roaming = self._roam()
                left = max(whole - (monotonic() - began), SHORTEST_S)
            finally:
                self.client.timeout = whole
        try:
            return self._roaming.submit(market, commands, left, is_unknown=is_unknown)
        except P2pxError as error:
            self._tell_request(error.request_name)
            raise

    def carry_out(self, instrument: Instrument, command: Command) -> Carried:
        """Carry out one command that has an id. Raises ``CommandRefused`` when the market says no."""
        answer = self.submit(instrument.symbol, [command])
        self._tell_request(answer.request)
        outcome, sequence = answer.outcomes[0], answer.sequence
        is_repeated = isinstance(outcome, Repeated)
        if isinstance(outcome, Repeated):
            sequence, outcome = outcome.sequence, outcome.outcome
        if isinstance(outcome, Refused):
            refused = refusal(instrument, command, outcome, self.owner)
            if is_repeated:  # what it says may be over by now: a market that was halted, a book that was full
                refused.hint = f"so this id was answered before, at sequence {sequence}; another id asks anew"
            raise refused
        return Carried(outcome, sequence, is_repeated)

    def book(self, instrument: Instrument) -> BookView:
        """Return the best level of both sides, at the node that answers."""
        if self._roaming is None:
            return self.client.book(instrument.symbol, levels=1)
        with reach(self._invocation) as client:
            return client.book(instrument.symbol, levels=1)

    def standing(self, instrument: Instrument, after: int | None) -> "Standing":
        """Return how the owner stands: trades numbered above ``after``, the last one only when it is None."""
        if self._roaming is None:
            return _standing(self.client, instrument, self.owner, after)
        with reach(self._invocation) as client:
            return _standing(client, instrument, self.owner, after)

    def order(self, instrument: Instrument, order: int) -> OrderView:
        """Return an order as it is after what was carried out here."""
        if self._roaming is None:
            return self.client.order(instrument.symbol, order)
        with reach(self._invocation) as client:  # the first node was lost meanwhile
            return client.order(instrument.symbol, order)

    def _tell_request(self, request: str) -> None:
        if request:
            self._invocation.tell(f"request {request}: to follow it, p2px cluster logs --request {request}")

    def _roam(self) -> "RoamingClient":
        from p2pcli.node.roaming import RoamingClient  # only trouble pays for it

        invocation = self._invocation
        return RoamingClient(
            lambda: addresses(invocation),
            invocation.credentials,
            self.owner,
            deadline_s=invocation.config.client.timeout,
        )


def _standing(client: ExchangeClient, instrument: Instrument, owner: str, after: int | None) -> Standing:
    symbol = instrument.symbol
    trades = client.trades(symbol, 1 if after is None else MAX_TRADES, after)
    return Standing(client.book(symbol, levels=1), len(client.orders(symbol, owner)), trades)
