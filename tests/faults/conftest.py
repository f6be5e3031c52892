"""Real clusters that are tormented: supervisor, nodes and registry members as processes, on free ports.

FAULT_ROUNDS=10 in the environment makes everything here ten times as long.
"""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from p2pcli.cluster.chaos.run import Run, Settings
from p2pcli.cluster.down import down
from p2pcli.cluster.folder import ClusterFolder
from p2pcli.cluster.plan import ClusterPlan, MemberSlot, NodeSlot
from p2pcli.cluster.up import bring_up
from p2pcli.market.instrument import UNITS, Instrument

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # importlib mode leaves it alone

from herd import Herd  # noqa: E402

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "1"))
MARKET = "BTC/USD"
BTC = Instrument(MARKET, 1, UNITS // 100, 1, 10**9, 10**13)
START_S = 60.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterFolder]:
    """Run three nodes and two registry members for the tests of one file, each in a place of its own."""
    folder = ClusterFolder(tmp_path_factory.mktemp("home"), "faults")
    plan = ClusterPlan(
        name=folder.name,
        nodes=tuple(NodeSlot(f"client{number}") for number in (1, 2, 3)),
        members=(MemberSlot("registry1"), MemberSlot("registry2")),
        markets=(BTC,),
        node_program="varied_node",
        snapshot_commands=500,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]))
        patch.delenv("PYTHONHASHSEED", raising=False)
        bring_up(folder, lambda former: former or plan, START_S, lambda report: None)
        yield folder
        down(folder, timeout=10)


@pytest.fixture
def rounds() -> int:
    """How many times longer than in CI everything shall be."""
    return ROUNDS


@pytest.fixture
def run(cluster: ClusterFolder) -> Iterator[Run]:
    """Let clients trade during the test. Whatever happens to the processes, nothing may be violated."""
    run = Run(cluster, MARKET, Settings(seed=1, clients=6, rate=300))
    run.start()
    yield run
    report = run.finish()
    assert [f"{each.guarantee}: {each.what}" for each in report.violations] == []
    assert report.orders.ok > 0
    for each in report.faults:
        print(each)
    assert [(each.kind, each.bit) for each in report.faults] == [
        (each.kind, each.struck) for each in report.faults
    ], "a fault that met nothing proves nothing"


@pytest.fixture
def herd(tmp_path: Path) -> Iterator[Herd]:
    """A folder for nodes that nobody restarts."""
    herd = Herd(tmp_path)
    yield herd
    herd.end_all(signal.SIGKILL)
