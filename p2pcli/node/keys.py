"""The owners' keys of a market: which were granted, which were revoked. Part of its replicated state.

A key itself is nowhere: it is derived from the cluster's secret for its owner and id (``rpc/credentials``).
Here is only whether it is still good, the same at the same sequence on every node. Of a revoked key the id is
kept as long as there is room; one that is forgotten is as unknown as one that never was, and refused as well.
"""

from collections.abc import Iterable, Iterator

from p2pcli.market.commands import MAX_ID_LENGTH, GrantKey, RevokeKey
from p2pcli.market.events import Done, Reason, Refused
from p2pcli.market.views import KeyView

MAX_KEYS = 10_000  # of one market, revoked ones included


class Keys:
    """The table. Its methods are called in the order of the log, and reading needs no lock."""

    def __init__(self, keys: Iterable[KeyView] = ()) -> None:
        """Raise ``ValueError`` for an id that occurs twice."""
        self._keys: dict[str, KeyView] = {}
        self.changes = 0  # revocations so far: whoever looks again sees by it that there was one
        for key in keys:
            if key.id in self._keys:
                raise ValueError(f"key {key.id[:64]!r} occurs twice")
            self._keys[key.id] = key

    def __iter__(self) -> Iterator[KeyView]:
        return iter(list(self._keys.values()))

    def get(self, key_id: str) -> KeyView | None:
        """Return a key, good or revoked; None for one that is not known. O(1)."""
        return self._keys.get(key_id)

    def admits(self, key_id: str, owner: str) -> bool:
        """Say whether a command of this owner, proven with this key, may be carried out now. O(1)."""
        key = self._keys.get(key_id)
        return key is not None and key.owner == owner and not key.revoked_ns

    def carry_out(self, command: GrantKey | RevokeKey, now_ns: int) -> Done | Refused:
        """Grant or revoke. Repeating either changes nothing."""
        known = self._keys.get(command.key)
        if isinstance(command, GrantKey):
            return self._grant(known, command, now_ns)
        if known is None:
            return Refused(Reason.UNKNOWN_KEY)
        if not known.revoked_ns:
            self._keys[known.id] = KeyView(known.id, known.owner, known.granted_ns, max(1, now_ns))
            self.changes += 1
        return Done()

    def _grant(self, known: KeyView | None, command: GrantKey, now_ns: int) -> Done | Refused:
        if known is not None:
            same = known.owner == command.owner and not known.revoked_ns
            return Done() if same else Refused(Reason.KEY_TAKEN)
        if max(len(command.key), len(command.owner)) > MAX_ID_LENGTH:
            return Refused(Reason.ID_TOO_LONG, 0, [max(len(command.key), len(command.owner)), MAX_ID_LENGTH])
        if len(self._keys) >= MAX_KEYS:
            oldest = next((key for key in self._keys.values() if key.revoked_ns), None)
            if oldest is None:
                return Refused(Reason.TOO_MANY_KEYS, 0, [MAX_KEYS])
            del self._keys[oldest.id]
        self._keys[command.key] = KeyView(command.key, command.owner, now_ns)
        return Done()
