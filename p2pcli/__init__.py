"""p2px: a peer-to-peer exchange whose nodes all apply one shared, ordered, durable log.

Start reading at ``market`` (values), then ``book`` (price-time priority), ``log`` (one durable
order of batches), ``node`` (where log and book meet) and ``cluster`` (several processes as one).
Imports point down that list; ``tests/test_architecture.py`` keeps it so.

For programs: ``from p2pcli import Cluster, ExchangeClient`` (``cluster.api``, ``cluster.exchange_client``)
and the errors they raise, loaded when first asked for, because every command of ``p2px`` imports this page.
"""

TYPE_CHECKING = False  # typing's own costs 3 ms to import; type checkers know the name
if TYPE_CHECKING:
    from p2pcli.cluster.api import Cluster
    from p2pcli.cluster.exchange_client import ExchangeClient
    from p2pcli.errors import BadInput, NotRunning, P2pxError
    from p2pcli.log.entry import LogFull
    from p2pcli.market.refusals import CommandRefused, OrderClosed
    from p2pcli.node.requests import Busy, Unknown

__version__ = "0.1.0"
__all__ = [
    "BadInput",
    "Busy",
    "Cluster",
    "CommandRefused",
    "ExchangeClient",
    "LogFull",
    "NotRunning",
    "OrderClosed",
    "P2pxError",
    "Unknown",
    "__version__",
]

_ROOMS = {
    "BadInput": "p2pcli.errors",
    "Busy": "p2pcli.node.requests",
    "Cluster": "p2pcli.cluster.api",
    "CommandRefused": "p2pcli.market.refusals",
    "ExchangeClient": "p2pcli.cluster.exchange_client",
    "LogFull": "p2pcli.log.entry",
    "NotRunning": "p2pcli.errors",
    "OrderClosed": "p2pcli.market.refusals",
    "P2pxError": "p2pcli.errors",
    "Unknown": "p2pcli.node.requests",
}


def __getattr__(name: str) -> object:
    """Load what the package offers to programs."""
    if name in _ROOMS:
        from importlib import import_module

        return getattr(import_module(_ROOMS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
