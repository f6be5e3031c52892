"""Answers one Grenache call after another through one connection to the node. One thread each."""

from collections.abc import Callable, Mapping
from typing import Any

from p2pcli.errors import P2pxError
from p2pcli.grenache.envelope import BadCall, parse_call, reply_bytes
from p2pcli.grenache.exchange import (
    Ask,
    BookAsk,
    MarketsAsk,
    OrderAsk,
    OrdersAsk,
    TradesAsk,
    command_of,
    instrument_of,
    order_of,
    parse_ask,
)
from p2pcli.market.commands import Amend, Cancel, Place
from p2pcli.market.documents import (
    book_document,
    cancelled_document,
    market_document,
    order_document,
    trade_document,
)
from p2pcli.market.events import Cancelled, Refused, Repeated
from p2pcli.market.instrument import Instrument
from p2pcli.market.refusals import refusal
from p2pcli.node.client import ExchangeClient
from p2pcli.node.roaming import with_id
from p2pcli.rpc.tcp import ConnectionLost, NoAnswer

OWNER = "grenache"  # Grenache calls carry no identity, so all of them trade as one owner
MAX_LEVELS = 1000
MAX_TRADES = 1000


class Clerk:
    """Turns calls into answers. ``connect`` opens a connection to the node for this owner."""

    def __init__(self, connect: Callable[[], ExchangeClient]) -> None:
        self._connect = connect
        self._client: ExchangeClient | None = None

    def answer(self, body: bytes, headers: Mapping[bytes, bytes]) -> bytes:
        """Return the reply to a request; a failure is a reply too, with Grenache's error or ours."""
        try:
            call = parse_call(body, headers)
        except BadCall as error:
            return reply_bytes(None, error.error, None, is_compressed=False)
        try:
            result, trouble = self._carry_out(parse_ask(call.payload)), None
        except P2pxError as error:
            result, trouble = None, error.message
            if isinstance(error, ConnectionLost | NoAnswer):
                self.close()
        return reply_bytes(call.rid, trouble, result, call.is_compressed)

    def close(self) -> None:
        """Hang up on the node."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _carry_out(self, ask: Ask) -> Any:
        if self._client is None:
            self._client = self._connect()
        client = self._client
        instrument = instrument_of(ask, client.instruments)
        market = instrument.symbol
        match ask:
            case BookAsk(depth=depth):
                levels = max(1, min(depth, MAX_LEVELS))
                return book_document(instrument, client.node, client.book(market, levels))
            case TradesAsk(last=last):
                trades = client.trades(market, max(1, min(last, MAX_TRADES)))
                return [trade_document(instrument, trade) for trade in trades]
            case OrdersAsk():
                orders = client.orders(market, OWNER)
                return [order_document(instrument, client.node, view) for view in orders]
            case OrderAsk():
                view = client.order(market, order_of(ask, instrument))
                return order_document(instrument, client.node, view)
            case MarketsAsk():
                return [
                    market_document(each, client.market_status(symbol), client.day(symbol))
                    for symbol, each in client.instruments.items()
                ]
            case _:
                return self._submit(client, instrument, command_of(ask, instrument))

    def _submit(
        self, client: ExchangeClient, instrument: Instrument, command: Place | Cancel | Amend
    ) -> dict[str, Any]:
        named = with_id(command)
        outcome = client.submit(instrument.symbol, [named]).outcomes[0]
        if isinstance(outcome, Repeated):
            outcome = outcome.outcome
        if isinstance(outcome, Refused):
            raise refusal(instrument, command, outcome, OWNER)
        if isinstance(outcome, Cancelled):
            return cancelled_document(instrument, OWNER, outcome.order, outcome.remaining)
        order: int = getattr(outcome, "order", 0)
        return order_document(instrument, client.node, client.order(instrument.symbol, order))
