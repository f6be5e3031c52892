"""The document of `cluster status -o json`."""

import msgspec
import pytest

from p2pcli.cli.render.processes import status_lines
from p2pcli.cluster.report import ChildReport, ClusterReport, ClusterState, State
from p2pcli.cluster.status import status_of, status_of_stopped
from p2pcli.market.views import MarketStatus, NodeStatus

CLIENT = ChildReport("client1", "node", State.RUNNING, 41, {"rpc": "127.0.0.1:4321"}, 2, 100.0, "fell over")
ADDRESSES = {"http": "127.0.0.1:30001", "dht": "127.0.0.1:20001", "id": "ab"}
MEMBER = ChildReport("registry1", "registry", State.RUNNING, 42, ADDRESSES)
REPORT = ClusterReport("default", ClusterState.READY, "sqlite", 40, (CLIENT, MEMBER))
BTC = MarketStatus("BTC/USD", 17, b"\xaa\xbb", 3, 5)
ETH = MarketStatus("ETH/USD", 4, b"\xcc", 1, 2)


def answer(*markets: MarketStatus) -> dict[str, NodeStatus]:
    return {"client1": NodeStatus("default", "client1", 41, 7.5, list(markets))}


def test_the_document_has_the_fields_that_programs_rely_on() -> None:
    document = msgspec.to_builtins(status_of(REPORT, answer(BTC, ETH), now=107.25))
    assert document == {
        "cluster": "default",
        "state": "ready",
        "log": "sqlite",
        "nodes": [
            {
                "name": "client1",
                "state": "running",
                "pid": 41,
                "rpc": "127.0.0.1:4321",
                "sequence": {"BTC/USD": 17, "ETH/USD": 4},
                "digest": {"BTC/USD": "aabb", "ETH/USD": "cc"},
                "open_orders": 4,
                "trades": 7,
                "restarts": 2,
                "uptime_s": 7.25,
                "last_error": "fell over",
                "problems": {},
            }
        ],
        "registry": [
            {
                "name": "registry1",
                "pid": 42,
                "http": "127.0.0.1:30001",
                "dht": "127.0.0.1:20001",
                "state": "running",
                "restarts": 0,
                "uptime_s": 107.25,
                "last_error": "",
            }
        ],
        "supervisor": {"pid": 40},
    }


@pytest.mark.parametrize("state", [ClusterState.STARTING, ClusterState.DEGRADED, ClusterState.STOPPING])
def test_whatever_is_neither_ready_nor_stopped_is_degraded(state: ClusterState) -> None:
    assert status_of(msgspec.structs.replace(REPORT, state=state), answer(BTC), 0).state == "degraded"


def test_a_running_node_that_does_not_answer_degrades_the_cluster() -> None:
    status = status_of(REPORT, {}, 107.0)
    assert (status.state, status.nodes[0].sequence, status.nodes[0].trades) == ("degraded", {}, 0)


def test_a_market_that_does_not_serve_degrades_the_cluster_and_says_why() -> None:
    status = status_of(REPORT, answer(msgspec.structs.replace(BTC, problem="digest differs")), 107.0)
    assert (status.state, status.nodes[0].problems) == ("degraded", {"BTC/USD": "digest differs"})


def test_a_node_that_nobody_wants_does_not() -> None:
    stopped = ChildReport("client2", "node", State.STOPPED)
    report = msgspec.structs.replace(REPORT, children=(CLIENT, stopped, MEMBER))
    assert status_of(report, answer(BTC), 107.0).state == "ready"


def test_a_cluster_that_does_not_run_is_stopped() -> None:
    status = status_of_stopped("default", "sqlite")
    assert (status.state, status.nodes, status.supervisor.pid) == ("stopped", [], 0)


def test_a_node_elsewhere_that_does_not_answer_degrades_the_cluster_and_is_named() -> None:
    problem = "a node that is announced at 10.0.0.3:42207: no way to 10.0.0.3:42207: No route to host"
    status = status_of(REPORT, answer(BTC), 107.25, {}, [problem], "begun")
    document = msgspec.to_builtins(status)
    assert (document["state"], document["problems"], document["rotation"]) == ("degraded", [problem], "begun")
    lines = status_lines(status)
    assert lines[0] == "cluster default  degraded  log sqlite  secret being replaced: begun"
    assert problem in "\n".join(lines)
