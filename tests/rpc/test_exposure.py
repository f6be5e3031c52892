"""Which addresses others reach."""

import socket

import pytest

from p2pcli.rpc.exposure import Unprotected, check_protected, hosts_of, is_loopback, own_addresses

TABLE = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 127.0.0.0/8 2 0 2
           |-- 127.0.0.1
              /32 host LOCAL
     +-- 192.0.2.0/24 2 0 2
        |-- 192.0.2.0
           /24 link UNICAST
        |-- 192.0.2.7
           /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
Local:
        |-- 192.0.2.7
           /32 host LOCAL
        |-- 198.51.100.9
           /32 host LOCAL
"""


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "localhost", "::1"])
def test_loopback_is_known(host):
    assert is_loopback(host)
    check_protected("node client1", host, has_tls=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "example.org", "localhost.example.org", ""])
def test_everything_else_needs_tls(host):
    assert not is_loopback(host)
    check_protected("node client1", host, has_tls=True)
    with pytest.raises(Unprotected, match=r"node client1 would listen at .* without TLS") as refused:
        check_protected("node client1", host, has_tls=False)
    assert f"p2px cluster init --host {host}" in refused.value.hint


def test_the_kernels_table_names_this_machines_addresses():
    assert own_addresses(TABLE) == ["192.0.2.7", "198.51.100.9"]
    assert own_addresses("") == []


def test_every_address_found_can_be_bound():
    for address in own_addresses():
        with socket.create_server((address, 0)):
            pass


def test_a_certificate_is_for_the_name_and_every_address_listened_at():
    assert hosts_of("client1", "10.0.0.1") == ["10.0.0.1", "127.0.0.1", "localhost", "client1"]
    assert set(hosts_of("client1", "0.0.0.0")) >= {"0.0.0.0", "127.0.0.1", "client1", *own_addresses()}
