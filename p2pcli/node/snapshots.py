"""Snapshot files of one market in one node: written whole or not at all, the newest two kept.

A file appears under its name only after its bytes and then its folder are on the disk, so a crash
leaves the former snapshot, never half of a new one. The bytes carry their own checksum (``Machine``).
"""

import logging
import os
import re
from pathlib import Path

import msgspec

from p2pcli.errors import NotFound, P2pxError
from p2pcli.node.machine import Machine
from p2pcli.node.state import BadSnapshot, OtherStateVersion, State, decode_state, signed

KEPT = 2  # the newest and the one before it
MAX_SNAPSHOT = 4 << 30  # bytes
PIECE = 512 << 10  # bytes of a snapshot in one frame

_NAME = re.compile(r"([0-9]{1,19})\.snapshot")

logger = logging.getLogger(__name__)


class SnapshotFailed(P2pxError):
    """The snapshot could not be written; the log still has everything."""

    code = "snapshot_failed"


class NoSnapshot(NotFound):
    """The node keeps no such snapshot; another may."""

    code = "no_snapshot"


class SnapshotPiece(msgspec.Struct, frozen=True, array_like=True):
    """Part of a snapshot file on its way to a node that needs it."""

    sequence: int
    total: int  # bytes of the whole file
    data: bytes  # at most PIECE; empty past the end


class Snapshots:
    """The snapshots of one market in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, machine_bytes: bytes, sequence: int) -> None:
        """Write the snapshot at ``sequence`` durably and drop those older than the one before.

        Raises ``SnapshotFailed``; the former snapshots then stand as they were.
        """
        whole = self._folder / f"{sequence}.snapshot"
        part = self._folder / f"{sequence}.part"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                file.write(signed(machine_bytes))
                file.flush()
                os.fsync(file.fileno())
            part.replace(whole)
            self._sync_folder()
            for old in self.sequences()[KEPT:]:
                (self._folder / f"{old}.snapshot").unlink()
        except OSError as error:
            part.unlink(missing_ok=True)
            raise SnapshotFailed(f"cannot write snapshot {whole}: {error.strerror}") from error

    def sequences(self) -> list[int]:
        """Return the sequences of all that are kept, newest first."""
        if not self._folder.is_dir():
            return []
        found = (_NAME.fullmatch(path.name) for path in self._folder.iterdir())
        return sorted((int(match[1]) for match in found if match), reverse=True)

    def state(self, sequence: int) -> State:
        """Return what a snapshot holds. Raises ``NoSnapshot``, ``BadSnapshot``, ``OtherStateVersion``."""
        path = self._folder / f"{sequence}.snapshot"
        try:
            data = path.read_bytes()
        except OSError as error:  # a node that runs drops old ones
            raise NoSnapshot(f"{path} is not there any more") from error
        state = decode_state(data)
        if state.sequence != sequence:
            raise BadSnapshot(f"{path} is of sequence {state.sequence}")
        return state

    def oldest(self) -> int:
        """Return the sequence of the oldest snapshot kept once two are kept; 0 before that."""
        kept = self.sequences()
        return kept[-1] if len(kept) >= KEPT else 0

    def piece(self, sequence: int, offset: int) -> SnapshotPiece:
        """Return one piece of a snapshot file; ``sequence`` 0 means the newest. Raises ``NoSnapshot``."""
        kept = self.sequences()
        wanted = sequence or (kept[0] if kept else 0)
        try:
            with (self._folder / f"{wanted}.snapshot").open("rb") as file:
                total = file.seek(0, os.SEEK_END)
                file.seek(min(offset, total))
                return SnapshotPiece(wanted, total, file.read(PIECE))
        except OSError as error:
            raise NoSnapshot(f"this node keeps no snapshot {sequence or ''}".rstrip()) from error

    def newest(self, through: int) -> Machine:
        """Return the machine of the newest snapshot that is whole and not after ``through``.

        A damaged one is passed over for the one before, and in the end for a fresh machine. One of another
        version is not: it is whole, and what it says would be lost. Raises ``OtherStateVersion``.
        """
        for sequence in self.sequences():
            if sequence > through:
                logger.warning("snapshot %d is passed over: history ends at %d", sequence, through)
                continue
            path = self._folder / f"{sequence}.snapshot"
            try:
                if path.stat().st_size > MAX_SNAPSHOT:
                    raise BadSnapshot(f"{path.stat().st_size} bytes, the limit is {MAX_SNAPSHOT}")
                machine = Machine.restore(path.read_bytes())
            except OtherStateVersion as error:
                raise OtherStateVersion(f"{path}: {error.message}", hint=error.hint) from error
            except (OSError, BadSnapshot) as error:
                logger.warning("snapshot %s is passed over: %s", path, error)
                continue
            if machine.sequence == sequence:
                return machine
            logger.warning("snapshot %s holds sequence %d, passed over", path, machine.sequence)
        return Machine()

    def _sync_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
