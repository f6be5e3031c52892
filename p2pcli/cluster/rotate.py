"""Replaces the cluster's secret and CA while nodes serve: every node takes each step before any the next.

    begin    every node lets in holders of the new secret too
    switch   every node proves itself with the new one, and shows certificates of the new CA
    finish   nobody lets in holders of the old one

``node/rotation`` says what each phase means. The new secret travels to other machines by join tokens alone:
whoever has only the old one, and may be why all this is done, must not be able to ask for it. Run again after
any end, it goes on from what the disks say.
"""

from collections.abc import Callable, Sequence

import msgspec

from p2pcli.cluster.folder import ClusterFolder
from p2pcli.errors import Conflict, NotRunning, P2pxError
from p2pcli.node.client import ExchangeClient
from p2pcli.node.rotating import MachineKeys
from p2pcli.node.rotation import Phase, in_force
from p2pcli.rpc.auth import WrongSecret
from p2pcli.rpc.credentials import Credentials
from p2pcli.rpc.tcp import HostUnreachable, PeerUnreachable

ANSWER_S = 5.0  # of each node that is asked


class NotBegun(Conflict):
    """There is no rotation to finish."""

    code = "not_begun"


class LogIsMoving(Conflict):
    """The cluster's log is between two places."""

    code = "log_is_moving"


class NotEveryNode(P2pxError):
    """Some node has not taken a step, and so none takes the next."""

    code = "not_every_node"


class Known(msgspec.Struct, frozen=True):
    """A node that answered."""

    name: str
    address: str
    has_new: bool  # it lets in holders of the new secret


class Standing(msgspec.Struct, frozen=True):
    """How far a rotation is."""

    phase: Phase
    waiting: list[Known]  # nodes of machines that have not been given the new secret


class Rotating:
    """One rotation. ``own`` are addresses of the nodes that this machine's supervisor runs."""

    def __init__(
        self, folder: ClusterFolder, own: Sequence[str], announced: Sequence[str], tell: Callable[[str], None]
    ) -> None:
        """``announced`` may name the own ones too, and nodes that are gone; ``tell`` is told of those."""
        self._folder = folder
        self._own = list(own)
        self._others = [address for address in announced if address not in self._own]
        self._tell = tell
        self._keys = MachineKeys(folder.secret_path, folder.tls if folder.authority() else None)

    def go_on(self, now: int) -> Standing:
        """Begin, or go on as far as the machines are; ``now`` is seconds since 1970.

        Raises ``NotEveryNode``.
        """
        self._check_settled()
        self._keys.begin(self._folder.name, now)
        before = self._folder.credentials()
        self._step(self._own, before, "")
        waiting = [node for node in self._look() if not node.has_new]
        if waiting:
            return Standing(Phase.BEGUN, waiting)
        self._everywhere(Phase.SWITCHED)
        return Standing(Phase.SWITCHED, [])

    def _check_settled(self) -> None:
        """Raise ``LogIsMoving`` in the middle of a move, which finds its new place by the secret."""
        for address in self._own[:1]:
            with _client(address, self._folder.credentials()) as client:
                moves = [market for market in client.status().markets if market.moves_to]
            if moves:
                raise LogIsMoving(
                    f"the log of {moves[0].symbol} is being moved to {moves[0].moves_to}",
                    hint=f"p2px log move {moves[0].moves_to} finishes that, with --abort gives it up",
                )

    def finish(self) -> None:
        """Let nobody in any more who has the old secret. Raises ``NotBegun``, ``NotEveryNode``."""
        rotation = self._keys.rotation
        if rotation is None or rotation.phase is Phase.BEGUN:
            raise NotBegun(
                "no node uses a new secret yet, so the old one cannot end", hint="p2px cluster rotate"
            )
        if rotation.phase is Phase.SWITCHED:
            self._everywhere(Phase.SWITCHED)
        self._everywhere(Phase.FINISHED)

    def _everywhere(self, phase: Phase) -> None:
        known = self._look()
        behind = [f"{node.name} at {node.address} has no new secret" for node in known if not node.has_new]
        if behind:
            raise _not_every_node(behind)
        self._keys.advance(phase)
        self._step([*self._own, *(node.address for node in known)], self._newest(), phase.value)

    def _newest(self) -> Credentials:
        return Credentials(self._folder.newest_secret(), self._folder.authority())

    def _look(self) -> list[Known]:
        """Return every other node that answers. Raises ``NotEveryNode`` when one hangs."""
        found = []
        for address in self._others:
            try:
                found.append(self._known(address))
            except P2pxError as error:
                is_gone = isinstance(error, PeerUnreachable) and not isinstance(error, HostUnreachable)
                if not is_gone:
                    raise _not_every_node([error.message]) from error
                self._tell(error.message)  # an announcement outlives its node
        return found

    def _known(self, address: str) -> Known:
        try:
            with _client(address, self._newest()) as client:
                return Known(client.node, address, True)
        except WrongSecret:
            pass
        with _client(address, in_force(self._folder.secret(), None, self._folder.authority())) as client:
            name, standing = (
                client.node,
                client.rotate(),
            )  # one that joined on this machine has it on its disk
        rotation = self._keys.rotation
        return Known(name, address, rotation is not None and standing.phase == rotation.phase.value)

    def _step(self, addresses: Sequence[str], credentials: Credentials, phase: str) -> None:
        failed = []
        for address in addresses:
            try:
                with _client(address, credentials) as client:
                    client.rotate(phase)
            except P2pxError as error:
                if isinstance(error, NotRunning) and address in self._own:
                    continue  # it has ended meanwhile, and reads the disk when it starts
                failed.append(f"{address}: {error.message}")
        if failed:
            raise _not_every_node(failed)


def _client(address: str, credentials: Credentials) -> ExchangeClient:
    host, _, port = address.rpartition(":")
    return ExchangeClient(host, int(port), credentials, timeout=ANSWER_S)


def _not_every_node(failed: Sequence[str]) -> NotEveryNode:
    return NotEveryNode(
        f"not every node has taken this step, so none takes the next: {'; '.join(failed)}",
        hint="repeat it when they answer; a machine that was away meanwhile joins anew with a token",
    )
