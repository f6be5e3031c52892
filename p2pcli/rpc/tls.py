"""TLS 1.3 as a transform of bytes: plain frames to sealed records and back. Sockets live elsewhere.

An ``SSLObject`` between two memory buffers, and not an ``SSLSocket``: that one can neither send without
waiting (MSG_DONTWAIT) nor be read by one thread while another writes. What is unusual about a partner, no
TLS at all or a certificate of somebody else, becomes one clear sentence here.

A node proves itself with a certificate that the cluster's CA signed for its name and addresses; a caller
proves itself afterwards, inside (``auth``).
"""

import errno
import ssl
import threading

from p2pcli.errors import BadInput, Conflict
from p2pcli.rpc.auth import OtherTls

RECORD_BYTES = 16 << 10  # plain bytes of one record (RFC 8446)
MAX_UNSENT = 64 << 10  # bytes of answers to key updates and the like, until the next send takes them along
_RECORDS = (0x14, 0x15, 0x16, 0x17)  # first bytes of TLS records; a p2px frame begins with 0x00

# X509_V_ERR_... of OpenSSL, as in SSLCertVerificationError.verify_code
_NOT_YET_VALID, _EXPIRED = 9, 10
_WRONG_NAME = (62, 64)  # host name, IP address


class NotTls(OtherTls):
    """The node does not speak TLS, which this cluster's nodes do."""

    code = "not_tls"

    def __init__(self, message: str, hint: str, said: bytes) -> None:
        super().__init__(message, hint)
        self.said = said  # what came instead


class CertificateRefused(Conflict):
    """The node's certificate is not one that this cluster's CA signed for that address and time."""

    code = "certificate_refused"


class UnknownAuthority(CertificateRefused):
    """The node's certificate was signed by a CA that is none of this cluster's, as far as is known here."""

    code = "unknown_authority"


class TlsFailed(Conflict):
    """The TLS handshake failed for another reason than the certificate."""

    code = "tls_failed"


class BadCertificateFile(BadInput):
    """A certificate or its key cannot be read, or one is not the other's."""

    code = "bad_certificate_file"


class Tls:
    """One connection's sealing and opening. Any thread may ask; what leaves must be sent in order."""

    def __init__(self, context: ssl.SSLContext, where: str, host: str | None) -> None:
        """``host`` is the address a caller dialled, which the certificate must name; None: a node's side."""
        self._where = where
        self._is_caller = host is not None
        self._arriving = ssl.MemoryBIO()
        self._leaving = ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._arriving, self._leaving, server_side=not self._is_caller, server_hostname=host
        )
        self._lock = threading.Lock()
        self._heard = False

    def shake(self, data: bytes) -> tuple[bytes, bool]:
        """Take what arrived (nothing, to begin); return what to send and whether the handshake is over.

        Raises ``NotTls``, ``CertificateRefused``, ``TlsFailed``; ``parting`` then says what to send last.
        """
        with self._lock:
            if data and not self._heard:
                self._heard = True
                if data[0] not in _RECORDS:
                    raise NotTls(
                        f"{self._where} does not speak TLS, and this cluster does",
                        "it is not of this cluster, or was started without the cluster's CA",
                        data,
                    )
            self._arriving.write(data)
            try:
                self._object.do_handshake()
            except ssl.SSLWantReadError:
                return self._leaving.read(), False
            except ssl.SSLError as error:
                raise self._failure(error) from error
            return self._leaving.read(), True

    def parting(self) -> bytes:
        """Return the alert that tells the other side why a handshake failed; nothing when there is none."""
        with self._lock:
            return self._leaving.read()

    def seal(self, frames: bytes) -> bytes:
        """Return the records to send; they must leave in the order they were sealed. Raises ``OSError``."""
        with self._lock:
            self._object.write(frames)
            return self._leaving.read()

    def open(self, data: bytes) -> bytes:
        """Return the plain bytes that ``data`` completes, perhaps none. Raises ``OSError``."""
        pieces = []
        with self._lock:
            self._arriving.write(data)
            try:
                while piece := self._object.read(RECORD_BYTES):
                    pieces.append(piece)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLZeroReturnError:  # it will send no more; its socket says the same
                pass
            if self._leaving.pending > MAX_UNSENT:
                raise OSError(errno.EPROTO, "new keys were asked for too often")
        return b"".join(pieces)

    def _failure(self, error: ssl.SSLError) -> Conflict:
        if isinstance(error, ssl.SSLCertVerificationError):
            return _refusal(error, self._where)
        said = (error.reason or str(error)).replace("_", " ").lower()
        if "alert" in said and not self._is_caller:
            return TlsFailed(f"{self._where} refused this node's certificate: {said}")
        return TlsFailed(f"TLS with {self._where} failed: {said}")


def caller_context(authority: str) -> ssl.SSLContext:
    """Return what a caller trusts: certificates signed by this CA (PEM). Raises ``BadCertificateFile``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_verify_locations(cadata=authority)
    except (ssl.SSLError, ValueError) as error:
        raise BadCertificateFile(f"the cluster's CA certificate cannot be read: {error}") from error
    return context


def blind_context() -> ssl.SSLContext:
    """Return a context that believes any certificate: to fetch the CA's own, which a fingerprint proves."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def node_context(path: str) -> ssl.SSLContext:
    """Return what a node shows: certificate and key, in one PEM file. Raises ``BadCertificateFile``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0  # nobody resumes, and a ticket would be the one thing sent unasked
    try:
        context.load_cert_chain(path)
    except (OSError, ssl.SSLError) as error:
        raise BadCertificateFile(f"cannot use the certificate {path}: {error}") from error
    return context


def _refusal(error: ssl.SSLCertVerificationError, where: str) -> CertificateRefused:
    if error.verify_code == _EXPIRED:
        return CertificateRefused(
            f"the certificate of {where} has expired",
            hint="p2px cluster restart NODE, on the machine that has the CA's key, makes a new one",
        )
    if error.verify_code == _NOT_YET_VALID:
        return CertificateRefused(
            f"the certificate of {where} is not valid yet", hint="compare the clocks of both machines"
        )
    if error.verify_code in _WRONG_NAME:
        return CertificateRefused(
            f"the certificate of {where} is not for that address: {error.verify_message}",
            hint="use the address that the node was given, or give it this one as cluster.host",
        )
    return UnknownAuthority(
        f"the certificate of {where} was not signed by this cluster's CA: {error.verify_message}",
        hint="it is another cluster, or its CA was replaced: compare cluster.ca with the CA there",
    )
