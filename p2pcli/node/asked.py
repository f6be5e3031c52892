"""Names of requests, the same in every process that meets one. Pure.

A request is named after its connection and its own id on it: ``3f9a1c20d4-1``. Both ends know the name of the
connection from the handshake, so it travels with no request; only the log carries it, once for all the
requests that came in one piece, and so the other nodes can name what they apply.
"""

from collections.abc import Iterator, Sequence

import msgspec

from p2pcli.market.events import Outcome


class Asked(msgspec.Struct, frozen=True, array_like=True):
    """The requests of one group of commands. Their usual form, one command each, takes 20 bytes."""

    session: str  # the connection's name
    first: int  # id of the first request
    ids: list[int] = []  # of all of them; empty: first, first + 1 ...
    counts: list[int] = []  # commands of each; empty: one


def asked(session: str, ids: list[int], counts: list[int], commands: int) -> Asked:
    """Return how requests travel. ``commands`` is the sum of ``counts``, each of which is at least one."""
    first, size = ids[0], len(ids)
    is_run = size == 1 or ids == list(range(first, first + size))
    return Asked(session, first, [] if is_run else ids, [] if commands == size else counts)


def size_of(asked: Asked) -> int:
    """Return how many bytes it takes in a body at most."""
    return 32 + 12 * (len(asked.ids) + len(asked.counts))  # an id of 64 bits and a count of 16


def by_request(
    asked: Asked | None, outcomes: Sequence[Outcome]
) -> Iterator[tuple[dict[str, str], Sequence[Outcome]]]:
    """Yield each request as the field ``request`` of a log record, with the outcomes of its commands.

    What nobody asked, such as a node's own commands, has no such field.
    """
    if asked is None:
        yield {}, outcomes
        return
    start = place = 0
    while start < len(outcomes):
        if (asked.ids and place >= len(asked.ids)) or (asked.counts and place >= len(asked.counts)):
            return
        request = asked.ids[place] if asked.ids else asked.first + place
        count = max(1, asked.counts[place] if asked.counts else 1)
        yield {"request": request_name(asked.session, request)}, outcomes[start : start + count]
        start += count
        place += 1


def request_name(session: str, request: int) -> str:
    """Return a request's name."""
    return f"{session}-{request}"
