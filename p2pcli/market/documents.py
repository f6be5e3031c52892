"""The JSON shapes that programs may rely on.

Prices and quantities are decimal text, because a JSON number becomes a float in most programs.
Ids are text as well: in every market but the first they carry its number (``2-1042``), and a field
has one type. Times are integer nanoseconds.
"""

from typing import Any

from p2pcli.market.commands import SelfTrade
from p2pcli.market.depth import Depth, Level
from p2pcli.market.instrument import Instrument
from p2pcli.market.views import BookView, DayView, MarketStatus, OrderView, TradeView

Document = dict[str, Any]

SELF_TRADE_NAMES = {
    SelfTrade.DEFAULT: "default",
    SelfTrade.ALLOW: "allow",
    SelfTrade.CANCEL_NEWEST: "cancel-newest",
    SelfTrade.CANCEL_OLDEST: "cancel-oldest",
    SelfTrade.CANCEL_BOTH: "cancel-both",
}


def order_document(instrument: Instrument, node: str, view: OrderView) -> Document:
    """Return one order with its trades. ``sequence`` is that of the command this answers."""
    return {
        "order_id": instrument.order_name(view.order),
        "client_order_id": view.client_order_id or None,
        "node": node,
        "owner": view.owner,
        "market": instrument.symbol,
        "side": view.side.name.lower(),
        "type": "limit" if view.price else "market",
        "tif": view.tif.name.lower(),
        "price": instrument.price_text(view.price) if view.price else None,
        "quantity": instrument.quantity_text(view.quantity),
        "filled": instrument.quantity_text(view.filled),
        "remaining": instrument.quantity_text(view.remaining),
        "status": view.status.name.lower(),
        "sequence": view.sequence,
        "trades": [
            {
                "trade_id": instrument.trade_name(fill.trade),
                "price": instrument.price_text(fill.price),
                "quantity": instrument.quantity_text(fill.quantity),
                "maker_order_id": instrument.order_name(fill.maker),
                "taker_order_id": instrument.order_name(fill.taker),
            }
            for fill in view.fills
        ],
    }


def cancelled_document(instrument: Instrument, owner: str, order: int, remaining: int) -> Document:
    """Return what left the book, and with how much unfilled."""
    return {
        "order_id": instrument.order_name(order),
        "owner": owner,
        "market": instrument.symbol,
        "status": "cancelled",
        "cancelled": instrument.quantity_text(remaining),
    }


def book_document(instrument: Instrument, node: str, view: BookView) -> Document:
    """Return the top of a book, best price first on both sides; ``spread`` is null while a side is empty."""
    spread = Depth(view.bids, view.asks).spread
    return {
        "market": instrument.symbol,
        "node": node,
        "sequence": view.sequence,
        "bids": [_level(instrument, level) for level in view.bids],
        "asks": [_level(instrument, level) for level in view.asks],
        "spread": None if spread is None else instrument.price_text(spread),
    }


def trade_document(instrument: Instrument, view: TradeView) -> Document:
    """Return one trade with both owners named."""
    return {
        "trade_id": instrument.trade_name(view.trade),
        "sequence": view.sequence,
        "market": instrument.symbol,
        "price": instrument.price_text(view.price),
        "quantity": instrument.quantity_text(view.quantity),
        "taker_side": view.taker_side.name.lower(),
        "maker_order_id": instrument.order_name(view.maker),
        "taker_order_id": instrument.order_name(view.taker),
        "maker": view.maker_owner,
        "taker": view.taker_owner,
        "time_ns": view.time_ns,
    }


def market_document(instrument: Instrument, state: MarketStatus, day: DayView) -> Document:
    """Return a market's rules and how it stands, in decimals; null where there was no trade."""

    def price(ticks: int) -> str | None:
        return instrument.price_text(ticks) if ticks else None

    return {
        "market": instrument.symbol,
        "number": instrument.number,
        "state": _state(state),
        "problem": state.problem or None,
        "tick": instrument.price_text(1),
        "lot": instrument.quantity_text(1),
        "max_price": instrument.price_text(instrument.max_price),
        "max_quantity": instrument.quantity_text(instrument.max_quantity),
        "self_trade": SELF_TRADE_NAMES[instrument.self_trade],
        "price_band_bp": instrument.price_band,
        "max_open_orders": instrument.max_open_orders or None,
        "sequence": state.sequence,
        "open_orders": state.open_orders,
        "trades": state.trades,
        "last": price(state.last_price),
        "open_24h": price(day.open),
        "high_24h": price(day.high),
        "low_24h": price(day.low),
        "volume_24h": instrument.quantity_text(day.volume),
    }


def _state(state: MarketStatus) -> str:
    if state.problem:
        return "not serving"
    if state.moves_to:
        return "sealed"
    return "halted" if state.halted else "trading"


def _level(instrument: Instrument, level: Level) -> Document:
    return {
        "price": instrument.price_text(level.price),
        "quantity": instrument.quantity_text(level.quantity),
        "orders": level.orders,
    }
