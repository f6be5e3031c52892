"""What a node's history knows of one order's life, in the shape of log records."""

from typing import Any

from p2pcli.cli.render.quantities import moment, price_or_market
from p2pcli.market.instrument import Instrument
from p2pcli.market.views import OrderView

RecordOfLife = dict[str, Any]


def order_life(instrument: Instrument, node: str, view: OrderView) -> list[RecordOfLife]:
    """Return one record for the placement, one for each fill and one for how the order stands now.

    ``node`` is whose history it is. Through which node the order came, only its owner's name may tell.
    """
    order = {"order": instrument.order_name(view.order), "market": instrument.symbol}
    whose = {"level": "info", "process": node}
    placed = {
        "time": moment(view.time_ns),
        **whose,
        "event": "placed",
        **order,
        "sequence": view.sequence,
        "owner": view.owner,
        "side": view.side.name.lower(),
        "quantity": instrument.quantity_text(view.quantity),
        "price": price_or_market(instrument, view.price),
    }
    fills = [
        {
            "time": moment(fill.time_ns),
            **whose,
            "event": "filled",
            **order,
            "sequence": fill.sequence,
            "trade": instrument.trade_name(fill.trade),
            "quantity": instrument.quantity_text(fill.quantity),
            "price": instrument.price_text(fill.price),
            "against": fill.counterparty,
        }
        for fill in view.fills
    ]
    now = {
        "time": (fills[-1] if fills else placed)["time"],
        **whose,
        "event": view.status.name.lower(),
        **order,
        "filled": instrument.quantity_text(view.filled),
        "remaining": instrument.quantity_text(view.remaining),
    }
    return [placed, *fills, now]
