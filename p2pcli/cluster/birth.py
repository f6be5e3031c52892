"""What a supervisor says to its launcher when it is born, or why it is not. Values only.

The launcher (up.py) reads this from the supervisor's stdout until that is closed. Nothing at all means
that the process died before it could speak.
"""

import msgspec

from p2pcli.cluster.folder import BadPlanFile, FolderUnusable
from p2pcli.cluster.ports import NotOurHost, PortTaken
from p2pcli.cluster.requests import Refused
from p2pcli.errors import Conflict


class AlreadyRuns(Conflict):
    """Another supervisor holds the folder."""

    code = "already_runs"


class LeftoverProcesses(Conflict):
    """Processes of an earlier supervisor are still there."""

    code = "leftover_processes"


REFUSALS = (AlreadyRuns, LeftoverProcesses, PortTaken, NotOurHost, FolderUnusable, BadPlanFile)


class Born(msgspec.Struct, frozen=True, tag="born"):
    """The supervisor listens at its control socket."""


Birth = Born | Refused

_birth = msgspec.json.Decoder(Birth)


def encode(birth: Birth) -> bytes:
    """Return the message as bytes."""
    return msgspec.json.encode(birth)


def decode(data: bytes) -> Birth | None:
    """Return the message, or None when it is none."""
    try:
        birth: Birth = _birth.decode(data)
    except msgspec.MsgspecError:
        return None
    return birth
