"""Fixtures for any project's tests: a fresh p2px cluster on free ports. An entry point leads pytest here.

    def test_my_strategy(p2px_cluster):
        with p2px_cluster.client("client1") as client:
            assert client.buy("0.5", "30000").status == "open"

Nothing of p2px is imported until a test asks for a cluster, so a run that does not pays for this page only.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from p2pcli.cluster.api import Cluster


@pytest.fixture
def p2px_cluster() -> "Iterator[Cluster]":
    """A cluster of three nodes for this test alone: empty, ephemeral, and gone when the test ends."""
    from p2pcli.cluster.api import Cluster

    with Cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def p2px_shared_cluster() -> "Iterator[Cluster]":
    """One cluster for the whole run, which costs one start: tests see each other's orders."""
    from p2pcli.cluster.api import Cluster

    with Cluster() as cluster:
        yield cluster
