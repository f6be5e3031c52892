"""Real supervisors with real children, whose program is trial_program.py beside this file."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from p2pcli.cluster.control import Control
from p2pcli.cluster.down import down
from p2pcli.cluster.folder import ClusterFolder, ClusterNotRunning
from p2pcli.cluster.plan import ClusterPlan, MemberSlot, NodeSlot
from p2pcli.cluster.report import ClusterReport
from p2pcli.cluster.up import Started, bring_up
from p2pcli.market.instrument import UNITS, Instrument

BTC = Instrument("BTC/USD", 1, UNITS // 100, 1, 10**9, 10**13)
DEADLINE_S = 20.0


def wait_until(question: Callable[[], object], what: str = "") -> None:
    """Return as soon as the answer is true; fail when it is not within ``DEADLINE_S``."""
    deadline = time.monotonic() + DEADLINE_S
    while not question():
        assert time.monotonic() < deadline, f"never: {what or question}"
        time.sleep(0.005)


def runs(pid: int) -> bool:
    """Whether that process runs: a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Trial:
    """One cluster of trial programs in a folder of its own."""

    def __init__(self, home: Path, name: str = "trial") -> None:
        self.folder = ClusterFolder(home, name)
        self.plan = ClusterPlan(
            name=name,
            nodes=(NodeSlot("client1"),),
            members=(MemberSlot("registry1"),),
            markets=(BTC,),
            node_program="trial_program",
            member_program="trial_program",
            stop_timeout=10.0,
        )

    def behave(self, name: str, behaviour: str) -> None:
        """Have the process of that name do so from its next start on."""
        parent = self.folder.registry if name.startswith("registry") else self.folder.nodes
        self.folder.prepare()
        (parent / name).mkdir(exist_ok=True)
        (parent / name / "behaviour").write_text(behaviour)

    def up(
        self, timeout: float = DEADLINE_S, on_progress: Callable[[ClusterReport], None] = lambda report: None
    ) -> Started:
        return bring_up(self.folder, lambda former: former or self.plan, timeout, on_progress)

    def report(self) -> ClusterReport:
        with Control(self.folder) as control:
            return control.report()

    def pids(self) -> list[int]:
        """The supervisor's and the children's."""
        report = self.report()
        return [report.supervisor, *(child.pid for child in report.children if child.pid)]

    def is_running(self) -> bool:
        try:
            self.report()
        except ClusterNotRunning:
            return False
        return True


@pytest.fixture
def eventually() -> Callable[..., None]:
    return wait_until


@pytest.fixture
def is_alive() -> Callable[[int], bool]:
    return runs


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trial]:
    paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    # Children of this very process get its path; those of a supervisor get the supervisor's.
    monkeypatch.syspath_prepend(paths[0])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in paths if path))
    trial = Trial(tmp_path)
    yield trial
    down(trial.folder, timeout=5)
