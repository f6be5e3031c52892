"""Three machines on a network that can be cut: network namespaces with an etcd member and a node in each.

Everything speaks TLS, and each machine has a home of its own. The test itself trades from a fourth place.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from threading import Event
from time import monotonic

import pytest
from etcd_members import MISSING, EtcdMembers, eventually
from separate_hosts import NotPermitted, SeparateHosts

from .test_machines import Joined, Load, Machine

pytestmark = [pytest.mark.slow, pytest.mark.skipif(MISSING is not None, reason=str(MISSING))]

DEADLINE_S = 60.0
NODES = {"client1", "bob", "carol"}


class Network:
    """Three machines, of which the first has the cluster and the others have joined it."""

    def __init__(self, hosts: SeparateHosts, machines: list[Machine], joined: dict[str, Joined]) -> None:
        self.hosts = hosts
        self.machines = machines
        self.joined = joined

    def rpc(self, name: str) -> str:
        return self.joined[name].addresses["rpc"]


@pytest.fixture(scope="module")
def hosts() -> Iterator[SeparateHosts]:
    try:
        with SeparateHosts(3) as hosts:
            yield hosts
    except NotPermitted as error:
        pytest.skip(f"network namespaces are not permitted here: {error}")


@pytest.fixture(scope="module")
def network(hosts: SeparateHosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """Bob's machine joins the running cluster under load, then carol's."""
    place = tmp_path_factory.mktemp("separate")
    with ExitStack() as stack:
        etcd = stack.enter_context(EtcdMembers(place / "etcd", 3, "--unsafe-no-fsync", hosts=hosts.hosts))
        first = Machine(place / "first")
        first.within = hosts.hosts[0].words
        address = hosts.hosts[0].address
        init = first("cluster", "init", "--host", address, "--log", etcd.url, "--out", "p2px.yaml")
        assert init.code == 0, init.err
        up = first("cluster", "up", "-n", "1")
        stack.callback(first, "cluster", "down")
        assert up.code == 0, up.err
        machines, joined = [first], {}
        token = first("cluster", "token", "create", "--expires", "10m", "-o", "json").json["token"]
        with Load(first, ("BTC/USD",)) as load:
            for name, host in zip(("bob", "carol"), hosts.hosts[1:], strict=True):
                machine = Machine(place / name, (first.cwd / "p2px.yaml").read_text())
                machine.within = host.words
                joined[name] = stack.enter_context(machine.joins(name, "--token", token))
                machines.append(machine)
        assert load.failed == []
        assert load.done > 20
        yield Network(hosts, machines, joined)


def agreed(machine: Machine) -> set[str]:
    """Return the nodes that agree, once all three do."""
    deadline = monotonic() + DEADLINE_S
    while True:
        said = machine("verify", "-o", "json").json
        nodes = {name for market in said["markets"].values() for name in market["nodes"]}
        if nodes == NODES and not said["problems"]:
            return nodes
        assert monotonic() < deadline, said


def traded(load: Load, count: int) -> None:
    """Return once so many more orders were answered."""
    wanted, deadline = load.done + count, monotonic() + DEADLINE_S
    while load.done < wanted and not load.failed:
        assert monotonic() < deadline, f"{load.done} of {wanted} orders were answered"
        Event().wait(0.02)


def test_machines_that_joined_under_load_are_equal_and_serve(network: Network) -> None:
    for machine, name in zip(network.machines, ("client1", "bob", "carol"), strict=True):
        assert agreed(machine) == NODES
        assert machine("order", "buy", "1@50", "--node", name, "-o", "json").json["owner"] == name
    address = network.hosts.hosts[1].address
    assert network.rpc("bob").startswith(f"{address}:")


def test_a_machine_that_is_cut_off_with_its_etcd_costs_no_order_and_catches_up(network: Network) -> None:
    first = network.machines[0]
    with Load(first, ("BTC/USD",), network.rpc("bob")) as load:
        traded(load, 20)
        network.hosts.cut(2)
        try:
            traded(load, 60)  # with two members of etcd and two nodes
            cut_off = first("verify", "-o", "json").json
            status = first("cluster", "status", "-o", "json")
            assert (status.code, status.json["state"]) == (1, "degraded")
            assert network.rpc("carol") in status.json["problems"][0]
        finally:
            network.hosts.heal(2)
        traded(load, 20)
    assert load.failed == []
    assert "carol" not in {name for market in cut_off["markets"].values() for name in market["nodes"]}
    assert agreed(first) == NODES
    assert first("log", "check").code == 0
    again = network.machines[2]("order", "buy", "1@60", "--node", "carol", "-o", "json")
    assert again.json["owner"] == "carol", again.err


def test_a_node_cut_off_from_all_others_refuses_rather_than_answers(network: Network) -> None:
    third = network.machines[2]
    network.hosts.cut(2)
    try:
        order = ("order", "buy", "1@70", "--node", "carol", "--client-id", "cut-1")
        said = third(*order, P2PX_CLIENT_TIMEOUT="1s")
        assert said.code in (1, 3, 5), said  # busy, unknown or unreachable: never accepted
        assert not said.out
    finally:
        network.hosts.heal(2)
    assert agreed(network.machines[0]) == NODES
    # Carol's own way to etcd may take a moment longer than her way to the others.
    eventually(lambda: third(*order).code == 0, 60.0)
    done, again = (third(*order, "-o", "json").json for _ in range(2))
    assert done["order_id"] == again["order_id"]
