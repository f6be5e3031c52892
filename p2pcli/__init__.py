"""p2px: a peer-to-peer exchange whose nodes all apply one shared, ordered, durable log.

Start reading at ``market`` (values), then ``book`` (price-time priority), ``log`` (one durable
order of batches), ``node`` (where log and book meet) and ``cluster`` (several processes as one).
Imports point down that list; ``tests/test_architecture.py`` keeps it so.
"""

__version__ = "0.1.0"
