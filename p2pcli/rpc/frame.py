"""Length-prefixed frames in a byte stream. Bytes in, payloads out; sockets live elsewhere."""

import struct

from p2pcli.errors import BadInput

MAX_FRAME = 1 << 20  # bytes; a larger announced length is an attack or a bug
MAX_FRAME_BEFORE_AUTH = 16 << 10  # bytes; a stranger gets no megabyte buffers

_LENGTH = struct.Struct(">I")
HEADER = _LENGTH.size


class FrameTooLarge(BadInput):
    """A frame is longer than the connection allows."""

    code = "frame_too_large"


class FrameDecoder:
    """Cuts a byte stream, received in pieces of any size, into payloads.

    All complete payloads of a piece come out in one call: the reader of a busy connection then works
    on a batch. Cutting costs O(bytes), however many frames there are.
    """

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self.limit = limit
        self._rest = b""

    @property
    def is_mid_frame(self) -> bool:
        """Say whether the stream stopped inside a frame."""
        return bool(self._rest)

    def feed(self, data: bytes) -> list[bytes]:
        """Return the payloads that ``data`` completes. Raises ``FrameTooLarge``."""
        buffer = self._rest + data if self._rest else data
        size = len(buffer)
        start = 0
        payloads = []
        unpack = _LENGTH.unpack_from
        while size - start >= HEADER:
            (length,) = unpack(buffer, start)
            if length > self.limit:
                raise FrameTooLarge(f"a frame of {length} bytes was announced, the limit is {self.limit}")
            end = start + HEADER + length
            if end > size:
                break
            payloads.append(buffer[start + HEADER : end])
            start = end
        self._rest = buffer[start:] if start else buffer
        return payloads


def framed(payload: bytes, limit: int = MAX_FRAME) -> bytes:
    """Return the payload with its length in front. Raises ``FrameTooLarge``."""
    if len(payload) > limit:
        raise FrameTooLarge(f"a frame of {len(payload)} bytes is over the limit of {limit}")
    return _LENGTH.pack(len(payload)) + payload
