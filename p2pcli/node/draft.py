"""A batch in the making: parcels go in until no more fit, or until its turn in the log has come. Pure."""

from p2pcli.log.entry import MAX_BODY
from p2pcli.node.asked import size_of
from p2pcli.node.body import MAX_COMMANDS, VERSION, Body, Group, encode_body
from p2pcli.node.parcels import Parcel

_ROOM = MAX_BODY - 4096  # what the groups' own framing may cost


class Draft:
    """Parcels that will be one batch, each a group of its own, in the order they came."""

    def __init__(self, time_ns: int = 0) -> None:
        self.time_ns = time_ns
        self.parcels: list[Parcel] = []
        self.commands = 0  # in all of them
        self._bytes = 0

    def takes(self, parcel: Parcel) -> bool:
        """Take a parcel if it fits, and say whether it did; the first one always does. O(1)."""
        size, commands = self._bytes + _size(parcel), self.commands + len(parcel.commands)
        if self.parcels and (size > _ROOM or commands > MAX_COMMANDS):
            return False
        self.parcels.append(parcel)
        self._bytes, self.commands = size, commands
        return True

    def body(self) -> Body:
        """Return what the machine carries out."""
        groups = [Group(parcel.owner, parcel.commands, key=parcel.key) for parcel in self.parcels]
        return Body(VERSION, self.time_ns, groups)

    def encoded(self) -> bytes:
        """Return the same as the log stores it. O(its bytes)."""
        return encode_body(self.time_ns, [parcel.as_logged for parcel in self.parcels])


def _size(parcel: Parcel) -> int:
    # 16: and at most so much of MessagePack around it
    size = len(parcel.encoded) + len(parcel.owner) + len(parcel.key) + 16
    return size + size_of(parcel.asked) if parcel.asked is not None else size
