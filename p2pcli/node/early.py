"""Entries that came before their turn: when several nodes write, their pushes overtake each other. Pure."""

from p2pcli.log.entry import Entry

MAX_EARLY = 1000  # entries; later ones are left to the log
MAX_EARLY_BYTES = 8 << 20  # of their bodies, likewise


class Early:
    """Pushed entries by sequence, until the ones before them are there."""

    def __init__(self) -> None:
        self._entries: dict[int, Entry] = {}
        self._bytes = 0

    def keep(self, entry: Entry) -> bool:
        """Keep an entry, unless there are too many. Says whether it was kept. O(1)."""
        size = len(entry.batch.body)
        if len(self._entries) >= MAX_EARLY or self._bytes + size > MAX_EARLY_BYTES:
            return False
        if entry.sequence not in self._entries:
            self._entries[entry.sequence] = entry
            self._bytes += size
        return True

    def take(self, sequence: int) -> Entry | None:
        """Return the entry of that sequence, if it is here. O(1)."""
        entry = self._entries.pop(sequence, None)
        if entry is not None:
            self._bytes -= len(entry.batch.body)
        return entry

    def forget(self, through: int) -> None:
        """Drop what was applied by other ways meanwhile. O(entries)."""
        for sequence in [sequence for sequence in self._entries if sequence <= through]:
            self.take(sequence)

    def __len__(self) -> int:
        return len(self._entries)
