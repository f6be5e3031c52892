"""What one connection asks at once, in one piece. Pure.

Requests that arrive together travel together: into one group of a batch, through the machine, and back in
one frame. A request costs a number in two lists then, and not an object in every room: with one order a
request, that was a third of all the work of three nodes.
"""

from collections.abc import Iterator, Sequence

import msgspec

from p2pcli.market.commands import Command
from p2pcli.node.asked import Asked, asked
from p2pcli.node.body import LoggedGroup
from p2pcli.node.requests import (
    MAX_COMMAND_BYTES_IN_FRAME,
    MAX_COMMANDS_IN_FRAME,
    Submit,
    encode,
)
from p2pcli.rpc.tcp import Connection

# A parcel of several requests stays below these, so that any parcel fits a batch; one request always does.
MAX_PARCEL_BYTES = MAX_COMMAND_BYTES_IN_FRAME // 2
MAX_PARCEL_COMMANDS = 2 * MAX_COMMANDS_IN_FRAME


class Parcel(msgspec.Struct, frozen=True, gc=False):
    """Requests of one owner for one market, on their way into the log."""

    connection: Connection | None  # who is answered; None: the node itself asks, and nobody is
    owner: str
    ids: list[int]  # of the requests
    counts: list[int]  # commands of each
    commands: list[Command]  # of all of them, one request after the other
    encoded: msgspec.Raw  # the same commands as the log stores them
    asked: Asked | None  # the requests as the log stores them; None: the node itself asks
    key: str = ""  # id of the key that proved the owner; "": the cluster's secret did

    @property
    def as_logged(self) -> LoggedGroup:
        """The group of a body that this becomes."""
        if self.key:
            return self.owner, self.encoded, self.asked, self.key
        return self.owner, self.encoded, self.asked


def own_parcel(owner: str, command: Command) -> Parcel:
    """Return a command of the node's own."""
    return Parcel(None, owner, [0], [1], [command], msgspec.Raw(encode([command])), None)


def parcels(connection: Connection, owner: str, submits: Sequence[Submit], key: str = "") -> Iterator[Parcel]:
    """Yield the requests, in order, in as few parcels as their limits allow. O(their bytes)."""
    commands: list[Command] = [command for submit in submits for command in submit.commands]
    encoded = encode(commands)
    if len(submits) > 1 and (len(encoded) > MAX_PARCEL_BYTES or len(commands) > MAX_PARCEL_COMMANDS):
        middle = len(submits) // 2
        yield from parcels(connection, owner, submits[:middle], key)
        yield from parcels(connection, owner, submits[middle:], key)
        return
    ids = [submit.id for submit in submits]
    counts = [len(submit.commands) for submit in submits]
    by = asked(connection.session, ids, counts, len(commands))
    yield Parcel(connection, owner, ids, counts, commands, msgspec.Raw(encoded), by, key)
