"""The machine under a benchmark: what it is, how fast its disk syncs, what each process uses."""

import os
import platform
import sqlite3
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from p2pcli import __version__
from p2pcli.clock import monotonic

SYNCS = 300
PROBE_BYTES = 4096


class Usage(NamedTuple):
    """What one process has used until now; zeros when it is gone."""

    cpu_s: float
    memory_mib: float


def facts() -> dict[str, str]:
    """Return what a figure must be read with."""
    return {
        "p2px": __version__,
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "system": platform.platform(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def fdatasync_us(folder: Path) -> tuple[float, float]:
    """Return median and 99th percentile of one fdatasync after a 4 KiB append in ``folder``."""
    path = folder / "sync-probe"
    times = []
    with path.open("wb", buffering=0) as file:
        for _ in range(SYNCS):
            file.write(bytes(PROBE_BYTES))
            began = monotonic()
            os.fdatasync(file.fileno())
            times.append(1e6 * (monotonic() - began))
    path.unlink()
    times.sort()
    return times[SYNCS // 2], times[SYNCS * 99 // 100]


def usage(pids: Mapping[str, int]) -> dict[str, Usage]:
    """Return what each named process has used, and this one as "bench"."""
    found = {name: Usage(_cpu_seconds(pid), _memory_mib(pid)) for name, pid in pids.items()}
    found["bench"] = Usage(time.process_time(), _memory_mib(os.getpid()))
    return found


def _cpu_seconds(pid: int) -> float:
    # schedstat counts nanoseconds where stat has hundredths of a second; a thread's share leaves with it.
    try:
        threads: Iterable[Path] = list(Path(f"/proc/{pid}/task").iterdir())
        texts = [(thread / "schedstat").read_text(encoding="ascii") for thread in threads]
    except OSError:
        return 0.0
    return sum(int(text.split()[0]) for text in texts if text.strip()) / 1e9


def _memory_mib(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
