"""``p2px cluster init``: a cluster that speaks TLS, and refuses to be reached without it."""

import socket
from collections.abc import Iterator

import pytest
from etcd_members import eventually

from p2pcli.node.client import ExchangeClient
from p2pcli.rpc.auth import OtherTls
from p2pcli.rpc.credentials import Credentials
from p2pcli.rpc.exposure import own_addresses
from p2pcli.rpc.tls import CertificateRefused

pytestmark = pytest.mark.slow


@pytest.fixture
def own(nowhere) -> Iterator:
    """A shell for a cluster of its own; whatever a test leaves running is stopped."""
    yield nowhere
    nowhere.hang_up()
    assert nowhere("cluster", "down", "--wipe").code == 0


def test_a_cluster_with_a_ca_speaks_tls_at_every_address(own):
    file = str(own.cwd / "cluster.yaml")
    said = own("cluster", "init", "--host", "0.0.0.0", "--out", file)
    assert said.code == 0
    assert "cluster default has a CA now" in said.err
    assert f"next: p2px cluster up -f {file}" in said.err

    up = own("cluster", "up", "-n", "2", "-f", file)
    assert up.code == 0, up.err
    assert own("order", "buy", "0.5@30000", "--node", "client1").code == 0
    assert own("verify").code == 0
    report = own.folder.report()
    host, _, port = report.child("client1").addresses["rpc"].rpartition(":")
    assert host == "0.0.0.0"
    credentials = own.folder.credentials()
    for address in ["127.0.0.1", *own_addresses()]:
        with ExchangeClient(address, int(port), credentials) as client:
            assert client.node == "client1"
            eventually(lambda: set(client.status().peers) == {"client2"}, 30.0)
    with pytest.raises(OtherTls, match="this node speaks TLS and nothing else"):
        ExchangeClient("127.0.0.1", int(port), Credentials(credentials.secret))
    with pytest.raises(CertificateRefused):
        ExchangeClient("127.0.0.2", int(port), credentials)  # loopback too, but nobody's address
    callers = own("registry", "lookup", "p2px:exchange", "-o", "json")
    assert "127.0.0.1" not in callers.out, "what only this machine reaches was announced"
    metrics = own("node", "info", "client1", "-o", "json").json["metrics"]
    assert metrics is None
    assert report.child("client1").addresses["grenache"].startswith("127.0.0.1:")

    with own.client("client1") as client:
        peers = client.status().peers
    assert set(peers) == {"client2"}, "a node that listens everywhere is not its own peer"


def test_a_file_that_is_something_else_is_left_alone_and_nothing_is_made(own):
    (own.cwd / "notes.txt").write_text("mine")
    said = own("cluster", "init", "--out", str(own.cwd / "notes.txt"))
    assert (said.code, (own.cwd / "notes.txt").read_text()) == (6, "mine")
    assert not own.folder.path.exists()


def test_a_cluster_that_runs_without_tls_is_not_given_a_ca(own):
    assert own("cluster", "up", "-n", "1").code == 0
    said = own("cluster", "init")
    assert said.code == 6
    assert said.err.startswith("error: cluster default is running without TLS")
    assert own("order", "buy", "1@5").code == 0
    assert own("cluster", "down").code == 0
    assert own("cluster", "init").code == 0
    assert own("cluster", "up").code == 0
    assert own("cluster", "init").code == 0
    assert own("order", "ls", "-o", "json").json[0]["price"] == "5.00"


def test_repeating_it_changes_nothing(own):
    file = own.cwd / "cluster.yaml"
    words = ("cluster", "init", "--host", "127.0.0.1", "--market", "ETH/USD", "--out", str(file))
    assert own(*words).code == 0
    kept = {path: path.read_bytes() for path in own.home.rglob("*") if path.is_file()}
    text = file.read_text()
    again = own(*words)
    assert (again.code, "cluster default had a CA already" in again.err) == (0, True)
    assert {path: path.read_bytes() for path in own.home.rglob("*") if path.is_file()} == kept
    assert file.read_text() == text

    other = own("cluster", "init", "--host", "10.0.0.1", "--out", str(file))
    assert other.code == 6
    assert other.err.startswith(f"error: {file} is there already and is not what this would write")
    assert file.read_text() == text
    printed = own("cluster", "init", "--host", "127.0.0.1", "--market", "ETH/USD")
    assert printed.out == text
    document = own("cluster", "init", "-o", "json").json
    assert document["is_new"] is False
    assert len(document["fingerprint"]) == 64


def test_the_cluster_file_is_read_like_any_settings_and_holds_no_secret(own):
    file = str(own.cwd / "cluster.yaml")
    assert (
        own("cluster", "init", "--host", "10.1.2.3", "--log", "etcd://10.1.2.3:2379", "--out", file).code == 0
    )
    rows = {row["setting"]: row for row in own("config", "show", "--config", file, "-o", "json").json}
    assert rows["cluster.host"]["value"] == "10.1.2.3"
    assert rows["log.url"]["value"] == "etcd://10.1.2.3:2379"
    assert rows["registry.grapes"]["value"].startswith("10.1.2.3:")
    assert rows["cluster.ca"]["value"].startswith("-----BEGIN CERTIFICATE----- ")
    assert all(
        rows[key]["origin"].startswith(file) for key in ("markets", "registry.free_ports", "cluster.name")
    )
    text = (own.cwd / "cluster.yaml").read_text()
    assert own.folder.secret().hex() not in text
    assert "PRIVATE" not in text


def test_without_tls_no_address_but_loopback_is_bound(own):
    for words in (("--host", "0.0.0.0"), ("--host", "192.0.2.1")):
        said = own("cluster", "up", "-n", "1", *words)
        assert said.code == 2
        assert said.err == (
            f"error: cluster default would listen at {words[1]} without TLS, where others can reach it\n"
            f"hint: p2px cluster init --host {words[1]} makes the cluster's certificates\n"
        )
    assert own("cluster", "up", P2PX_CLUSTER_HOST="0.0.0.0").code == 2
    assert not own.folder.path.exists()


def test_the_file_of_another_cluster_is_refused(own):
    file = str(own.cwd / "cluster.yaml")
    assert own("cluster", "init", "--name", "other", "--out", file).code == 0
    said = own("cluster", "up", "-f", file, "--name", "default")
    assert said.code == 6
    assert "the settings name a CA (cluster.ca), and cluster default on this machine has no CA" in said.err
    assert own("cluster", "init").code == 0
    assert "has another CA" in own("cluster", "up", "-f", file, "--name", "default").err


def test_a_port_of_the_cluster_file_that_is_taken_is_an_error(own):
    file = str(own.cwd / "cluster.yaml")
    assert own("cluster", "init", "--out", file).code == 0
    port = int(own.environ["P2PX_REGISTRY_HTTP_PORTS"].split(",")[0])
    with socket.create_server(("127.0.0.1", port)):
        said = own("cluster", "up", "-n", "1", "-f", file, P2PX_REGISTRY_FREE_PORTS="")
    assert said.code == 6
    assert f"port {port}" in said.err
