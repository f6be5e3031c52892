"""Ports that nobody has, and that two clusters do not both find."""

import socket
from collections.abc import Iterator
from contextlib import closing

import msgspec
import pytest

from p2pcli.cluster.plan import ClusterPlan, MemberSlot
from p2pcli.cluster.ports import NotOurHost, PortClaims, PortTaken, free_port, is_free, settle

HOST = "127.0.0.1"
TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM


@pytest.fixture
def claims() -> Iterator[PortClaims]:
    with closing(PortClaims(HOST)) as claims:
        yield claims


def taken(kind: socket.SocketKind) -> socket.socket:
    sock = socket.socket(socket.AF_INET, kind)
    sock.bind((HOST, 0))
    if kind is TCP:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.listen()
    return sock


@pytest.mark.parametrize("kind", [TCP, UDP])
def test_a_taken_port_is_not_free(kind: socket.SocketKind) -> None:
    with taken(kind) as sock:
        port = sock.getsockname()[1]
        assert not is_free(HOST, port, kind)
    assert is_free(HOST, port, kind)


def test_a_port_is_free_again_while_an_old_connection_lingers() -> None:
    with taken(TCP) as server:
        port = server.getsockname()[1]
        caller = socket.create_connection((HOST, port))
        served, _ = server.accept()
        served.close()  # the side that closes first lingers in TIME_WAIT
        caller.close()
    assert is_free(HOST, port, TCP)


def test_a_wanted_port_is_claimed_when_it_is_free(claims: PortClaims) -> None:
    port = free_port(HOST, TCP)
    assert claims.claim(port, TCP, or_free=False) == port


def test_another_cluster_does_not_get_a_claimed_port(claims: PortClaims) -> None:
    port = claims.claim(0, TCP, or_free=True)
    with closing(PortClaims(HOST)) as others:
        assert others.claim(port, TCP, or_free=True) not in (0, port)
        with pytest.raises(PortTaken, match=f"port {port} on {HOST} is taken"):
            others.claim(port, TCP, or_free=False)


def test_claims_end_with_their_holder(claims: PortClaims) -> None:
    port = claims.claim(0, UDP, or_free=True)
    claims.close()
    with closing(PortClaims(HOST)) as others:
        assert others.claim(port, UDP, or_free=False) == port


def test_one_number_may_be_claimed_for_tcp_and_udp(claims: PortClaims) -> None:
    port = claims.claim(0, TCP, or_free=True)
    assert claims.claim(port, UDP, or_free=True) == port


def test_a_host_that_is_not_ours_is_one_clear_error(claims: PortClaims) -> None:
    for host in ("192.0.2.1", "no-such-host.invalid"):
        with (
            pytest.raises(NotOurHost, match=f"cannot listen on host {host}"),
            closing(PortClaims(host)) as far,
        ):
            far.claim(0, TCP, or_free=True)


def test_settling_keeps_free_ports_and_tells_of_taken_ones(claims: PortClaims) -> None:
    plan = ClusterPlan(name="x", nodes=(), members=(), markets=())
    with taken(TCP) as sock:
        http, dht = sock.getsockname()[1], free_port(HOST, UDP)
        plan = msgspec.structs.replace(
            plan, members=(MemberSlot("registry1", http, dht), MemberSlot("registry2"))
        )
        settled, warnings = settle(plan, claims)
    first, second = settled.members
    assert (first.http_port not in (0, http), first.dht_port) == (True, dht)
    assert second.http_port
    assert second.dht_port
    assert warnings == (f"HTTP port {http} of registry1 is taken; it uses {first.http_port}",)


def test_settling_fails_where_no_other_port_is_allowed(claims: PortClaims) -> None:
    with taken(TCP) as sock:
        members = (MemberSlot("registry1", sock.getsockname()[1], 0),)
        plan = ClusterPlan(name="x", nodes=(), members=members, markets=(), free_ports=False)
        with pytest.raises(PortTaken):
            settle(plan, claims)
