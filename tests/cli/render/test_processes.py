"""The processes of a cluster as a table that fits on any terminal."""

from p2pcli.cli.render.processes import error_lines, processes_table
from p2pcli.cli.render.table import aligned
from p2pcli.cluster.report import ChildReport, ClusterReport, ClusterState, State

REPORT = ClusterReport(
    "default",
    ClusterState.READY,
    "sqlite",
    123456,
    (
        ChildReport("client1", "node", State.RUNNING, restarts=1, last_error="was ended by SIGKILL"),
        ChildReport("client2", "node", State.RUNNING),
    ),
)


def test_errors_stand_below_the_table_and_only_where_there_are_any() -> None:
    assert error_lines(REPORT) == ["client1: was ended by SIGKILL"]
    rows = aligned(processes_table(REPORT, 0.0))
    assert not any("SIGKILL" in row for row in rows)
    assert max(map(len, rows)) <= 80
