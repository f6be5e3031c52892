"""Many requests in flight on one client's connection: encoded ahead, sent together, and counted as answered.

For callers that want to know when their orders are done and not what became of each: load tests, feeds.
"""

from collections.abc import Sequence

import msgspec

from p2pcli.market.commands import ClientCommand
from p2pcli.node.client import ExchangeClient
from p2pcli.node.requests import Fault, Submit, as_error, encode
from p2pcli.rpc.auth import BadHandshake
from p2pcli.rpc.frame import framed


class _Counted(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """``Answers`` with its notes left as they came."""

    sequence: int
    ids: list[int]
    counts: list[int]
    notes: msgspec.Raw


_decode = msgspec.msgpack.Decoder(_Counted | Fault).decode


class Pipeline:
    """One client's requests to one market. While it is in use, nothing else may use the client."""

    def __init__(self, client: ExchangeClient, market: str) -> None:
        self._client = client
        self._number = client.instruments[market].number
        self.sequence = 0  # the highest that an answer has carried

    def request(self, number: int, commands: Sequence[ClientCommand]) -> bytes:
        """Return a request's frame; its answer will carry ``number``, which may be used again after that."""
        return framed(encode(Submit(number, self._number, list(commands))))

    def send(self, frames: bytes) -> None:
        """Send any number of frames at once. Raises ``ConnectionLost``."""
        self._client.connection.send_blocking(frames)

    def answered(self, deadline: float) -> list[int]:
        """Return which requests were answered, at least one. Raises the first failure that is told."""
        done: list[int] = []
        for payload in self._client.connection.receive_some(deadline):
            try:
                reply = _decode(payload)
            except msgspec.MsgspecError as error:
                raise BadHandshake(f"node {self._client.node} answers in an unknown way: {error}") from error
            if isinstance(reply, Fault):
                raise as_error(reply)
            done += reply.ids
            self.sequence = max(self.sequence, reply.sequence)
        return done
