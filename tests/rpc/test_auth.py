"""The handshake's rules, without sockets: every field is covered, nothing can be reflected."""

import msgspec
import pytest

from p2pcli.rpc.auth import (
    NONCE_BYTES,
    VERSION,
    BadHandshake,
    Challenge,
    Hello,
    OtherVersion,
    Proof,
    WrongSecret,
    caller_proof,
    check_challenge,
    check_hello,
    is_proven,
    node_proof,
    proving_key,
)
from p2pcli.rpc.credentials import Credentials

SECRET = b"s" * 32
HELLO = Hello(VERSION, b"c" * NONCE_BYTES, owner="client1")


def challenge(secret: bytes = SECRET) -> Challenge:
    nonce = b"n" * NONCE_BYTES
    return Challenge(VERSION, nonce, "node1", "default", node_proof(secret, HELLO, nonce, "node1", "default"))


def test_both_sides_with_one_secret_believe_each_other():
    check_challenge(SECRET, HELLO, challenge(), "here")
    assert is_proven(SECRET, HELLO, challenge(), Proof(caller_proof(SECRET, HELLO, challenge())))


def test_a_node_with_another_secret_is_not_believed():
    with pytest.raises(WrongSecret, match="here belongs to another cluster"):
        check_challenge(SECRET, HELLO, challenge(b"x" * 32), "here")


def test_a_caller_with_another_secret_is_not_believed():
    assert not is_proven(SECRET, HELLO, challenge(), Proof(caller_proof(b"x" * 32, HELLO, challenge())))


@pytest.mark.parametrize(
    "change",
    [{"owner": "client2"}, {"nonce": b"d" * NONCE_BYTES}, {"role": 2}, {"caller": "x"}, {"caller_port": 1}],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_greeting_voids_both_proofs(change):
    other = msgspec.structs.replace(HELLO, **change)
    with pytest.raises(WrongSecret):
        check_challenge(SECRET, other, challenge(), "here")
    assert not is_proven(SECRET, other, challenge(), Proof(caller_proof(SECRET, HELLO, challenge())))


@pytest.mark.parametrize("change", [{"node": "node2"}, {"cluster": "other"}, {"nonce": b"m" * NONCE_BYTES}])
def test_a_changed_introduction_is_not_believed(change):
    with pytest.raises(WrongSecret):
        check_challenge(SECRET, HELLO, msgspec.structs.replace(challenge(), **change), "here")


def test_every_name_and_role_is_proven_with_a_key_of_its_own():
    hellos = [
        msgspec.structs.replace(HELLO, **change)
        for change in ({}, {"owner": "bob"}, {"role": 2, "caller": "client1"}, {"role": 2, "caller": "bob"})
    ]
    assert len({proving_key(Credentials(SECRET), hello) for hello in hellos}) == len(hellos)


def test_credentials_show_no_secret():
    assert repr(Credentials(SECRET)) == "Credentials(...)"


def test_the_nodes_own_proof_does_not_prove_a_caller():
    assert not is_proven(SECRET, HELLO, challenge(), Proof(challenge().proof))


def test_another_version_is_named_on_both_sides():
    with pytest.raises(OtherVersion, match="version 99, this node 4"):
        check_hello(msgspec.structs.replace(HELLO, version=99))
    with pytest.raises(OtherVersion, match="version 1, this node 4; both need the same p2px"):
        check_hello(Hello(1, b"c" * NONCE_BYTES))
    with pytest.raises(OtherVersion, match="version 99, this client 4"):
        check_challenge(SECRET, HELLO, msgspec.structs.replace(challenge(), version=99), "here")


@pytest.mark.parametrize("change", [{"nonce": b"short"}, {"owner": "x" * 65}, {"caller": "a\nb"}])
def test_a_greeting_out_of_bounds_is_refused(change):
    with pytest.raises(BadHandshake):
        check_hello(msgspec.structs.replace(HELLO, **change))
