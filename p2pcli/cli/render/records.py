"""Lines of the processes' log files, for people."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from p2pcli.cli.render.ink import Paint, harmless, plain

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
LEVEL_STYLES = {"debug": "dim", "info": "", "warning": "warn", "error": "bad", "critical": "bad"}
NAME_STYLES = ("name1", "name2", "name3", "name4", "name5", "name6")  # one for each process, in turns

# What a line shows elsewhere, or what only programs need.
_HIDDEN = frozenset({"time", "level", "process", "pid", "logger", "event", "thread", "environment"})


@dataclass(frozen=True)
class Wanted:
    """Which records to show: of a level or above and, where given, about one order or one request."""

    level: str
    order: str | None = None
    request: str | None = None

    def takes(self, record: Mapping[str, Any]) -> bool:
        """Return whether to show a record."""
        if LEVELS.get(str(record.get("level")), LEVELS["info"]) < LEVELS[self.level]:
            return False
        if self.request is not None and record.get("request") != self.request:
            return False
        if self.order is None or str(record.get("order")) == self.order:
            return True
        orders = record.get("orders")  # of one request, in one entry
        return isinstance(orders, list) and self.order in orders


def record_line(record: Mapping[str, Any], line: str, paint: Paint = plain) -> str:
    """Return ``20:15:01.123 info    serving  rpc=127.0.0.1:4321``; a line that is no record as it is."""
    if "time" not in record:
        return harmless(line)
    level = str(record.get("level", "info"))
    clock = str(record["time"])[11:23]
    fields = "  ".join(f"{name}={value}" for name, value in record.items() if name not in _HIDDEN)
    style = LEVEL_STYLES.get(level, "")
    text = f"{harmless(str(record.get('event', '')))}"
    if fields:
        text += "  " + paint(harmless(fields), "dim")
    return f"{paint(clock, 'dim')} {paint(f'{level:<7}', style)} {text}"
