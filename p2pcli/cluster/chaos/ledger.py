"""What clients were told, one telling for every time a request was sent. Pure values.

A request is known by its owner and its id; it may be sent several times, through several nodes, and each
time somebody is told something. The judge compares the tellings with what the nodes have.
"""

from enum import Enum

import msgspec

from p2pcli.market.commands import Command, Place
from p2pcli.market.events import Outcome

Name = tuple[str, str]  # owner, id


class Told(Enum):
    """The three answers there are (S10)."""

    OK = "ok"  # it carries a sequence; a refusal by the market's rules is such an answer too
    REFUSED = "refused"  # it did not and will not take effect
    UNKNOWN = "unknown"


class Telling(msgspec.Struct, frozen=True):
    """One sending of one request, and what came of it. Moments are on the monotonic clock."""

    owner: str
    command: Command
    through: str  # the node that its client began with, or was at
    sent: float
    answered: float
    told: Told
    sequence: int = 0  # of the entry in which this sending was carried out; with OK only
    outcome: Outcome | None = None  # with OK only
    reason: str = ""  # code of the failure, with REFUSED and UNKNOWN
    is_repeat: bool = False  # sent again on purpose

    @property
    def name(self) -> Name:
        return self.owner, id_of(self.command)


def id_of(command: Command) -> str:
    """Return the id under which a command is carried out at most once."""
    if isinstance(command, Place):
        return command.client_order_id
    return str(getattr(command, "command_id", ""))
