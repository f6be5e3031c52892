"""HTTP/1.1 messages in a byte stream: requests for the API, replies for the client. Bytes in, messages out.

Read here is what RFC 9112 calls a message and nothing that two programs could read differently: lines end in
CRLF, a length is ASCII digits and comes once, a body has a length or is chunked but never both, a header name
is followed by its colon at once, and no line continues the one before. Everything else is refused with a
status.

A head has at most ``MAX_HEAD`` bytes. The body limit counts decoded bytes, so it holds for chunked bodies as
well; a body that exceeds it is skipped, not kept, up to ``MAX_SKIPPED`` bytes.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from p2pcli.errors import P2pxError

MAX_HEAD = 8192
MAX_HEADERS = 64
MAX_SKIPPED = 1 << 20
_MAX_CHUNK_LINE = 64
_MAX_DIGITS = 15

_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([!-~]{1,4096}) HTTP/1\.([01])")
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: [\t -~\x80-\xff]*)?")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t ]*([\t -~\x80-\xff]*)")
_LENGTH = re.compile(rb"[0-9]{1,%d}" % _MAX_DIGITS)
_CHUNK = re.compile(rb"([0-9a-fA-F]{1,7})[\t ]*(?:;[\t -~]*)?")

REASONS = {
    200: b"OK",
    301: b"Moved Permanently",
    302: b"Found",
    400: b"Bad Request",
    403: b"Forbidden",
    408: b"Request Timeout",
    413: b"Payload Too Large",
    417: b"Expectation Failed",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    503: b"Service Unavailable",
}


class BadMessage(P2pxError):
    """Bytes that are not an HTTP/1.1 message as understood here; ``status`` is the answer they deserve."""

    code: ClassVar[str] = "bad_http"

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Head:
    """The first line and the headers of a message; header names are in lower case, each once."""

    first: re.Match[bytes]
    headers: dict[bytes, bytes]
    keep_alive: bool
    length: int  # of the body; -1: chunked


@dataclass(slots=True)
class Request:
    """A whole request. ``too_large``: its body exceeds the limit and is dropped."""

    head: Head
    body: bytes
    too_large: bool = False

    @property
    def method(self) -> bytes:
        """The method, as sent."""
        return self.head.first[1]

    @property
    def target(self) -> bytes:
        """The request target, as sent: path and query."""
        return self.head.first[2]


@dataclass(slots=True)
class Reply:
    """A whole reply."""

    status: int
    body: bytes
    keep_alive: bool


_SINGLE = frozenset({b"host", b"content-length", b"transfer-encoding", b"origin", b"expect"})


# A client's heads differ in little but the body's length, and parsing one takes longer than all else that
# a request costs here: remembering the last ones gave 1.3 times the lookups per second.
@lru_cache(maxsize=128)
def parse_head(data: bytes, first_line: re.Pattern[bytes]) -> Head:
    """Return the head that ``data`` is, without its final empty line. Raises ``BadMessage``."""
    lines = data.split(b"\r\n")
    first = first_line.fullmatch(lines[0])
    if first is None:
        raise BadMessage(400, f"the first line is {lines[0][:80]!r}")
    if len(lines) > MAX_HEADERS:
        raise BadMessage(431, f"{len(lines)} headers, at most {MAX_HEADERS} are read")
    headers: dict[bytes, bytes] = {}
    for line in lines[1:]:
        match = _HEADER.fullmatch(line)
        if match is None:
            raise BadMessage(400, f"{line[:80]!r} is not a header")
        name = match[1].lower()
        if name in headers:
            if name in _SINGLE:
                raise BadMessage(400, f"header {name.decode()} comes twice")
            headers[name] += b", " + match[2].rstrip()
        else:
            headers[name] = match[2].rstrip()
    return Head(first, headers, _keep_alive(first, headers), _body_length(first, headers))


def _body_length(first: re.Match[bytes], headers: dict[bytes, bytes]) -> int:
    length, coding = headers.get(b"content-length"), headers.get(b"transfer-encoding")
    if coding is not None:
        if length is not None:
            raise BadMessage(400, "both Content-Length and Transfer-Encoding")
        if coding.lower() != b"chunked":
            raise BadMessage(400, f"transfer encoding {coding[:40]!r}, only chunked is understood")
        return -1
    if length is None:
        return 0
    if _LENGTH.fullmatch(length) is None:
        raise BadMessage(400, f"content length {length[:40]!r}")
    return int(length)


def _keep_alive(first: re.Match[bytes], headers: dict[bytes, bytes]) -> bool:
    minor = first[3] if first.re is _REQUEST_LINE else first[1]
    wish = headers.get(b"connection", b"").lower()
    if minor == b"1":
        return wish == b"" or wish == b"keep-alive" or b"close" not in wish
    return b"keep-alive" in wish


class _Body:
    """Collects one body as its bytes arrive. ``size`` counts what it holds or has skipped."""

    def __init__(self, length: int, limit: int) -> None:
        self.chunked = length < 0
        self.left = max(0, length)  # of the body, or of the current chunk
        self.data = bytearray()
        self.size = self.left
        self.limit = limit
        self.done = length == 0
        self._between = False  # the CRLF after a chunk is due
        self._trailer = False  # the last chunk was read
        self._trailer_bytes = 0

    @property
    def too_large(self) -> bool:
        return self.size > self.limit

    def feed(self, buffer: bytearray) -> None:
        """Take from the front of ``buffer`` what belongs to the body."""
        while not self.done and buffer:
            if self.left:
                taken = min(self.left, len(buffer))
                if not self.too_large:
                    self.data += buffer[:taken]
                del buffer[:taken]
                self.left -= taken
                self.done = not self.left and not self.chunked
                self._between = self.chunked and not self.left
            elif not self._line(buffer):
                return

    def _line(self, buffer: bytearray) -> bool:
        end = buffer.find(b"\r\n", 0, MAX_HEAD if self._trailer else _MAX_CHUNK_LINE)
        if end < 0:
            if len(buffer) >= (MAX_HEAD if self._trailer else _MAX_CHUNK_LINE):
                raise BadMessage(400, "a chunk's line does not end")
            return False
        line = bytes(buffer[:end])
        del buffer[: end + 2]
        if self._trailer:
            self._trailer_bytes += len(line)
            if self._trailer_bytes > MAX_HEAD or (line and _HEADER.fullmatch(line) is None):
                raise BadMessage(400, f"{line[:80]!r} is not a trailer")
            self.done = not line
        elif self._between:
            if line:
                raise BadMessage(400, "a chunk is longer than its length")
            self._between = False
        else:
            match = _CHUNK.fullmatch(line)
            if match is None:
                raise BadMessage(400, f"{line[:40]!r} is not a chunk length")
            self.left = int(match[1], 16)
            self.size += self.left
            self._trailer = not self.left
            if self.too_large:
                self.data.clear()
            if self.size > self.limit + MAX_SKIPPED:
                raise BadMessage(413, f"a body of more than {self.limit + MAX_SKIPPED} bytes")
        return True


class RequestReader:
    """Cuts a byte stream, received in pieces of any size, into requests.

    After ``feed``, call ``next`` until it returns None. A body that is too large is announced at once, as a
    ``Request`` with ``too_large``, while its rest is still arriving and is skipped.
    """

    def __init__(self, max_body: int) -> None:
        self._max_body = max_body
        self._buffer = bytearray()
        self._head: Head | None = None
        self._body: _Body | None = None
        self._announced = False
        self._continued = False

    def __len__(self) -> int:
        """Return the bytes held that no request has used yet."""
        return len(self._buffer) + (len(self._body.data) if self._body is not None else 0)

    @property
    def idle(self) -> bool:
        """Whether no part of a request has arrived."""
        return not self._buffer and self._head is None

    def feed(self, data: bytes) -> None:
        """Take bytes from the stream."""
        self._buffer += data

    def wants_continue(self) -> bool:
        """Tell, once a request, whether the client waits for ``100 Continue`` before it sends its body."""
        head, body = self._head, self._body
        if self._continued or head is None or body is None or b"expect" not in head.headers:
            return False
        self._continued = True
        return not body.done and not body.too_large

    def next(self) -> Request | None:
        """Return the next request, or None until more bytes come. After ``BadMessage`` the stream is lost."""
        if self._head is None:
            head = self._read_head()
            if head is None:
                return None
            length = head.length
            if 0 <= length <= self._max_body and length <= len(self._buffer):
                # Nearly always a request arrives whole, and needs no state to wait for its rest.
                data = bytes(self._buffer[:length])
                del self._buffer[:length]
                return Request(head, data)
            self._head, self._body = head, _Body(length, self._max_body)
            self._continued = False
        return self._read_body(self._head, self._body)

    def _read_body(self, head: Head, body: "_Body | None") -> Request | None:
        assert body is not None
        body.feed(self._buffer)
        if not body.done and not (body.too_large and not self._announced):
            return None
        request = Request(head, bytes(body.data), body.too_large)
        already, self._announced = self._announced, not body.done
        if body.done:
            self._head = self._body = None
            if already:
                return self.next()
        return request

    def _read_head(self) -> Head | None:
        buffer = self._buffer
        while buffer.startswith(b"\r\n"):  # RFC 9112 2.2: an empty line before a request is ignored
            del buffer[:2]
        end = buffer.find(b"\r\n\r\n", 0, MAX_HEAD + 4)
        if end < 0:
            if len(buffer) > MAX_HEAD:
                raise BadMessage(431, f"a head of more than {MAX_HEAD} bytes")
            return None
        head = parse_head(bytes(buffer[:end]), _REQUEST_LINE)
        del buffer[: end + 4]
        expect = head.headers.get(b"expect")
        if expect is not None and expect.lower() != b"100-continue":
            raise BadMessage(417, f"expectation {expect[:40]!r}")
        if head.length > self._max_body + MAX_SKIPPED:
            raise BadMessage(413, f"a body of {head.length} bytes, at most {self._max_body} are read")
        return head


class ReplyReader:
    """Reads one reply from a byte stream; the client's side."""

    def __init__(self, max_body: int) -> None:
        self._max_body = max_body
        self._buffer = bytearray()
        self._head: Head | None = None
        self._body: _Body | None = None

    def feed(self, data: bytes) -> Reply | None:
        """Take bytes; return the reply when it is whole. Raises ``BadMessage``."""
        self._buffer += data
        if self._head is None:
            end = self._buffer.find(b"\r\n\r\n", 0, MAX_HEAD + 4)
            if end < 0:
                if len(self._buffer) > MAX_HEAD:
                    raise BadMessage(400, f"a head of more than {MAX_HEAD} bytes")
                return None
            self._head = parse_head(bytes(self._buffer[:end]), _STATUS_LINE)
            del self._buffer[: end + 4]
            self._body = _Body(self._head.length, self._max_body)
        body = self._body
        assert body is not None
        body.feed(self._buffer)
        if body.too_large:
            raise BadMessage(413, f"a reply of more than {self._max_body} bytes")
        if not body.done:
            return None
        return Reply(int(self._head.first[2]), bytes(body.data), self._head.keep_alive and not self._buffer)


def request_bytes(host: str, target: str, body: bytes) -> bytes:
    """Return a POST request with a JSON body."""
    return (
        b"POST %b HTTP/1.1\r\nHost: %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
    ) % (target.encode("ascii"), host.encode("ascii"), len(body), body)


def reply_bytes(status: int, date: bytes, keep_alive_s: int, body: bytes, head_only: bool = False) -> bytes:
    """Return a reply as a real Grape forms it; ``keep_alive_s`` 0 announces that the connection closes.

    ``head_only`` is for HEAD requests, whose replies have no body and, as a Grape's, no length.
    """
    connection = b"keep-alive\r\nKeep-Alive: timeout=%d" % keep_alive_s if keep_alive_s else b"close"
    head = b"HTTP/1.1 %d %b\r\nDate: %b\r\nConnection: %b" % (status, REASONS[status], date, connection)
    return (
        head + b"\r\n\r\n" if head_only else b"%b\r\nContent-Length: %d\r\n\r\n%b" % (head, len(body), body)
    )
