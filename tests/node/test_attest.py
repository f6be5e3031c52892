"""Digests in the log: the minority stops, the majority goes on, and trimming waits for everyone alive."""

import pytest

from p2pcli.market.commands import Checkpoint
from p2pcli.node.attest import INTERVAL, LEFT, REMEMBERED, SILENT, Attestations, StateDiffers

GOOD, BAD = b"good" * 8, b"bad!" * 8


def attesting(own: bytes = GOOD) -> Attestations:
    node = Attestations("client1")
    assert node.computed(INTERVAL, own)
    return node


def claim(digest: bytes = GOOD, snapshot: int = 0, sequence: int = INTERVAL) -> Checkpoint:
    return Checkpoint(sequence, digest, snapshot)


def test_a_checkpoint_is_due_every_interval():
    node = Attestations("client1")
    assert [n for n in range(1, 3 * INTERVAL) if node.computed(n, GOOD)] == [INTERVAL, 2 * INTERVAL]


def judged(node: Attestations) -> None:
    """An interval later the digests are compared."""
    node.computed(2 * INTERVAL, b"later")


def test_equal_digests_are_no_trouble():
    node = attesting()
    for at, peer in enumerate(("client1", "client2", "client3"), INTERVAL + 1):
        node.heard(at, peer, claim())
    judged(node)


@pytest.mark.parametrize("first", ["client2", "client3"])
def test_one_differing_peer_of_three_does_not_stop_the_others(first):
    node = attesting()
    claims = {"client2": claim(BAD), "client3": claim()}
    for peer in sorted(claims, key=lambda name: name != first):
        node.heard(1001, peer, claims[peer])
    judged(node)


def test_the_node_that_differs_from_two_peers_stops():
    node = attesting(own=BAD)
    for peer, digest in (("client1", BAD), ("client2", GOOD), ("client3", GOOD)):
        node.heard(1001, peer, claim(digest))
    with pytest.raises(StateDiffers, match=r"at sequence 1000 this node's digest .* of client2, client3"):
        judged(node)


def test_of_two_nodes_that_differ_both_stop():
    for own, other in ((GOOD, BAD), (BAD, GOOD)):
        node = attesting(own)
        node.heard(1002, "client2", claim(other))
        with pytest.raises(StateDiffers):
            judged(node)


def test_a_claim_about_a_sequence_this_node_has_no_digest_of_is_passed_over():
    node = Attestations("client1")
    node.heard(1001, "client2", claim(BAD))
    judged(node)


def test_what_is_remembered_is_bounded():
    node = Attestations("client1")
    for number in range(1, 3 * REMEMBERED):
        node.computed(number * INTERVAL, GOOD)
        node.heard(number * INTERVAL + 1, "client2", claim(sequence=number * INTERVAL))
    assert len(node._own) == len(node._claims) == REMEMBERED


BOTH = ("client1", "client2")


def test_trimming_waits_for_the_oldest_snapshot_of_a_living_node():
    node = attesting()
    assert node.trim_before(1000, BOTH) == 0
    node.heard(1001, "client1", claim(snapshot=900))
    node.heard(1002, "client2", claim(snapshot=400))
    assert node.trim_before(1003, BOTH) == 400


def test_a_node_without_a_snapshot_holds_up_trimming_until_it_is_long_silent():
    node = attesting()
    node.heard(1001, "client1", claim(snapshot=900))
    node.heard(1002, "client2", claim(snapshot=0))
    assert node.trim_before(1002 + SILENT, BOTH) == 0
    node.heard(1003 + SILENT, "client1", claim(snapshot=950))
    assert node.trim_before(1003 + SILENT, BOTH) == 950


def test_a_node_that_left_holds_up_nothing_until_it_is_back():
    node = attesting()
    node.heard(1001, "client1", claim(snapshot=900))
    node.heard(1002, "client2", claim(snapshot=LEFT))
    assert node.trim_before(1003, BOTH) == 900
    node.heard(1003, "client1", claim(snapshot=LEFT))
    assert node.trim_before(1004, BOTH) == 0, "when all have left, nobody says that nothing is needed"
    node.heard(1005, "client2", claim(snapshot=500))
    assert node.trim_before(1006, BOTH) == 500


def test_a_node_that_was_not_heard_since_a_restart_holds_up_trimming_too():
    node = Attestations("client1", began=5000)
    node.heard(6001, "client1", claim(snapshot=5500))
    assert node.trim_before(6002, BOTH) == 0
    node.heard(6001 + SILENT, "client1", claim(snapshot=5500))
    assert node.trim_before(6001 + SILENT, BOTH) == 5500
