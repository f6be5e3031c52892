"""One market's log on its way to another place: looks at both, and takes the step that is next (moving.py).

It needs no nodes: it carries the old log out by itself, from a snapshot, and appends to it like a node of its
own name. Whatever it cannot be sure of it leaves to its next run, which looks again.
"""

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from secrets import randbits
from types import TracebackType
from typing import Self

import msgspec

from p2pcli.clock import now_ns
from p2pcli.log.entry import Batch, Entry, Log, new_epoch
from p2pcli.market.commands import Move, MoveStep
from p2pcli.node.body import encode_body
from p2pcli.node.engine import open_log
from p2pcli.node.files import READ_ENTRIES, MarketFiles
from p2pcli.node.machine import Machine
from p2pcli.node.moving import PRODUCER, CannotMove, LogMoved, Standing, Step

APPEND_S = 10.0  # wait for other writers of a log


class MarketMove:
    """A market, its old log and its new one. A context manager that closes both."""

    def __init__(
        self, symbol: str, old_url: str, new_url: str, target: str, nodes: Iterable[Path], *, durable: bool
    ) -> None:
        """Open both logs. ``target`` is the new one's place as a person writes it, ``nodes`` their folders.

        Raises ``NothingLogged``, ``NoSnapshot``, and what the logs raise.
        """
        self.symbol = symbol
        self._target = target
        with ExitStack() as stack:
            self._files = stack.enter_context(MarketFiles(old_url, symbol))
            self._old = self._files.log
            self._new: Log = open_log(new_url, self._files.folder_name, durable)
            stack.callback(self._new.close)
            _, snapshot = self._files.newest_snapshot(nodes, self._files.last)
            self._machine = Machine.restore(snapshot) if snapshot else Machine()
            self._close = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close.close()

    def look(self) -> Standing:
        """Return how both places stand now."""
        self._catch_up()
        last, copied = self._machine.sequence, self._new.last()
        is_copy = copied == 0 or self._is_same(min(last, copied))
        return Standing(self.symbol, self._machine.moving, last, copied, is_copy)

    def take(self, step: Step) -> None:
        """Take one step, which ``next_step`` has just said. Raises ``CannotMove`` and what the logs raise."""
        match step:
            case Step.SEAL:
                self._append(MoveStep.SEAL)
            case Step.COPY:
                self._copy()
            case Step.END:
                self._append(MoveStep.END)
            case Step.BEGIN:
                self._begin()

    def unseal(self) -> None:
        """Let the old log go on. Raises ``CannotMove`` when it has ended meanwhile."""
        self._append(MoveStep.UNSEAL)

    def _append(self, step: MoveStep) -> None:
        """Append a step to the old log and see it have its effect."""
        sequence = self._old.append(self._batch(step), APPEND_S)
        self._catch_up()
        moving = self._machine.moving
        wanted = None if step is MoveStep.UNSEAL else Move(step, self._target)
        if self._machine.sequence < sequence or moving != wanted:
            raise CannotMove(
                f"the log of {self.symbol} was moved or unsealed by somebody else meanwhile",
                hint=f"p2px log move {self._target} looks again",
            )

    def _begin(self) -> None:
        """Write the entry that only the new log has."""
        last = self._machine.sequence
        sequence = self._new.append(self._batch(MoveStep.BEGIN), APPEND_S)
        if sequence != last + 1:
            raise CannotMove(
                f"the new log of {self.symbol} has an entry {last + 1} already",
                hint=f"p2px log move {self._target} looks again",
            )

    def _batch(self, step: MoveStep) -> Batch:
        command = msgspec.Raw(msgspec.msgpack.encode([Move(step, self._target)]))
        epoch = new_epoch(self._machine.sessions.epoch(PRODUCER), randbits(32))
        return Batch(PRODUCER, epoch, 1, encode_body(now_ns(), [(PRODUCER, command)]))

    def _copy(self) -> None:
        """Bring the new log to where the old one is."""
        after, last = self._new.last(), self._machine.sequence
        if not after:
            self._new.install(self._entries(self._old.first() - 1, last))
            return
        for entry in self._entries(after, last):
            sequence = self._new.append(entry.batch, APPEND_S)
            if sequence != entry.sequence:
                raise CannotMove(f"the new log of {self.symbol} has entry {entry.sequence} as {sequence}")

    def _entries(self, after: int, last: int) -> Iterable[Entry]:
        for entries in self._files.runs(after, last):
            yield from entries

    def _catch_up(self) -> None:
        machine = self._machine
        while entries := self._old.read(machine.sequence, READ_ENTRIES):
            try:
                for entry in entries:
                    machine.apply(entry)
            except LogMoved:  # what a late node appended after the end
                return

    def _is_same(self, sequence: int) -> bool:
        """Say whether both logs have the same entry there, and so the same before it."""
        chains = []
        for log in (self._old, self._new):
            if sequence < log.first():
                return False
            chains.append(log.read(sequence - 1, 1)[0].chain)
        return chains[0] == chains[1]
