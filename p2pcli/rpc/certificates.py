"""The cluster's own CA and the certificates it signs, as PEM texts. Values in, values out.

X.509 with P-256 keys, made by ``cryptography``, which is imported only here and only when one is made or
looked at: neither a client nor a serving node needs it. ``now`` is seconds since 1970.
"""

import binascii
import hashlib
import ipaddress
from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from p2pcli.errors import BadInput

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

DAY = 86_400
AUTHORITY_DAYS = 3650
NODE_DAYS = 397
RENEW_DAYS = 133  # a certificate with less left is made anew at the node's next start
SLACK_S = 300  # machines' clocks may differ by so much
MAX_REQUEST = 8 << 10  # bytes of a request to sign
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


class BadCertificate(BadInput):
    """Text that is not the certificate, key or request it should be."""

    code = "bad_certificate"


class Pair(msgspec.Struct, frozen=True):
    """A certificate and its private key."""

    certificate: str  # PEM
    key: str  # PEM, not encrypted: its file is for the owner alone

    def __repr__(self) -> str:
        return "Pair(...)"


class Facts(msgspec.Struct, frozen=True):
    """What a certificate says."""

    name: str
    hosts: frozenset[str]  # addresses and names it is for
    until: int  # seconds since 1970


def new_authority(cluster: str, now: int) -> Pair:
    """Return a new CA for a cluster."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    key = _new_key()
    name = _name(f"p2px {cluster} CA")
    certificate = (
        _begun(name, name, key.public_key(), now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Pair(_pem(certificate), _key_pem(key))


def new_request(name: str) -> Pair:
    """Return a new key and the request to have it signed for a node; ``certificate`` is the request."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    key = _new_key()
    request = x509.CertificateSigningRequestBuilder().subject_name(_name(name)).sign(key, hashes.SHA256())
    return Pair(_pem(request), _key_pem(key))


def signed(authority: Pair, request: str, name: str, hosts: Sequence[str], now: int) -> str:
    """Return the certificate of a node for these addresses. Raises ``BadCertificate``.

    Only the key is taken from the request, which proves that its sender has it; who it is for is said here.
    """
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
    from cryptography.x509.oid import ExtendedKeyUsageOID

    if len(request) > MAX_REQUEST:
        raise BadCertificate(f"a request of {len(request)} bytes, the limit is {MAX_REQUEST}")
    try:
        asked = x509.load_pem_x509_csr(request.encode())
        issuer = x509.load_pem_x509_certificate(authority.certificate.encode())
        key = serialization.load_pem_private_key(authority.key.encode(), None)
        public = asked.public_key()
        is_theirs = asked.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadCertificate(f"cannot sign for {name}: {error}") from error
    if not is_theirs or not isinstance(public, EllipticCurvePublicKey):
        raise BadCertificate(f"the request of {name} does not prove a key of the kind wanted")
    assert isinstance(key, EllipticCurvePrivateKey), "the CA's key is of our own making"
    certificate = (
        _begun(_name(name), issuer.subject, public, now, NODE_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_alternative(host) for host in hosts]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _pem(certificate)


def facts(certificate: str) -> Facts:
    """Return what a node's certificate says. Raises ``BadCertificate``."""
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificate(certificate.encode())
        names = found.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        alternatives = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound) as error:
        raise BadCertificate(f"not a node's certificate: {error}") from error
    hosts = frozenset(str(one.value) for one in alternatives)
    return Facts(str(names[0].value) if names else "", hosts, int(found.not_valid_after_utc.timestamp()))


def fingerprint(certificates: str) -> str:
    """Return the SHA-256 of a certificate (PEM) in hexadecimal; of several, of all in whatever order.

    Raises ``BadCertificate``.
    """
    return hashlib.sha256(b"".join(sorted(_ders(certificates)))).hexdigest()


def those_of(certificates: str, wanted: str) -> str:
    """Return the certificates that have that fingerprint: all of these (PEM), or one of them; "" for none.

    Raises ``BadCertificate``.
    """
    if fingerprint(certificates) == wanted:
        return certificates
    ders = [der for der in _ders(certificates) if hashlib.sha256(der).hexdigest() == wanted]
    return "".join(f"{_BEGIN}\n{b64encode(der).decode()}\n{_END}\n" for der in ders)


def have_common(these: str, those: str) -> bool:
    """Say whether two texts of certificates (PEM) have one in common. Raises ``BadCertificate``."""
    return not set(_ders(these)).isdisjoint(_ders(those))


def _ders(certificates: str) -> list[bytes]:
    """Return every certificate of a text, at least one. Nothing else may stand between them."""
    found: list[bytes] = []
    rest = certificates.strip()
    try:
        while rest or not found:
            before, begin, rest = rest.partition(_BEGIN)
            body, end, rest = rest.partition(_END)
            if before.strip() or not begin or not end:
                raise ValueError("it is no PEM")
            found.append(b64decode("".join(body.split()), validate=True))
            rest = rest.strip()
    except (binascii.Error, ValueError) as error:
        raise BadCertificate(f"not a certificate: {error}") from error
    return found


def _begun(
    subject: "x509.Name", issuer: "x509.Name", public: "object", now: int, days: int
) -> "x509.CertificateBuilder":
    from cryptography import x509

    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)  # type: ignore[arg-type]
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.fromtimestamp(now - SLACK_S, UTC))
        .not_valid_after(datetime.fromtimestamp(now + days * DAY, UTC))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)  # type: ignore[arg-type]
    )


def _usage(*, signs: bool) -> "x509.KeyUsage":
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative(host: str) -> "x509.GeneralName":
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _name(text: str) -> "x509.Name":
    from cryptography import x509

    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text[:64])])


def _new_key() -> "EllipticCurvePrivateKey":
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _key_pem(key: "EllipticCurvePrivateKey") -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _pem(made: "x509.Certificate | x509.CertificateSigningRequest") -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return made.public_bytes(Encoding.PEM).decode()
