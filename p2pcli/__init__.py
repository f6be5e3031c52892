"""p2px: a peer-to-peer exchange whose nodes all apply one shared, ordered, durable log.

Start reading at ``market`` (values), then ``book`` (price-time priority), ``log`` (one durable
order of batches), ``node`` (where log and book meet) and ``cluster`` (several processes as one).
Imports point down that list; ``tests/test_architecture.py`` keeps it so.

For programs: ``from p2pcli import Cluster, ExchangeClient`` (``cluster.api``, ``cluster.exchange_client``).
They are loaded when first asked for, because every command of ``p2px`` imports this page.
"""

TYPE_CHECKING = False  # typing's own costs 3 ms to import; type checkers know the name
if TYPE_CHECKING:
    from p2pcli.cluster.api import Cluster
    from p2pcli.cluster.exchange_client import ExchangeClient

__version__ = "0.1.0"
__all__ = ["Cluster", "ExchangeClient", "__version__"]


def __getattr__(name: str) -> object:
    """Load what the package offers to programs."""
    if name == "Cluster":
        from p2pcli.cluster.api import Cluster

        return Cluster
    if name == "ExchangeClient":
        from p2pcli.cluster.exchange_client import ExchangeClient

        return ExchangeClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
