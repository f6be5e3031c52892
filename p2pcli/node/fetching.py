"""A market's snapshot from peers that host it: for a node whose log begins too late, or that is new."""

from collections.abc import Iterator

from p2pcli.errors import P2pxError
from p2pcli.node.client import ExchangeClient
from p2pcli.node.discovery import market_service_name
from p2pcli.node.plan import NodePlan
from p2pcli.registry.client import RegistryClient
from p2pcli.rpc.credentials import Credentials

FETCH_S = 5.0  # for each answer of a peer


def peer_snapshots(
    plan: NodePlan, credentials: Credentials, symbol: str
) -> Iterator[tuple[str, bytes | P2pxError]]:
    """Yield each announced peer's name or address with its newest snapshot, or why it gave none."""
    if not plan.registry:
        return
    try:
        with RegistryClient(plan.registry, plan.registry_timeout_s) as registry:
            addresses = registry.lookup(market_service_name(plan.cluster, symbol))
    except P2pxError as error:
        yield "the registry", error
        return
    for host, port in addresses:
        try:
            with ExchangeClient(host, port, credentials, timeout=FETCH_S) as peer:
                found = peer.node, peer.snapshot(symbol)
        except P2pxError as error:
            yield f"{host}:{port}", error
        else:
            yield found
