"""Three nodes on three members of etcd, under load: members killed, paused and all gone, and what is left.

How long it takes until orders are accepted again is printed (``pytest -s``); the deadlines here are generous.
"""

from collections.abc import Iterator
from contextlib import ExitStack

import msgspec
import pytest
from etcd_members import MISSING, EtcdMembers, eventually
from separate_hosts import NotPermitted, SeparateHosts

from p2pcli.clock import monotonic
from p2pcli.cluster.chaos.run import Run
from p2pcli.cluster.control import Control
from p2pcli.cluster.down import down
from p2pcli.cluster.folder import ClusterFolder
from p2pcli.cluster.logs import last_lines
from p2pcli.cluster.plan import ClusterPlan, NodeSlot
from p2pcli.cluster.report import ChildReport, State
from p2pcli.cluster.up import bring_up
from p2pcli.errors import NotRunning, P2pxError
from p2pcli.log.entry import LogFull
from p2pcli.log.etcd_client import EtcdClient
from p2pcli.log.etcd_market import add_put
from p2pcli.log.etcd_messages import MESSAGES
from p2pcli.log.etcd_place import parse
from p2pcli.market.commands import Place, Side
from p2pcli.node.client import ExchangeClient
from p2pcli.node.requests import Busy, Unknown

from .conftest import BTC, MARKET, START_S

pytestmark = [pytest.mark.slow, pytest.mark.skipif(MISSING is not None, reason=str(MISSING))]

QUOTA_BYTES = 48 << 20
AGAIN_S = 20.0  # measured: 0.1 to 3 s
NODES = ("client1", "client2", "client3")


@pytest.fixture(scope="module")
def network() -> Iterator[SeparateHosts | str]:
    """Yield three hosts, or why there are none."""
    with ExitStack() as stack:
        try:
            yield stack.enter_context(SeparateHosts(3))
        except NotPermitted as error:
            yield f"network namespaces are not permitted: {error}"


@pytest.fixture(scope="module")
def etcd(network: SeparateHosts | str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdMembers]:
    """Run three members, each on a host of its own where that is possible."""
    hosts = network.hosts if isinstance(network, SeparateHosts) else ()
    folder = tmp_path_factory.mktemp("etcd")
    with EtcdMembers(folder / "three", 3, f"--quota-backend-bytes={QUOTA_BYTES}", hosts=hosts) as members:
        yield members


@pytest.fixture(scope="module")
def cluster(etcd: EtcdMembers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterFolder]:
    """Run three nodes; small snapshots, so that the log is trimmed and etcd compacted all the time."""
    folder = ClusterFolder(tmp_path_factory.mktemp("home"), "etcd")
    plan = ClusterPlan(
        name=folder.name,
        nodes=tuple(NodeSlot(name) for name in NODES),
        members=(),
        markets=(BTC,),
        log_url=etcd.url,
        snapshot_commands=500,
    )
    bring_up(folder, lambda former: former or plan, START_S, lambda report: None)
    yield folder
    etcd.start_all()
    down(folder, timeout=10, wipe=True)
    assert etcd.ctl("get", "--prefix", "--keys-only", "/p2px").split() == []


def dial(cluster: ClusterFolder, name: str, timeout: float = 10.0) -> ExchangeClient:
    report = cluster.report()
    assert report is not None
    addresses = next(child.addresses for child in report.nodes if child.name == name)
    if "rpc" not in addresses:
        raise NotRunning(f"{name} is being started")
    host, _, port = addresses["rpc"].rpartition(":")
    return ExchangeClient(host, int(port), cluster.credentials(), "prober", timeout=timeout)


def order() -> Place:
    return Place(Side.BUY, 1, 1)


def pids(cluster: ClusterFolder) -> list[int]:
    report = cluster.report()
    assert report is not None
    return [child.pid for child in report.nodes]


def why(cluster: ClusterFolder) -> str:
    """Return what the supervisor and the nodes said last, for a process that should not have ended."""
    files = [cluster.logs / f"{name}.jsonl" for name in ("supervisor", *NODES)]
    return "\n".join(line for file in files for line in last_lines(file, 8))


def accepted_again(cluster: ClusterFolder, what: str) -> None:
    """Wait until every node takes an order again."""
    began = monotonic()
    for name in NODES:

        def is_taken(name: str = name) -> bool:
            try:
                with dial(cluster, name, 5.0) as client:
                    client.submit(MARKET, [order()])
            except P2pxError:
                return False
            return True

        eventually(is_taken, AGAIN_S)
    print(f"{what}: orders are accepted at every node again after {monotonic() - began:.2f} s")


def test_members_killed_and_paused_one_after_another_cost_nothing(
    etcd: EtcdMembers, cluster: ClusterFolder, run: Run
) -> None:
    before = pids(cluster)
    leader = etcd.leader()
    etcd.kill(leader)
    accepted_again(cluster, "leader killed")
    etcd.start(leader)
    etcd.wait_until_ready()
    leader = etcd.leader()
    etcd.pause(leader)
    accepted_again(cluster, "leader paused")
    etcd.resume(leader)
    for index in range(3):
        etcd.kill(index)
        accepted_again(cluster, f"member {index} killed")
        etcd.start(index)
        etcd.wait_until_ready()
        etcd.pause(index)
        accepted_again(cluster, f"member {index} paused")
        etcd.resume(index)
    assert pids(cluster) == before, "no node was restarted for that"


def test_all_members_killed_under_load_lose_nothing(
    etcd: EtcdMembers, cluster: ClusterFolder, run: Run
) -> None:
    before = pids(cluster)
    etcd.kill_all()
    etcd.start_all()
    accepted_again(cluster, "all members killed and started")
    assert pids(cluster) == before, why(cluster)


def test_without_a_quorum_orders_are_unknown_or_busy_and_reads_go_on_and_a_new_node_waits(
    etcd: EtcdMembers, cluster: ClusterFolder
) -> None:
    before = pids(cluster)
    with dial(cluster, "client1") as client:
        etcd.kill(0)
        etcd.pause(1)
        with Control(cluster) as control:
            restarts = control.report().child("client3").restarts
            control.kill_node("client3")
        sequence = client.book(MARKET, 1).sequence
        began = monotonic()
        with pytest.raises(Unknown):
            client.submit(MARKET, [msgspec.structs.replace(order(), client_order_id="later")])
        with pytest.raises(Busy, match="the log is unavailable"):
            client.submit(MARKET, [order()])
        assert monotonic() - began < 9, "the first waits as long as log.append_timeout, the second not at all"
        assert client.book(MARKET, 1).sequence >= sequence
        with Control(cluster) as control:

            def third() -> ChildReport:
                return control.report().child("client3")

            eventually(lambda: third().last_error.startswith("waits: log etcd:"), 20.0)
            assert third().state is State.STARTING
            etcd.resume(1)
            eventually(lambda: third().state is State.RUNNING, 20.0)
            assert third().restarts == restarts + 1
            assert not third().last_error.startswith("waits")
        accepted_again(cluster, "quorum back")
        etcd.start(0)
        again = client.submit(MARKET, [msgspec.structs.replace(order(), client_order_id="later")])
        assert type(again.outcomes[0]).__name__ == "Repeated"
    assert pids(cluster)[:2] == before[:2], why(cluster)


def test_a_minority_that_is_cut_off_costs_nothing(
    etcd: EtcdMembers, network: SeparateHosts | str, cluster: ClusterFolder, run: Run
) -> None:
    if isinstance(network, str):
        pytest.skip(network)
    before = pids(cluster)
    leader = etcd.leader()
    network.cut(leader)
    accepted_again(cluster, "leader cut off")
    network.heal(leader)
    other = (leader + 1) % 3
    network.cut(other)
    accepted_again(cluster, "another member cut off")
    network.heal(other)
    assert pids(cluster) == before, why(cluster)


def test_a_quota_that_is_used_up_under_load_refuses_until_room_was_made(
    etcd: EtcdMembers, cluster: ClusterFolder, run: Run
) -> None:
    before = pids(cluster)
    client = EtcdClient(parse(f"{etcd.url}/x"))
    try:
        with pytest.raises(LogFull):  # by old values of a key that is somebody else's
            fill(client)
    finally:
        client.close()
    with dial(cluster, "client1") as node:
        assert node.book(MARKET, 1).sequence > 0
    accepted_again(cluster, "quota used up")
    assert pids(cluster) == before, why(cluster)


def fill(client: EtcdClient) -> None:
    request = MESSAGES["TxnRequest"]()
    add_put(request.success, b"/other", bytes(1 << 20))
    while True:
        client.txn(request, START_S)
