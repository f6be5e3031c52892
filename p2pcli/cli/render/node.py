"""One node as it describes itself."""

from collections.abc import Mapping

from p2pcli.cli.render.ink import Paint, harmless, plain
from p2pcli.cli.render.markets import price_or_dash, state_cell
from p2pcli.cli.render.quantities import age
from p2pcli.cli.render.table import Column, Table
from p2pcli.market.instrument import Instrument
from p2pcli.market.views import NodeStatus

SHOWN_DIGEST = 16


def node_lines(status: NodeStatus, paint: Paint = plain) -> list[str]:
    """Return the node and its peers, a line each."""
    version = f"  p2px {status.version}" if status.version else ""
    lines = [
        f"node {paint(harmless(status.name), 'head')} of cluster {harmless(status.cluster)}"
        f"  pid {status.pid}  up {age(status.uptime_s)}{version}"
    ]
    for peer, state in sorted(status.peers.items()):
        style = "good" if state == "connected" else "warn"
        lines.append(f"peer {harmless(peer)}  {paint(harmless(state), style)}{_breaker(status, peer)}")
    if status.metrics:
        lines.append(f"metrics http://{harmless(status.metrics)}/metrics")
    return lines


def _breaker(status: NodeStatus, peer: str) -> str:
    """Return what the breaker before a peer says; nothing while all is well."""
    breaker = status.breakers.get(peer)
    if breaker is None or (breaker.state == "closed" and not breaker.failures):
        return ""
    return f"  breaker {harmless(breaker.state)} after {breaker.failures} failures"


def node_markets(status: NodeStatus, instruments: Mapping[str, Instrument]) -> Table:
    """Return one row a market, with the digest of its whole history."""
    return Table(
        columns=(
            Column("MARKET"),
            Column("SEQUENCE", right=True),
            Column("DIGEST"),
            Column("OPEN ORDERS", right=True),
            Column("TRADES", right=True),
            Column("LAST", right=True),
            Column("STATE", wraps=True),
        ),
        rows=[
            (
                market.symbol,
                str(market.sequence),
                market.digest.hex()[:SHOWN_DIGEST],
                str(market.open_orders),
                str(market.trades),
                price_or_dash(instruments[market.symbol], market.last_price),
                state_cell(market),
            )
            for market in status.markets
            if market.symbol in instruments
        ],
        empty="this node has no markets",
    )
