"""Names that people and programs make up: of owners, and their own ids of orders. Text in, text out."""

import re

from p2pcli.errors import BadInput, harmless
from p2pcli.market.commands import MAX_ID_LENGTH

_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)


class BadOwner(BadInput):
    """Text that is no owner's name."""

    code = "bad_owner"


class BadClientId(BadInput):
    """Text that is no client order id."""

    code = "bad_client_id"


def check_owner(owner: str) -> str:
    """Return the name of an owner, or raise ``BadOwner``."""
    if not _OWNER.fullmatch(owner):
        raise BadOwner(
            f"owner {harmless(owner[:70])!r} is not 1 to 64 letters, digits, dots, - and _",
            hint="choose a name like ann",
        )
    return owner


def check_client_id(client_order_id: str) -> str:
    """Return a client order id, or raise ``BadClientId`` when it is too long, empty or unprintable."""
    if not client_order_id.isprintable() or client_order_id != client_order_id.strip():
        raise BadClientId(
            f"client order id {client_order_id[:MAX_ID_LENGTH]!a} has spaces around it or characters"
            " that cannot be printed",
            hint="letters, digits and punctuation make good ids",
        )
    if not 1 <= len(client_order_id) <= MAX_ID_LENGTH:
        raise BadClientId(
            f"a client order id has 1 to {MAX_ID_LENGTH} characters, this one has {len(client_order_id)}",
            hint="leave it out, and one is made",
        )
    return client_order_id
