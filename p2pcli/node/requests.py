"""What travels between a node, its clients and its peers once the handshake is done. Values only.

Every message is a MessagePack array that begins with its tag. A request carries an id of the caller's
choice; its answer carries the same one, so many may be in flight. ``market`` is the number of an
instrument in the ``Greeting``. ``Push`` has no answer.
"""

from typing import Any, Literal

import msgspec

from p2pcli.errors import BadInput, NotFound, NotRunning, P2pxError, TimedOut
from p2pcli.log.entry import Entry, LogFull, LogRefuses
from p2pcli.market.commands import ClientCommand
from p2pcli.market.instrument import Instrument
from p2pcli.market.notes import Note
from p2pcli.market.views import OrderView
from p2pcli.node.rotation import Rotation

MAX_COMMANDS_IN_FRAME = 1000
MAX_COMMAND_BYTES_IN_FRAME = 200 << 10  # a request must fit one batch of the log
MAX_ROWS = 10_000  # levels in one answer; orders and trades that one command shows
ORDERS_PAGE = 1_000  # orders, or fills, in one page of orders: with the longest names a frame is full
TRADES_PAGE = 1_000  # trades in one answer; with the longest names 850 KiB
FILLS_PAGE = 3_000  # fills in one page of an order; with the longest names 940 KiB
BOOK_PAGE = 2_000  # orders in one page of a full book; with the longest names about 500 KiB
MAX_WAIT_S = 30.0  # longest a read may wait for news


class Greeting(msgspec.Struct, frozen=True, array_like=True):
    """What a node tells after the handshake."""

    node: str
    cluster: str
    instruments: list[Instrument]  # every market of the cluster
    hosts: list[int] = []  # numbers of the markets that this node has itself; others it forwards


class Submit(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Carry out these commands, all in one entry of the log."""

    id: int
    market: int
    commands: list[ClientCommand]


class ReadBook(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Return a ``BookView``."""

    id: int
    market: int
    levels: int = 10
    at_least: int = 0  # wait until this sequence is applied


class ReadOrders(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """Return ``list[OrderView]``, oldest first: the oldest open ones, or the newest of all.

    It is a page: when its ``rows`` are as many as ``ORDERS_PAGE``, there may be more beyond it. Of an order
    with more fills than that, only ``ReadOrder`` shows all; of an open one, any.
    """

    id: int
    market: int
    owner: str | None = None
    closed: bool = False
    limit: int = 1000
    at_least: int = 0
    beyond: int = 0  # open: only those above this id; else only those below it; 0: from the first or the last


class ReadOrder(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """Return an ``OrderView`` with a page of its fills, also long after the order closed."""

    id: int
    market: int
    order: int
    at_least: int = 0
    skip: int = 0  # fills that the asker has, the oldest


class ReadTrades(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """Return ``list[TradeView]``, oldest first: the last ones, or the first ones above ``after``.

    They are a page. Waits up to ``wait`` seconds for one.
    """

    id: int
    market: int
    last: int = 20
    after: int | None = None  # only trade numbers above this; 0: from the first
    wait: float = 0.0
    at_least: int = 0


class ReadFullBook(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """Return a ``BookPage`` of every resting order in priority order: bids, then asks.

    The page at ``offset`` 0 takes a picture of the book; further ones of the connection show that picture.
    """

    id: int
    market: int
    at_least: int = 0
    offset: int = 0


class BookPage(msgspec.Struct, frozen=True, array_like=True):
    """Part of a full book; a book of any size fits frames this way."""

    total: int  # orders in the whole book
    orders: list[OrderView]  # at most BOOK_PAGE; empty past the end


class ReadStatus(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """Return a ``NodeStatus``. Also the question whether anybody is there."""

    id: int


class ReadDigest(msgspec.Struct, frozen=True, array_like=True, tag=8):
    """Return the digest of the whole state."""

    id: int
    market: int
    at_least: int = 0


class ReadDay(msgspec.Struct, frozen=True, array_like=True, tag=9):
    """Return a ``DayView``: open, high, low, volume of the last 24 hours."""

    id: int
    market: int
    at_least: int = 0


class ReadSnapshot(msgspec.Struct, frozen=True, array_like=True, tag=10):
    """Return a ``SnapshotPiece`` from ``offset`` on; for a node whose log begins after what it has."""

    id: int
    market: int
    sequence: int = 0  # 0: the newest
    offset: int = 0
    at_least: int = 0


class ResetBreaker(msgspec.Struct, frozen=True, array_like=True, tag=11):
    """Try a peer again at once, whatever its breaker says. Return its ``BreakerView``."""

    id: int
    peer: str  # its name


class ReadMarket(msgspec.Struct, frozen=True, array_like=True, tag=12):
    """Return a ``MarketStatus``."""

    id: int
    market: int
    at_least: int = 0


class Leave(msgspec.Struct, frozen=True, array_like=True, tag=13):
    """Answer what was taken, take no more, tell the log that this node needs none of it, and end.

    Return a ``NodeStatus``, the last one.
    """

    id: int


class Rotate(msgspec.Struct, frozen=True, array_like=True, tag=14):
    """Read anew what the machine keeps of a rotation, go on to a phase; return a ``RotationView``."""

    id: int
    phase: str = ""  # begun, switched or finished; "": the one that the machine is in


class ReadKeys(msgspec.Struct, frozen=True, array_like=True, tag=31):
    """Return ``list[KeyView]``: every owner's key that the market knows, in the order they were granted."""

    id: int
    market: int
    at_least: int = 0


class Enrol(msgspec.Struct, frozen=True, array_like=True, tag=30):
    """Make the holder of a join token one of the cluster. Return an ``Enrolled``."""

    id: int
    name: str  # of the node that is to run there
    hosts: list[str]  # addresses and names that its certificate is for
    request: str  # PKCS #10, PEM: proves that it has the certificate's key


class Enrolled(msgspec.Struct, frozen=True, array_like=True):
    """What a machine of the cluster has."""

    secret: bytes
    authority: str  # certificate of the CA, PEM
    certificate: str  # of the node, PEM
    rotation: Rotation | None = None  # one that is under way, or was last
    next_authority: str = ""  # certificate of the CA that it brings, PEM
    next_certificate: str = ""  # of the node, by that CA

    def __repr__(self) -> str:
        return "Enrolled(...)"


class Push(msgspec.Struct, frozen=True, array_like=True, tag=20):
    """Committed entries, from the node that committed them to its peers."""

    market: int
    entries: list[Entry]


class Forward(msgspec.Struct, frozen=True, array_like=True, tag=21):
    """A client's request for a market that the node it asked does not host, from that node to one that does.

    Its answer is the one the request would have, with the id in it. Nobody forwards it a second time.
    """

    owner: str  # as the client proved it to the node that it asked
    session: int  # of the client at that node: the pages of a full book belong to one
    is_guest: bool  # the client may see no orders but its own
    key: str  # id of the key that proved the owner; "": the cluster's secret did
    request: msgspec.Raw  # a Submit or a read


_OfMarket = ReadBook | ReadFullBook | ReadDigest | ReadDay | ReadMarket | ReadSnapshot | ReadKeys
Read = _OfMarket | ReadOrders | ReadOrder | ReadTrades
Request = Submit | Read | ReadStatus | ResetBreaker | Leave | Rotate | Enrol | Push | Forward


class Answers(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """The commands of these requests are durable and applied at this sequence.

    It carries the machine's own notes: who asked has the commands that they are read beside, and an outcome
    made of each cost the node a fifth of its work.
    """

    sequence: int
    ids: list[int]
    counts: list[int]  # commands of each of these requests, in the same order
    notes: list[Note]  # on all of them, one request after the other


class View(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """The state asked for, as it is at ``sequence``."""

    id: int
    sequence: int
    body: msgspec.Raw


class Fault(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """No answer, and why. Unless ``is_unknown``, nothing took effect and nothing will (S10)."""

    id: int
    code: str
    message: str
    hint: str = ""
    is_unknown: bool = False


Reply = Answers | View | Fault


class BadRequest(BadInput):
    """The message is not one that a node understands, or asks for more than it may."""

    code = "bad_request"


class BadCommands(BadRequest):
    """A request's commands are none that a client may ask. The stream goes on: only it is refused."""

    def __init__(self, request: int, message: str) -> None:
        super().__init__(message)
        self.request = request  # its id


class Busy(P2pxError):
    """The node has as much waiting as it may hold. Nothing took effect; try again."""

    code = "busy"


class Forbidden(P2pxError):
    """The caller is who it says, and may not ask this."""

    code = "forbidden"


class NoSuchMarket(NotFound):
    """The node has no such market."""

    code = "no_such_market"


class NoSuchOrder(NotFound):
    """No order has that id."""

    code = "no_such_order"


class NoSuchPeer(NotFound):
    """The node knows no peer of that name."""

    code = "no_such_peer"


class NotCaughtUp(TimedOut):
    """The sequence asked for was not reached in time."""

    code = "not_caught_up"


class NotServing(NotRunning):
    """The node is stopping, or stopped serving because it found damage."""

    code = "not_serving"


class Unknown(TimedOut):
    """It may or may not have taken effect. Repeat it with the same client order id to find out."""

    code = "unknown"


ELSEWHERE = (Busy, LogRefuses, NotRunning, TimedOut)  # another node may do what this one did not

_FAULTS: dict[str, type[P2pxError]] = {
    kind.code: kind
    for kind in (
        BadRequest,
        Busy,
        Forbidden,
        LogFull,
        LogRefuses,
        NoSuchMarket,
        NoSuchOrder,
        NoSuchPeer,
        NotCaughtUp,
        NotServing,
        Unknown,
    )
}

encode = msgspec.msgpack.Encoder().encode
decode_reply = msgspec.msgpack.Decoder(Reply).decode
decode_greeting = msgspec.msgpack.Decoder(Greeting).decode
_decode_request = msgspec.msgpack.Decoder(Request).decode
_decode_envelope = msgspec.msgpack.Decoder(tuple[Literal[1], int, int, msgspec.Raw]).decode  # of a Submit


def decode_request(payload: bytes) -> Request:
    """Return the request. Raises ``BadRequest``, whatever the bytes, and ``BadCommands`` of a ``Submit``."""
    try:
        request: Request = _decode_request(payload)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise _bad(payload, error) from error
    if type(request) is Submit:
        if not 1 <= len(request.commands) <= MAX_COMMANDS_IN_FRAME:
            found = len(request.commands)
            raise BadCommands(
                request.id, f"{found} commands in a request, the limit is {MAX_COMMANDS_IN_FRAME}"
            )
        if len(payload) > MAX_COMMAND_BYTES_IN_FRAME:
            raise BadCommands(
                request.id, f"a request of {len(payload)} bytes, the limit is {MAX_COMMAND_BYTES_IN_FRAME}"
            )
    return request


def _bad(payload: bytes, error: Exception) -> BadRequest:
    try:
        _, request, _, _ = _decode_envelope(payload)
    except (msgspec.MsgspecError, RecursionError):
        return BadRequest(f"not a request: {error}")
    return BadCommands(request, f"not a list of commands: {error}")


def fault(request_id: int, error: P2pxError) -> Fault:
    """Return the failure as it travels."""
    return Fault(request_id, error.code, error.message, error.hint or "", isinstance(error, Unknown))


def as_error(fault: Fault) -> P2pxError:
    """Return the failure as it is raised at the caller's side."""
    kind = Unknown if fault.is_unknown else _FAULTS.get(fault.code, P2pxError)
    return kind(fault.message, hint=fault.hint or None)


def view(request_id: int, sequence: int, body: Any) -> View:
    """Return a view with its body encoded."""
    return View(request_id, sequence, msgspec.Raw(encode(body)))
