"""``p2px cluster token``: made, listed, revoked, on the machine that has the CA's key."""

from collections.abc import Iterator

import pytest

from p2pcli.cluster.enrol import enrol
from p2pcli.cluster.folder import ClusterFolder
from p2pcli.node.tokens import read_token
from p2pcli.rpc.auth import TokenRefused

pytestmark = pytest.mark.slow


@pytest.fixture
def own(nowhere) -> Iterator:
    """A shell for a cluster of its own; whatever a test leaves running is stopped."""
    yield nowhere
    assert nowhere("cluster", "down", "--wipe").code == 0


def test_a_token_lets_a_machine_join_until_it_is_revoked(own, tmp_path):
    assert own("cluster", "init", "--host", "127.0.0.1").code == 0
    stopped = own("cluster", "token", "create")
    assert (stopped.code, stopped.err.splitlines()[0]) == (3, "error: no cluster is running")
    assert own("cluster", "up", "-n", "1").code == 0
    assert (
        "no join token was made here" in own("cluster", "token", "ls").out + own("cluster", "token", "ls").err
    )

    said = own("cluster", "token", "create", "--expires", "10m")
    assert said.code == 0
    (text,) = said.out.splitlines()
    token = read_token(text)
    assert f"join token {token.id} is good until" in said.err
    assert text not in said.err

    other = ClusterFolder(tmp_path / "other", "default")
    enrol(text, "bob", "127.0.0.1", other)
    assert other.credentials() == own.folder.credentials()

    assert own("cluster", "token", "ls", "-o", "json").json == [
        {"id": token.id, "expires": token.expires, "state": "good"}
    ]
    assert own("cluster", "token", "revoke", token.id).code == 0
    assert own("cluster", "token", "ls").out.split()[-1] == "revoked"
    with pytest.raises(TokenRefused, match="was revoked"):
        enrol(text, "carol", "127.0.0.1", other)
    assert own("cluster", "token", "revoke", "0123").code == 4


def test_without_the_cas_key_no_token_is_made(own):
    said = own("cluster", "token", "create")
    assert said.code == 2
    assert "the CA's key of cluster default is not on this machine" in said.err


@pytest.mark.parametrize("length", ["0s", "31d", "soon"])
def test_a_length_out_of_bounds_is_refused(own, length):
    said = own("cluster", "token", "create", "--expires", length)
    assert said.code == 2
    assert said.err.startswith("error: ")
