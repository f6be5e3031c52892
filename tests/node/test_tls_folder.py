"""Certificates on the disk: made once, renewed in time, private."""

import os
import subprocess
import sys

import pytest

from p2pcli.node.tls_folder import BadKeyFile, NoCertificate, TlsFolder
from p2pcli.rpc.certificates import DAY, NODE_DAYS, facts

NOW = 1_800_000_000
HOSTS = ["127.0.0.1", "client1"]


@pytest.fixture
def folder(tmp_path) -> TlsFolder:
    folder = TlsFolder(tmp_path / "tls")
    folder.found("default", NOW)
    return folder


def test_a_ca_is_made_once(folder):
    certificate = folder.authority()
    assert not folder.found("default", NOW)
    assert folder.authority() == certificate
    assert folder.can_sign


def test_without_a_ca_there_is_nothing(tmp_path):
    assert TlsFolder(tmp_path).authority() == ""
    assert not TlsFolder(tmp_path).can_sign


def test_every_file_is_for_its_owner_alone(folder):
    folder.issued("client1", HOSTS, NOW)
    files = [path for path in folder.path.rglob("*") if path.is_file()]
    assert sorted(path.name for path in files) == ["ca.key", "ca.pem", "client1.pem"]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_a_good_certificate_is_kept_and_needs_no_x509_to_be_seen(folder):
    path = folder.issued("client1", HOSTS, NOW)
    text = path.read_text()
    look = (
        "import sys, pathlib; from p2pcli.node.tls_folder import TlsFolder;"
        f"TlsFolder(pathlib.Path({str(folder.path)!r})).issued('client1', {HOSTS!r}, {NOW + DAY});"
        "sys.exit('cryptography' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", look], check=True)
    assert path.read_text() == text


def test_one_that_expires_soon_is_renewed(folder):
    path = folder.issued("client1", HOSTS, NOW)
    later = NOW + (NODE_DAYS - 100) * DAY
    folder.issued("client1", HOSTS, later)
    assert facts(path.read_text()).until == later + NODE_DAYS * DAY


def test_one_for_fewer_addresses_is_renewed(folder):
    path = folder.issued("client1", HOSTS, NOW)
    folder.issued("client1", [*HOSTS, "10.0.0.1"], NOW)
    assert facts(path.read_text()).hosts == {*HOSTS, "10.0.0.1"}


def test_one_of_another_ca_is_renewed(folder, tmp_path):
    other = TlsFolder(tmp_path / "other")
    other.found("default", NOW)
    path = folder.issued("client1", HOSTS, NOW)
    (other.path / "nodes").mkdir()
    (other.path / "nodes" / "client1.pem").write_text(path.read_text())
    (other.path / "nodes" / "client1.pem").chmod(0o600)
    assert other.issued("client1", HOSTS, NOW).read_text() != path.read_text()


def test_a_damaged_one_is_renewed(folder):
    path = folder.issued("client1", HOSTS, NOW)
    path.write_text("nothing")
    assert facts(folder.issued("client1", HOSTS, NOW).read_text()).name == "client1"


def test_without_the_cas_key_a_certificate_serves_until_it_expires(folder):
    path = folder.issued("client1", HOSTS, NOW)
    (folder.path / "ca.key").unlink()
    assert folder.issued("client1", HOSTS, NOW + (NODE_DAYS - 1) * DAY) == path
    with pytest.raises(NoCertificate, match="client1 has expired") as refused:
        folder.issued("client1", HOSTS, NOW + (NODE_DAYS + 1) * DAY)
    assert "p2px node join --token" in refused.value.hint
    with pytest.raises(NoCertificate, match="client2 is not here"):
        folder.issued("client2", HOSTS, NOW)


@pytest.mark.parametrize("name", ["ca.key", "nodes/client1.pem"])
def test_a_key_that_others_can_read_is_refused(folder, name):
    folder.issued("client1", HOSTS, NOW)
    (folder.path / name).chmod(0o640)
    with pytest.raises(BadKeyFile, match="can be read by others") as refused:
        folder.issued("client1", [*HOSTS, "more"], NOW)
    assert refused.value.hint == f"chmod 600 {folder.path / name}"


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(BadKeyFile, match="cannot write"):
        TlsFolder(tmp_path / "tls").found("default", NOW)
