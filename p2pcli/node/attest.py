"""What nodes say of themselves in the log, and what follows from it. Pure.

Every ``INTERVAL`` entries each node puts a ``Checkpoint`` into the log: its digest at that sequence and how
far its snapshots reach. Two things follow, the same on every node that reads the same log:

- a node whose digest is not the one that most have at some sequence has drifted, and stops; of two that
  differ nobody can say who is right, so both stop (S12)
- entries below every living node's oldest snapshot may be trimmed
"""

from collections import Counter, OrderedDict
from collections.abc import Iterable

from p2pcli.errors import P2pxError
from p2pcli.market.commands import Checkpoint

INTERVAL = 1000  # entries between two digests
REMEMBERED = 32  # digests kept for comparison
LEFT = (1 << 63) - 1  # as the oldest snapshot of a checkpoint: this node is gone and needs no entry
SILENT = 10 * INTERVAL  # entries without a checkpoint after which a node no longer holds up trimming


class StateDiffers(P2pxError):
    """This node's state differs from what its peers have at the same sequence; it must not serve."""

    code = "state_differs"


class Attestations:
    """The digests and snapshot marks that one node has computed and heard, for one market."""

    def __init__(self, name: str, began: int = 0) -> None:
        """``began``: the sequence after which this node hears what the log says."""
        self._name = name
        self._began = began
        self._own: OrderedDict[int, bytes] = OrderedDict()
        self._claims: OrderedDict[int, dict[str, bytes]] = OrderedDict()
        self._marks: dict[str, tuple[int, int]] = {}  # producer -> (heard at, oldest snapshot)

    def computed(self, sequence: int, digest: bytes) -> bool:
        """Note this node's digest after an entry. Says whether it is time for a checkpoint.

        An interval later, when everybody has had time to speak, the digests are compared. Raises
        ``StateDiffers`` unless this node's is the one that most have.
        """
        if sequence % INTERVAL:
            return False
        self._judge(sequence - INTERVAL)
        self._own[sequence] = digest
        while len(self._own) > REMEMBERED:
            self._own.popitem(last=False)
        return True

    def heard(self, at: int, producer: str, checkpoint: Checkpoint) -> None:
        """Take in a checkpoint that the log has at sequence ``at``."""
        self._marks[producer] = (at, checkpoint.snapshot)
        self._claims.setdefault(checkpoint.sequence, {})[producer] = checkpoint.digest
        while len(self._claims) > REMEMBERED:
            self._claims.popitem(last=False)

    def trim_before(self, at: int, producers: Iterable[str]) -> int:
        """Return the sequence below which no living node needs the log; 0 when nothing may go.

        ``producers`` are all that ever appended. One that has said it left needs nothing. One that was not
        heard since this node began may only be down: it counts as having no snapshot until it has been silent
        for ``SILENT`` entries.
        """
        marks = (self._marks.get(producer, (self._began, 0)) for producer in producers)
        living = [snapshot for heard, snapshot in marks if at - heard <= SILENT and snapshot != LEFT]
        return min(living, default=0)

    def _judge(self, sequence: int) -> None:
        own = self._own.get(sequence)
        claims = self._claims.get(sequence, {})
        if own is None:
            return
        votes = Counter({**claims, self._name: own}.values())
        if all(votes[own] > count for digest, count in votes.items() if digest != own):
            return
        others = ", ".join(sorted(name for name, digest in claims.items() if digest != own))
        raise StateDiffers(
            f"at sequence {sequence} this node's digest {own.hex()[:16]} is not the one of {others}",
            hint="p2px verify shows who differs; restart the node to rebuild its state from the log",
        )
