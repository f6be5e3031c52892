"""What each kind of caller may ask of a node. Pure.

An operator and a peer hold the cluster's secret, from which every key can be made, so nothing is kept from
them. The holder of an owner's key trades as that owner, and sees the market and its own orders; the holder
of a join token may enrol and nothing else.
"""

from collections.abc import Iterable

from p2pcli.errors import P2pxError, harmless
from p2pcli.market.commands import Amend, Cancel, CancelAll, GrantKey, Halt, Place, Resume, RevokeKey
from p2pcli.market.views import KeyView, OrderView
from p2pcli.node.requests import (
    Enrol,
    Forbidden,
    ReadBook,
    ReadDay,
    ReadDigest,
    ReadFullBook,
    ReadKeys,
    ReadMarket,
    ReadOrder,
    ReadOrders,
    ReadSnapshot,
    ReadStatus,
    ReadTrades,
    Request,
    Submit,
)
from p2pcli.rpc.auth import ROLE_JOINER, ROLE_OWNER, Hello, KeyRefused

_TRADING = (Place, Cancel, Amend, CancelAll)
_RESERVED: dict[type, str] = {  # what people call it
    Halt: "halting a market",
    Resume: "resuming a market",
    GrantKey: "granting a key",
    RevokeKey: "revoking a key",
    ReadDigest: "the digest of the whole state",
    ReadFullBook: "who has which order in the book",
    ReadSnapshot: "a snapshot",
    ReadKeys: "the list of keys",
}
_SEEING = (ReadBook, ReadTrades, ReadDay, ReadMarket, ReadStatus, ReadOrder)


def check_key(hello: Hello, known: Iterable[KeyView | None]) -> None:
    """Raise ``KeyRefused`` unless the key of an owner who proved it is good; ``known`` by each market here.

    Revoked in one is revoked in all: a revocation that has reached some markets is meant for every one.
    """
    found = [key for key in known if key is not None and key.owner == hello.owner]
    who = f"key {hello.key} of {harmless(hello.owner)}"
    if any(key.revoked_ns for key in found):
        raise KeyRefused(f"{who} was revoked")
    if not found:
        raise KeyRefused(f"{who} was never granted here; p2px keys grant does that if markets are newer")


def is_guest(hello: Hello) -> bool:
    """Say whether this caller may do some things only."""
    return hello.role in (ROLE_OWNER, ROLE_JOINER)


def check_asked(hello: Hello, request: Request) -> None:
    """Raise ``Forbidden`` unless a guest may ask this."""
    if hello.role == ROLE_JOINER:
        if not isinstance(request, Enrol):
            raise Forbidden("the holder of a join token may enrol and nothing else")
        return
    if isinstance(request, Submit):
        for command in request.commands:
            if not isinstance(command, _TRADING):
                raise _reserved(hello, command)
    elif isinstance(request, ReadOrders):
        if request.owner != hello.owner:
            raise Forbidden(
                f"the key of {harmless(hello.owner)} shows that owner's orders only",
                hint=f"ask for the orders of {harmless(hello.owner)}",
            )
    elif not isinstance(request, _SEEING):
        raise _reserved(hello, request)


def check_seen(owner: str, answer: object) -> None:
    """Raise ``Forbidden`` when a guest would be shown somebody else's order."""
    if isinstance(answer, OrderView) and answer.owner != owner:
        raise Forbidden(f"the key of {harmless(owner)} shows that owner's orders only")


def _reserved(hello: Hello, asked: object) -> P2pxError:
    what = _RESERVED.get(type(asked), type(asked).__name__)
    return Forbidden(
        f"{what} takes the cluster's secret; this is the key of {harmless(hello.owner)}",
        hint="run it without a key, on a machine of the cluster",
    )
