"""Our registry among real Grapes and under real Grenache clients."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from p2pcli.registry.client import RegistryRefused
from p2pcli.registry.items import Item

from .conftest import Workshop, eventually, free_ports

pytestmark = [pytest.mark.node_js, pytest.mark.slow]


def at(*ports: int) -> list[tuple[str, int]]:
    return [("127.0.0.1", port) for port in ports]


def texts(*ports: int) -> list[str]:
    return [f"127.0.0.1:{port}" for port in ports]


# -- real clients at our registry ------------------------------------------------------------------------


@pytest.fixture
def pair(workshop: Workshop):
    """Two members of ours and a real client at each."""
    one = workshop.member()
    other = workshop.member(others=[one.dht_port])
    return workshop.peer(one.http), workshop.peer(other.http)


def test_real_clients_announce_look_up_and_store(pair):
    one, other = pair
    assert one.ask("lookup", name="nobody") == ("ERR_GRAPE_LOOKUP_EMPTY", None)
    assert one.ask("announce", name="rest:util:net", port=1337) == (None, 1)
    assert other.ask("announce", name="rest:util:net", port=1338) == (None, 1)
    for peer in pair:
        error, found = peer.ask("lookup", name="rest:util:net")
        assert error is None
        assert sorted(found) == texts(1337, 1338)
    assert one.ask("put", data={"v": "hello world"}) == (None, "6d33adc2b6b2c14c3036feefb7fedbca1a880527")
    error, item = other.ask("get", data="6d33adc2b6b2c14c3036feefb7fedbca1a880527")
    assert (error, item["v"]) == (None, "hello world")
    assert other.ask("get", data="00" * 20) == (None, "")


def test_real_clients_get_the_errors_they_know(pair):
    one, _ = pair
    assert one.ask("announce", name="svc", port="1337") == (None, "ERR_GRAPE_SERVICE_PORT")
    assert one.ask("announce", name="svc", port=70_000) == (None, "All queries failed")
    assert one.ask("put", data={"v": "x" * 1000}) == (None, "v must be less than 1000 bytes in put()")
    assert one.ask("put", data={"v": "x" * 20_000}) == ("ERR_GRAPE_PAYLOAD_SIZE", None)
    assert one.ask("get", data=None) == ("Cannot read properties of null (reading 'salt')", None)
    assert one.ask("put", data=item_fields(b"second", 2)) == (None, target_of_items())
    assert one.ask("put", data=item_fields(b"first", 1)) == ("302 sequence number less than current", None)
    assert one.ask("put", data=item_fields(b"third", 3, cas=1)) == (
        "301 CAS mismatch, re-read and try again",
        None,
    )


@pytest.mark.parametrize("transport", ["http", "ws"])
def test_real_services_find_each_other_through_our_registry(workshop: Workshop, pair, transport):
    server, client = pair
    (port,) = free_ports(1)
    assert server.ask("serve", transport=transport, name="echo", port=port) == (None, 1)
    for payload in ("hello", {"side": "buy", "price": "30000.01"}, [1, None, "é中"]):
        answer = client.ask("request", transport=transport, name="echo", payload=payload)
        assert answer == (None, {"echo": payload, "by": transport})
    assert client.ask("request", transport=transport, name="nobody", payload=1)[0] == "ERR_GRAPE_LOOKUP_EMPTY"


def test_a_real_map_call_reaches_every_service(workshop: Workshop):
    member = workshop.member()
    ports = free_ports(3)
    for port in ports:
        assert workshop.peer(member.http).ask("serve", transport="http", name="echo", port=port) == (None, 1)
    error, answers = workshop.peer(member.http).ask("map", transport="http", name="echo", payload="x")
    assert error is None
    assert answers == [{"echo": "x", "by": "http"}] * 3


def test_a_service_that_keeps_announcing_stays_and_one_that_stops_goes(workshop: Workshop):
    # A maximum age of 1.5 s: entries live 1 to 2 s, and in the memory of lookups 1 s more.
    member = workshop.member(peer_max_age_s=1.5)
    peer = workshop.peer(member.http)
    client = workshop.client(member)
    assert peer.ask("keepAnnouncing", name="alive", port=1, interval=400)[0] is None
    assert client.announce("gone", 2) == 1
    eventually(lambda: client.lookup("gone"), lambda found: found == [])
    assert client.lookup("alive") == at(1)


# -- one ring of both kinds ------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["ours first", "real first", "mixed"])
def test_both_kinds_form_one_ring_in_any_start_order(workshop: Workshop, order):
    dht, http = free_ports(4), free_ports(2)

    def real(number: int):
        return workshop.grape(dht[number], http[number], [port for port in dht if port != dht[number]])

    def ours(number: int):
        return workshop.member(dht[number], dht)

    starts = {
        "ours first": [(ours, 2), (ours, 3), (real, 0), (real, 1)],
        "real first": [(real, 0), (real, 1), (ours, 2), (ours, 3)],
        "mixed": [(ours, 2), (real, 0), (ours, 3), (real, 1)],
    }
    clients = {number: workshop.client(start(number)) for start, number in starts[order]}
    for number, client in clients.items():
        # A real Grape finds the ring by its own lookups: it may take a second one.
        eventually(lambda client=client, number=number: holders(client, number), lambda count: count == 3)
    for asker in clients.values():
        for number in clients:
            assert asker.lookup(f"svc{number}") == at(1000 + number)
    keys = {number: client.put(f"item of {number}") for number, client in clients.items()}
    for asker in clients.values():
        for number, key in keys.items():
            item = asker.get(key)
            assert item is not None
            assert item["v"] == f"item of {number}"


def holders(client, number: int) -> int:
    try:
        return client.announce(f"svc{number}", 1000 + number)
    except RegistryRefused:
        client.lookup(f"svc{number}")  # makes a real Grape forget its stale tokens
        return 0


def test_real_grapes_go_on_announcing_when_a_member_of_ours_restarts(workshop: Workshop):
    # When a real Grape restarts, re-announces of known names fail for minutes: new id, new tokens.
    dht, http = free_ports(2), free_ports(1)
    first = workshop.member(dht[1], dht, name="kept")
    client = workshop.client(workshop.grape(dht[0], http[0], [dht[1]]))
    names = [f"svc{number}" for number in range(20)]
    for name in names:
        assert client.announce(name, 1337) == 1
    first.stop()
    again = workshop.member(dht[1], dht, name="kept")
    for name in names:
        assert client.announce(name, 1337) == 1
    assert workshop.client(again).lookup("svc0") == at(1337)


def test_our_announces_go_on_when_a_real_grape_restarts(workshop: Workshop):
    dht, http = free_ports(2), free_ports(1)
    client = workshop.client(workshop.member(dht[1], dht))
    grape = workshop.grape(dht[0], http[0], [dht[1]])
    eventually(lambda: client.announce("svc", 1337), lambda count: count == 1)
    grape.stop()
    again = workshop.grape(dht[0], http[0], [dht[1]])
    assert client.announce("svc", 1337) == 1
    assert workshop.client(again).lookup("svc") == at(1337)


# -- mutable items ---------------------------------------------------------------------------------------

SECRET = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)


def item_fields(v: bytes, seq: int, cas: int | None = None) -> dict[str, object]:
    """A signed item as the API takes it."""
    public = SECRET.public_key().public_bytes_raw()
    signature = SECRET.sign(Item(v, public, b"", seq, b"p2px").signed_bytes())
    fields = {"v": v.decode(), "k": public.hex(), "sig": signature.hex(), "seq": seq, "salt": "p2px"}
    return fields if cas is None else {**fields, "cas": cas}


def target_of_items() -> str:
    return Item(b"", SECRET.public_key().public_bytes_raw(), salt=b"p2px").target().hex()


def test_a_mutable_item_of_one_kind_is_read_and_updated_by_the_other(workshop: Workshop):
    dht, http = free_ports(4), free_ports(2)
    for number in (0, 1):
        workshop.verifying_grape(dht[number], http[number], dht[:2])
    members = [workshop.member(port, dht) for port in dht[2:]]
    grapes = [workshop.client(RegistryAddress(port)) for port in http]
    ours = [workshop.client(member) for member in members]
    for client in grapes + ours:  # until everybody knows everybody
        eventually(lambda client=client: holders(client, 0), lambda count: count == 3)
    key = {"hash": target_of_items(), "salt": "p2px"}

    def everybody_reads(v: str, seq: int) -> None:
        for client in grapes + ours:
            item = client.get({**key, "cache": False})
            assert item is not None
            assert (item["v"], item["seq"]) == (v, seq)

    assert grapes[0].put(item_fields(b"by a Grape", 1)) == target_of_items()
    everybody_reads("by a Grape", 1)
    assert ours[0].put(item_fields(b"by p2px", 2)) == target_of_items()
    everybody_reads("by p2px", 2)
    assert grapes[1].put(item_fields(b"by a Grape again", 3, cas=2)) == target_of_items()
    everybody_reads("by a Grape again", 3)
    for client in grapes + ours:
        with pytest.raises(RegistryRefused, match="302 sequence number less than current"):
            client.put(item_fields(b"old", 2))
        with pytest.raises(RegistryRefused, match="301 CAS mismatch"):
            client.put(item_fields(b"new", 9, cas=1))
    everybody_reads("by a Grape again", 3)


class RegistryAddress:
    """Where a registry is, for a client."""

    def __init__(self, http_port: int) -> None:
        self.http = f"127.0.0.1:{http_port}"
