"""A machine shows a token to a real node and becomes one of the cluster, or is told why not."""

import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import msgspec
import pytest

from p2pcli.cluster.enrol import NobodyEnrols, WrongCluster, enrol
from p2pcli.cluster.folder import ClusterFolder
from p2pcli.errors import P2pxError
from p2pcli.market.commands import Place, Side
from p2pcli.market.instrument import UNITS, Instrument
from p2pcli.node.client import ExchangeClient
from p2pcli.node.plan import NodePlan
from p2pcli.node.process import run
from p2pcli.node.requests import BadRequest, Forbidden
from p2pcli.node.rotating import MachineKeys
from p2pcli.node.rotation import Phase
from p2pcli.node.tls_folder import TlsFolder
from p2pcli.node.tokens import Tokens, read_token
from p2pcli.rpc.auth import SecretRetired, TokenRefused, WrongSecret
from p2pcli.rpc.certificates import facts, fingerprint, new_request
from p2pcli.rpc.credentials import Credentials
from p2pcli.rpc.handshake import ask_authority
from p2pcli.rpc.tcp import ConnectionLost
from p2pcli.rpc.tls import CertificateRefused

BTC = Instrument("BTC/USD", 1, UNITS // 100, 1, 10**9, 10**13)


class First:
    """The first machine of a cluster: its folder with the CA, and one node of it, in a thread."""

    def __init__(self, home: Path, name: str = "default") -> None:
        self.folder = ClusterFolder(home, name)
        self.folder.prepare()
        self.tls = TlsFolder(self.folder.tls)
        self.tls.found(name, int(time.time()))
        self.tokens = Tokens(self.tls.tokens_path)
        self._stop, serving = threading.Event(), threading.Event()

        def ready(addresses: dict[str, str]) -> None:
            self.address = addresses["rpc"]
            serving.set()

        plan = NodePlan(
            name,
            "client1",
            str(self.folder.nodes / "client1"),
            f"sqlite://{self.folder.data}",
            [BTC],
            str(self.folder.secret_path),
            durable=False,
            tls=str(self.folder.tls),
        )
        self._thread = threading.Thread(target=run, args=(plan, ready, self._stop))
        self._thread.start()
        assert serving.wait(30)

    def token(self, expires_in: float = 3600, **changes: object) -> str:
        now = int(time.time())
        ca = fingerprint(self.folder.authority())
        token = self.tokens.create(
            self.folder.newest_secret(), self.folder.name, [self.address], ca, now + int(expires_in), now
        )
        return msgspec.structs.replace(token, **changes).text

    def joiner(self, text: str) -> ExchangeClient:
        """Return a connection of a machine that shows this token."""
        host, _, port = self.address.rpartition(":")
        token = read_token(text)
        return ExchangeClient(host, int(port), token.credentials(self.tls.authority()))

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(30)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    first = First(tmp_path_factory.mktemp("first"))
    yield first
    first.stop()


@pytest.fixture
def second(tmp_path) -> ClusterFolder:
    return ClusterFolder(tmp_path / "second", "default")


def is_untouched(folder: ClusterFolder) -> bool:
    return not folder.path.exists()


def test_a_machine_with_a_token_becomes_one_of_the_cluster(first, second):
    enrol(first.token(), "bob", "10.0.0.2", second)
    assert second.credentials() == first.folder.credentials()
    assert not TlsFolder(second.tls).can_sign
    path = second.tls / "nodes" / "bob.pem"
    said = facts(path.read_text())
    assert said.name == "bob"
    assert said.hosts == {"10.0.0.2", "127.0.0.1", "localhost", "bob"}
    for private in (path, second.secret_path, second.tls / "ca.pem"):
        assert private.stat().st_mode & 0o777 == 0o600
    issued = TlsFolder(second.tls).issued("bob", ["10.0.0.2", "bob"], int(time.time()))
    assert issued == path
    host, _, port = first.address.rpartition(":")
    with ExchangeClient(host, int(port), second.credentials()) as client:
        assert client.status().name == "client1"


def test_it_may_enrol_again_and_under_another_name(first, second):
    token = first.token()
    for name in ("bob", "bob", "carol"):
        enrol(token, name, "127.0.0.1", second)
    assert sorted(path.name for path in (second.tls / "nodes").iterdir()) == ["bob.pem", "carol.pem"]


def test_an_expired_token_is_refused(first, second):
    now = int(time.time())
    ca = fingerprint(first.tls.authority())
    old = first.tokens.create(first.folder.secret(), "default", [first.address], ca, now - 5, now - 100)
    with pytest.raises(TokenRefused, match=f"join token {old.id} has expired .* ago") as refused:
        enrol(old.text, "bob", "127.0.0.1", second)
    assert "p2px cluster token create" in refused.value.hint
    assert is_untouched(second)


def test_a_revoked_token_is_refused(first, second):
    text = first.token()
    first.tokens.revoke(read_token(text).id)
    with pytest.raises(TokenRefused, match="was revoked"):
        enrol(text, "bob", "127.0.0.1", second)
    assert is_untouched(second)


def test_a_token_revoked_while_its_holder_waits_is_refused(first):
    text = first.token()
    with first.joiner(text) as joiner:
        first.tokens.revoke(read_token(text).id)
        with pytest.raises(P2pxError, match="was revoked"):
            joiner.enrol("bob", ["127.0.0.1"], new_request("bob").certificate)


@pytest.mark.parametrize(
    "change",
    [{"key": b"x" * 32}, {"id": "0123456789ab"}, {"expires": 1_999_999_999}],
    ids=["key", "id", "expiry"],
)
def test_a_forged_token_is_refused(first, second, change):
    with pytest.raises(WrongSecret, match="is none of the cluster at"):
        enrol(first.token(**change), "bob", "127.0.0.1", second)
    assert is_untouched(second)


def test_a_token_of_another_cluster_is_refused(first, second, tmp_path):
    with pytest.raises(WrongCluster, match="the token is for cluster other, not for default"):
        enrol(first.token(cluster="other"), "bob", "127.0.0.1", second)
    assert is_untouched(second)
    second.prepare()  # this machine has a cluster of that name already
    kept = second.secret()
    with pytest.raises(WrongCluster, match="belongs to another cluster that is called default as well"):
        enrol(first.token(), "bob", "127.0.0.1", second)
    assert second.secret() == kept


def test_nobody_but_the_cas_own_nodes_is_shown_the_token(first, second):
    with pytest.raises(CertificateRefused, match="it is not the one expected"):
        enrol(first.token(fingerprint="ab" * 32), "bob", "127.0.0.1", second)
    assert is_untouched(second)


def test_nodes_that_do_not_answer_are_passed_over(first, second):
    enrol(first.token(addresses=["127.0.0.1:1", first.address]), "bob", "127.0.0.1", second)
    assert second.secret() == first.folder.secret()


def test_when_none_answers_that_is_said(first, second):
    with pytest.raises(NobodyEnrols, match="no node that the token names answers: nothing listens at"):
        enrol(first.token(addresses=["127.0.0.1:1"]), "bob", "127.0.0.1", second)


def test_a_node_without_the_cas_key_cannot_sign(first, second):
    key = first.folder.tls / "ca.key"
    kept = key.rename(key.with_suffix(".away"))
    try:
        with pytest.raises(TokenRefused, match="client1 cannot sign certificates: the CA's key is not"):
            enrol(first.token(), "bob", "127.0.0.1", second)
    finally:
        kept.rename(key)


def test_the_holder_of_a_token_may_enrol_and_nothing_else(first):
    with first.joiner(first.token()) as joiner:
        for ask in (
            joiner.status,
            lambda: joiner.book("BTC/USD"),
            lambda: joiner.snapshot("BTC/USD"),
            lambda: joiner.reset_breaker("client2"),
            lambda: joiner.submit("BTC/USD", [Place(Side.BUY, 1, 1)]),
        ):
            with pytest.raises(Forbidden, match="may enrol and nothing else"):
                ask()


@pytest.mark.parametrize("name", ["", "../x", "a b", "x" * 65, "-x"])
def test_a_name_that_is_none_is_refused(first, name):
    with first.joiner(first.token()) as joiner, pytest.raises(BadRequest, match="a node's name is"):
        joiner.enrol(name, ["127.0.0.1"], new_request("bob").certificate)


@pytest.mark.parametrize("hosts", [[], ["a b"], ["10.0.0.1"] * 65, [""]])
def test_addresses_that_are_none_are_refused(first, hosts):
    with first.joiner(first.token()) as joiner, pytest.raises(BadRequest, match="1 to 64 addresses"):
        joiner.enrol("bob", hosts, new_request("bob").certificate)


def test_a_request_that_is_none_is_refused_and_the_next_is_not(first):
    with first.joiner(first.token()) as joiner:
        with pytest.raises(P2pxError, match="cannot sign for bob"):
            joiner.enrol("bob", ["127.0.0.1"], "nothing")
        assert joiner.enrol("bob", ["127.0.0.1"], new_request("bob").certificate).secret


def test_an_operator_needs_no_enrolment(first):
    host, _, port = first.address.rpartition(":")
    with (
        ExchangeClient(host, int(port), first.folder.credentials()) as client,
        pytest.raises(BadRequest, match="only who holds a join token may enrol"),
    ):
        client.enrol("bob", ["127.0.0.1"], new_request("bob").certificate)


def test_who_the_ca_is_is_told_to_everybody(first):
    host, _, port = first.address.rpartition(":")
    ca = first.tls.authority()
    assert ask_authority(host, int(port), fingerprint(ca)) == ca


def test_what_a_machine_is_given_is_not_shown_by_accident(first):
    with first.joiner(first.token()) as joiner:
        given = joiner.enrol("bob", ["127.0.0.1"], new_request("bob").certificate)
    assert repr(given) == "Enrolled(...)"


# -- while the cluster's secret and CA are replaced -------------------------------------------------


@pytest.fixture
def rotating(tmp_path) -> Iterator[First]:
    """A first machine of its own whose node has heard that a rotation has begun."""
    first = First(tmp_path / "rotating")
    yield first
    first.stop()


def told(first: First, phase: Phase | None = None) -> None:
    """Take a step on the first machine's disk, and have its node hear of it."""
    keys = MachineKeys(first.folder.secret_path, first.folder.tls)
    before = first.folder.credentials()
    if phase is None:
        keys.begin("default", int(time.time()))
    else:
        keys.advance(phase)
        before = Credentials(first.folder.newest_secret(), first.folder.authority())
    host, _, port = first.address.rpartition(":")
    with ExchangeClient(host, int(port), before) as client:
        assert client.rotate().phase == (phase or Phase.BEGUN).value


def test_the_new_secret_is_not_given_for_a_token_of_the_old_one(rotating, second):
    old = rotating.token()

    def refused(kind: type[P2pxError], said: str, **changes: str) -> None:
        with pytest.raises(kind, match=said):
            enrol(msgspec.structs.replace(read_token(old), **changes).text, "bob", "127.0.0.1", second)
        assert is_untouched(second)

    for phase in (None, *list(Phase)[1:]):
        told(rotating, phase)
        if phase is not None:  # the node shows certificates of the new CA, which an old token does not name
            refused(CertificateRefused, "or its CA was replaced|was not signed by this cluster's CA")
        ended = "of this cluster that was replaced" if phase is Phase.FINISHED else "that is being replaced"
        ca = fingerprint(rotating.folder.authority())
        refused(TokenRefused, f"was made with a secret {ended}", fingerprint=ca)


@pytest.mark.parametrize("phase", list(Phase))
def test_a_machine_that_enrols_meanwhile_is_as_far_as_the_first(rotating, second, phase):
    enrol(rotating.token(), "bob", "127.0.0.1", second)  # before, and again when it has begun
    told(rotating)
    for further in list(Phase)[1 : list(Phase).index(phase) + 1]:
        told(rotating, further)
    enrol(rotating.token(), "bob", "127.0.0.1", second)
    assert second.credentials() == rotating.folder.credentials()
    shown = MachineKeys(second.secret_path, second.tls).shown()
    path = shown.issued("bob", ["127.0.0.1", "bob"], int(time.time()))
    assert facts(path.read_text()).name == "bob"
    if phase is Phase.SWITCHED:  # it holds all that the last step needs
        told(rotating, Phase.FINISHED)
        MachineKeys(second.secret_path, second.tls).advance(Phase.FINISHED)
        assert second.credentials() == rotating.folder.credentials()
        assert not (second.tls / "next").exists()


def test_who_has_the_old_secret_alone_moves_no_rotation(rotating):
    old = rotating.folder.credentials()
    told(rotating)
    host, _, port = rotating.address.rpartition(":")
    with ExchangeClient(host, int(port), old) as client:
        for phase in ("switched", "finished"):
            with pytest.raises(Forbidden, match="who has proved the new secret"):
                client.rotate(phase)
        assert client.rotate().phase == "begun"
    newest = Credentials(rotating.folder.newest_secret(), rotating.folder.authority())
    with (
        ExchangeClient(host, int(port), newest) as client,
        pytest.raises(BadRequest, match="a rotation has no phase 'ended'"),
    ):
        client.rotate("ended")


def test_the_end_of_the_old_secret_ends_its_conversations(rotating):
    host, _, port = rotating.address.rpartition(":")
    old = rotating.folder.credentials()
    with ExchangeClient(host, int(port), old) as client:
        told(rotating)
        told(rotating, Phase.SWITCHED)
        assert client.status().name == "client1"
        told(rotating, Phase.FINISHED)
        with pytest.raises(ConnectionLost):
            all(client.status() for _ in count())
    trusting = msgspec.structs.replace(old, ca=rotating.folder.authority())
    with pytest.raises(SecretRetired, match="the caller has the one before"):
        ExchangeClient(host, int(port), trusting)
