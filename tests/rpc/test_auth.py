"""The handshake's rules, without sockets: every field is covered, nothing can be reflected."""

import msgspec
import pytest

from p2pcli.rpc.auth import (
    NONCE_BYTES,
    VERSION,
    Away,
    BadHandshake,
    Challenge,
    Hello,
    KeyRefused,
    OtherVersion,
    Proof,
    SecretRetired,
    TokenRefused,
    WrongSecret,
    caller_proof,
    check_challenge,
    check_current,
    check_hello,
    introduced,
    is_proven,
    node_proof,
    proving_key,
    turned_away,
)
from p2pcli.rpc.credentials import Credentials, secret_id

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
    with pytest.raises(OtherVersion, match=f"version 99, this node {VERSION}"):
        check_hello(msgspec.structs.replace(HELLO, version=99))
    with pytest.raises(OtherVersion, match="version 5, this node 6; both need the same p2px"):
        check_hello(Hello(5, b"c" * NONCE_BYTES))
    with pytest.raises(OtherVersion, match=f"version 99, this client {VERSION}"):
        check_challenge(SECRET, HELLO, msgspec.structs.replace(challenge(), version=99), "here")


@pytest.mark.parametrize("change", [{"nonce": b"short"}, {"owner": "x" * 65}, {"caller": "a\nb"}])
def test_a_greeting_out_of_bounds_is_refused(change):
    with pytest.raises(BadHandshake):
        check_hello(msgspec.structs.replace(HELLO, **change))


# -- while a secret is replaced --------------------------------------------------------------------

NEW = b"n" * 32


@pytest.mark.parametrize("holds", [SECRET, NEW], ids=["old", "new"])
@pytest.mark.parametrize("node", [Credentials(SECRET, accepted=(NEW,)), Credentials(NEW, accepted=(SECRET,))])
def test_while_two_secrets_are_good_each_is_answered_with_itself(holds, node):
    hello = introduced(Credentials(holds), b"c" * NONCE_BYTES, "ann", 1, "", 0)
    assert proving_key(node, hello) == proving_key(Credentials(holds), hello)


@pytest.mark.parametrize(
    ("role", "error", "said"),
    [
        (1, SecretRetired, "the caller has the one before"),
        (2, SecretRetired, "the caller has the one before"),
        (3, KeyRefused, "key k1 of ann was made with a secret of this cluster that was replaced"),
        (4, TokenRefused, "join token k1 was made with a secret of this cluster that was replaced"),
    ],
)
def test_whoever_has_a_secret_that_was_replaced_is_told_so(role, error, said):
    hello = Hello(VERSION, b"c" * NONCE_BYTES, "ann", role, key="k1", secret_id=secret_id(SECRET))
    with pytest.raises(error, match=said):
        check_current(hello, (secret_id(SECRET),))
    check_current(hello, (secret_id(NEW),))
    told = turned_away(Away(error.code, said), "here")
    assert type(told) is error
    assert "p2px" in told.hint


def test_the_id_of_a_secret_says_nothing_of_it():
    assert len({secret_id(SECRET), secret_id(NEW)}) == 2
    assert SECRET.hex()[:16] not in secret_id(SECRET)
