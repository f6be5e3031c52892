import select
import socket
from collections import deque

import pytest

from p2pcli.errors import Conflict
from p2pcli.registry.krpc import MAX_PACKET
from p2pcli.registry.udp import PortTaken, UdpSocket, address_towards


@pytest.fixture
def pair():
    one, other = UdpSocket("127.0.0.1", 0), UdpSocket("127.0.0.1", 0)
    yield one, other
    one.close()
    other.close()


def receive(one: UdpSocket) -> list:
    assert select.select([one], [], [], 10)[0], "nothing came"
    return list(one.received())


def test_datagrams_arrive_with_their_source(pair):
    one, other = pair
    one.send(deque([(b"hello", other.address), (b"", other.address), (b"x" * MAX_PACKET, other.address)]))
    packets = receive(other)
    while len(packets) < 3:
        packets += receive(other)
    assert packets == [(b"hello", one.address), (b"", one.address), (b"x" * MAX_PACKET, one.address)]


def test_nothing_is_there_when_nothing_came(pair):
    assert list(pair[0].received()) == []


def test_datagrams_that_cannot_be_sent_are_lost_and_the_rest_goes_on(pair):
    one, other = pair
    outbox = deque(
        [
            (b"x", ("127.0.0.1", 0)),
            (b"x", ("255.255.255.255", 1)),
            (b"x" * (MAX_PACKET + 1), other.address),
            (b"last", other.address),
        ]
    )
    one.send(outbox)
    assert not outbox
    assert receive(other) == [(b"last", one.address)]


def test_a_dead_receiver_does_not_break_the_socket(pair):
    one, other = pair
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        nowhere = gone.getsockname()
    for _ in range(3):
        one.send(deque([(b"x", nowhere)]))
        assert list(one.received()) == []
    other.send(deque([(b"still here", one.address)]))
    assert receive(one) == [(b"still here", other.address)]


def test_a_taken_port_is_named(pair):
    with pytest.raises(PortTaken, match=f"UDP port {pair[0].address[1]} on 127.0.0.1 is taken") as taken:
        UdpSocket("127.0.0.1", pair[0].address[1])
    assert isinstance(taken.value, Conflict)


def test_an_address_of_somebody_else_is_named():
    with pytest.raises(PortTaken, match=r"192\.0\.2\.1"):
        UdpSocket("192.0.2.1", 0)


def test_the_way_to_loopback_is_loopback():
    assert address_towards(("127.0.0.1", 20001)) == "127.0.0.1"
