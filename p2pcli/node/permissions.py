"""What each kind of caller may ask of a node. Pure.

An operator and a peer hold the cluster's secret, from which every key can be made, so nothing is kept from
them. The holder of an owner's key trades as that owner, and sees the market and its own orders; the holder
of a join token may enrol and nothing else.
"""

from p2pcli.errors import P2pxError, harmless
from p2pcli.market.commands import Amend, Cancel, CancelAll, Place
from p2pcli.market.views import OrderView
from p2pcli.node.requests import (
    Enrol,
    Forbidden,
    ReadBook,
    ReadDay,
    ReadMarket,
    ReadOrder,
    ReadOrders,
    ReadStatus,
    ReadTrades,
    Request,
    Submit,
)
from p2pcli.rpc.auth import ROLE_JOINER, ROLE_OWNER, Hello

_TRADING = (Place, Cancel, Amend, CancelAll)
_SEEING = (ReadBook, ReadTrades, ReadDay, ReadMarket, ReadStatus, ReadOrder)


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
                raise _reserved(hello, f"a {type(command).__name__} command")
    elif isinstance(request, ReadOrders):
        if request.owner != hello.owner:
            raise Forbidden(
                f"the key of {harmless(hello.owner)} shows that owner's orders only",
                hint=f"ask for the orders of {harmless(hello.owner)}",
            )
    elif not isinstance(request, _SEEING):
        raise _reserved(hello, f"a {type(request).__name__} request")


def check_seen(owner: str, answer: object) -> None:
    """Raise ``Forbidden`` when a guest would be shown somebody else's order."""
    if isinstance(answer, OrderView) and answer.owner != owner:
        raise Forbidden(f"the key of {harmless(owner)} shows that owner's orders only")


def _reserved(hello: Hello, what: str) -> P2pxError:
    return Forbidden(
        f"{what} takes the cluster's secret; this is the key of {harmless(hello.owner)}",
        hint="run it without a key, on a machine of the cluster",
    )
