"""A CA, requests and certificates, as texts."""

import subprocess

import pytest

from p2pcli.rpc.certificates import (
    AUTHORITY_DAYS,
    DAY,
    MAX_REQUEST,
    NODE_DAYS,
    BadCertificate,
    facts,
    fingerprint,
    new_authority,
    new_request,
    signed,
)

NOW = 1_800_000_000
AUTHORITY = new_authority("default", NOW)
REQUEST = new_request("client1")


def test_a_certificate_says_who_it_is_for_and_until_when():
    said = facts(signed(AUTHORITY, REQUEST.certificate, "client1", ["10.0.0.1", "client1"], NOW))
    assert said.name == "client1"
    assert said.hosts == {"10.0.0.1", "client1"}
    assert said.until == NOW + NODE_DAYS * DAY


def test_openssl_finds_it_in_order(tmp_path):
    (tmp_path / "ca.pem").write_text(AUTHORITY.certificate)
    (tmp_path / "node.pem").write_text(signed(AUTHORITY, REQUEST.certificate, "client1", ["10.0.0.1"], NOW))
    verify = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-attime", str(NOW)]
    files = ["-CAfile", str(tmp_path / "ca.pem"), str(tmp_path / "node.pem")]
    done = subprocess.run([*verify, "-verify_ip", "10.0.0.1", *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    done = subprocess.run([*verify, "-verify_ip", "10.0.0.2", *files], capture_output=True, text=True)
    assert "IP address mismatch" in done.stderr


def test_the_ca_outlives_what_it_signs_and_no_node_can_sign():
    assert AUTHORITY_DAYS > NODE_DAYS
    node = signed(AUTHORITY, REQUEST.certificate, "client1", ["client1"], NOW)
    with pytest.raises(BadCertificate):
        facts(AUTHORITY.certificate)  # it is for no address, so nobody can serve with it
    assert facts(node).hosts == {"client1"}


def test_a_request_is_for_whom_the_ca_says_and_not_for_whom_it_says():
    said = facts(signed(AUTHORITY, new_request("mallory").certificate, "client1", ["client1"], NOW))
    assert said.name == "client1"


@pytest.mark.parametrize(
    "request_text",
    ["", "nothing", REQUEST.certificate[:-60], AUTHORITY.certificate, "x" * (MAX_REQUEST + 1)],
    ids=["empty", "text", "cut", "certificate", "long"],
)
def test_what_is_no_request_is_not_signed(request_text):
    with pytest.raises(BadCertificate):
        signed(AUTHORITY, request_text, "client1", ["client1"], NOW)


def test_a_changed_request_is_not_signed():
    lines = REQUEST.certificate.splitlines()
    changed = "\n".join([*lines[:3], lines[3][:-1] + ("A" if lines[3][-1] != "A" else "B"), *lines[4:]])
    with pytest.raises(BadCertificate):
        signed(AUTHORITY, changed, "client1", ["client1"], NOW)


def test_a_fingerprint_is_what_openssl_shows(tmp_path):
    (tmp_path / "ca.pem").write_text(AUTHORITY.certificate)
    show = ["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", str(tmp_path / "ca.pem")]
    shown = subprocess.run(show, capture_output=True, text=True, check=True).stdout
    assert shown.strip().partition("=")[2].replace(":", "").lower() == fingerprint(AUTHORITY.certificate)
    with pytest.raises(BadCertificate):
        fingerprint("nothing")
    with pytest.raises(BadCertificate):
        fingerprint("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----")


def test_no_key_is_shown_by_accident():
    assert "PRIVATE" not in repr(AUTHORITY)
