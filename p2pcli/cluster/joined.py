"""What a machine keeps of a cluster that it joined: its name there, and where the others are. Values only."""

import msgspec


class Joined(msgspec.Struct, frozen=True):
    """Written by ``p2px node join --cluster-file``; the command line of that machine finds nodes by it."""

    name: str  # of the node that joined last
    registry: tuple[str, ...] = ()  # HTTP addresses of members, this machine's own first
    log: str = ""  # where the cluster's log is
    ports: dict[str, int] = {}  # by name of a node: where it listened last, so that addresses stay true
