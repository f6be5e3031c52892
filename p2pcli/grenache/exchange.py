"""What a Grenache payload may ask of the exchange, and the answers as JSON. Pure.

A payload is an object whose ``action`` names what it asks; prices and quantities are decimal text. The same
words, fields and documents as on the command line:

    {"action": "place", "side": "buy", "quantity": "0.5", "price": "30000", "client_order_id": "my-1"}
    {"action": "cancel", "order_id": "7"}              {"action": "amend", "order_id": "7", "quantity": "1"}
    {"action": "book", "depth": 5}                     {"action": "trades", "last": 20}
    {"action": "order", "order_id": "7"}               {"action": "orders"}      {"action": "markets"}

``market`` may be left out for the cluster's first. Without a price it is a market order. A fan-out (``map``)
reaches every node, so its orders need a ``client_order_id``: then one takes effect and every node answers
the same.
"""

from typing import Any, Literal

import msgspec

from p2pcli.errors import BadInput, NotFound
from p2pcli.market.commands import Amend, Cancel, Place, SelfTrade, Side, TimeInForce
from p2pcli.market.documents import SELF_TRADE_NAMES
from p2pcli.market.instrument import Instrument, parse_order_name

_TIFS = {"gtc": TimeInForce.GTC, "ioc": TimeInForce.IOC, "fok": TimeInForce.FOK}
_STPS = {name: value for value, name in SELF_TRADE_NAMES.items()}


class BadPayload(BadInput):
    """The payload asks for nothing that the exchange knows."""

    code = "bad_payload"


class UnknownMarket(NotFound):
    """The payload names a market that is not traded here."""

    code = "no_such_market"


class _Ask(msgspec.Struct, frozen=True, tag_field="action", forbid_unknown_fields=True):
    market: str = ""


class PlaceAsk(_Ask, tag="place", frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Place an order."""

    side: Literal["buy", "sell"]
    quantity: str
    price: str | None = None
    tif: Literal["gtc", "ioc", "fok"] = "gtc"
    post_only: bool = False
    stp: Literal["allow", "cancel-newest", "cancel-oldest", "cancel-both"] | None = None
    client_order_id: str = ""


class CancelAsk(_Ask, tag="cancel", frozen=True, forbid_unknown_fields=True):
    """Cancel an order, named by its id or its client order id."""

    order_id: str = ""
    client_order_id: str = ""


class AmendAsk(_Ask, tag="amend", frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Give an order a new total quantity, and perhaps a new price."""

    quantity: str
    price: str | None = None
    order_id: str = ""
    client_order_id: str = ""
    command_id: str = ""


class BookAsk(_Ask, tag="book", frozen=True, forbid_unknown_fields=True):
    """Show the book."""

    depth: int = 10


class TradesAsk(_Ask, tag="trades", frozen=True, forbid_unknown_fields=True):
    """Show the last trades, oldest first."""

    last: int = 20


class OrderAsk(_Ask, tag="order", frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Show one order."""

    order_id: str


class OrdersAsk(_Ask, tag="orders", frozen=True, forbid_unknown_fields=True):
    """Show the open orders of Grenache callers."""


class MarketsAsk(_Ask, tag="markets", frozen=True, forbid_unknown_fields=True):
    """Show what is traded."""


Ask = PlaceAsk | CancelAsk | AmendAsk | BookAsk | TradesAsk | OrderAsk | OrdersAsk | MarketsAsk


def parse_ask(payload: Any) -> Ask:
    """Return what a payload asks. Raises ``BadPayload`` naming the field."""
    try:
        ask: Ask = msgspec.convert(payload, Ask)
    except msgspec.ValidationError as error:
        raise BadPayload(f"payload: {error}") from error
    return ask


def instrument_of(ask: Ask, instruments: dict[str, Instrument]) -> Instrument:
    """Return the market that is meant. Raises ``UnknownMarket``."""
    if not ask.market:
        return next(iter(instruments.values()))
    instrument = instruments.get(ask.market)
    if instrument is None:
        raise UnknownMarket(f"no market {ask.market[:40]!a}; there are {', '.join(instruments)}")
    return instrument


def command_of(ask: PlaceAsk | CancelAsk | AmendAsk, instrument: Instrument) -> Place | Cancel | Amend:
    """Return the command, in ticks and lots. Raises ``BadNumber``, ``BadOrderId``, ``BadPayload``."""
    match ask:
        case PlaceAsk():
            return Place(
                Side.BUY if ask.side == "buy" else Side.SELL,
                instrument.quantity(ask.quantity),
                0 if ask.price is None else instrument.price(ask.price),
                TimeInForce.IOC if ask.price is None and ask.tif == "gtc" else _TIFS[ask.tif],
                ask.post_only,
                SelfTrade.DEFAULT if ask.stp is None else _STPS[ask.stp],
                ask.client_order_id,
            )
        case CancelAsk():
            return Cancel(_order(ask.order_id, ask.client_order_id, instrument), ask.client_order_id)
        case AmendAsk():
            return Amend(
                _order(ask.order_id, ask.client_order_id, instrument),
                instrument.quantity(ask.quantity),
                0 if ask.price is None else instrument.price(ask.price),
                ask.client_order_id,
                ask.command_id,
            )


def order_of(ask: OrderAsk, instrument: Instrument) -> int:
    """Return the order id that is meant. Raises ``BadOrderId`` or ``BadPayload``."""
    return _order(ask.order_id, "", instrument)


def _order(name: str, client_order_id: str, instrument: Instrument) -> int:
    if not name and client_order_id:
        return 0
    number, order = parse_order_name(name)
    if number != instrument.number:
        raise BadPayload(f"order {name} is not of market {instrument.symbol}")
    return order
