"""The log files of a cluster's processes: their last lines, and new ones as they are written."""

import itertools
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from p2pcli.cluster.folder import ClusterFolder
from p2pcli.cluster.plan import ClusterPlan
from p2pcli.cluster.report import no_such_child

SUPERVISOR = "supervisor"
MAX_LINE = 64 << 10  # bytes; a longer line is shown cut
BLOCK = 64 << 10
POLL_S = 0.2


class LogLine(msgspec.Struct, frozen=True):
    """The fields every record has; see p2pcli.logging."""

    time: str = ""
    level: str = ""
    pid: int = 0
    event: str = ""
    traceback: str = ""


_line = msgspec.json.Decoder(LogLine)


def log_folder(folder: ClusterFolder, plan: ClusterPlan | None) -> Path:
    """Return where the processes of a plan write."""
    return Path(plan.logs) if plan is not None and plan.logs else folder.logs


def log_files(folder: ClusterFolder, names: tuple[str, ...] = ()) -> dict[str, Path]:
    """Return the log file of each process named, of all when none is. Raises ``NoSuchChild``."""
    plan = folder.plan()
    where = log_folder(folder, plan)
    known = [*(plan.kinds if plan is not None else ()), SUPERVISOR]
    for name in names:
        if name not in known:
            raise no_such_child(name, folder.name, known)
    return {name: where / f"{name}.jsonl" for name in names or known}


def last_lines(path: Path, count: int = 50, *, start: int = 0, end: int | None = None) -> list[str]:
    """Return up to ``count`` last complete lines, newest last; [] when there is no file.

    Reads backwards from byte ``end`` (None: the end) to ``start``, only as far as those lines are long.
    """
    try:
        with path.open("rb") as file:
            position = file.seek(0, os.SEEK_END) if end is None else end
            data = b""
            while position > start and data.count(b"\n") <= count and len(data) < (count + 1) * MAX_LINE:
                step = min(BLOCK, position - start)
                position = file.seek(position - step)
                data = file.read(step) + data
    except OSError:
        return []
    lines = data[: data.rfind(b"\n") + 1].splitlines()
    return [_text(line) for line in lines[-count:]] if count > 0 else []


def all_lines(path: Path) -> Iterator[str]:
    """Yield every complete line of a log file and of those rotated away before it, oldest first."""
    rotated = [one for one in path.parent.glob(f"{path.name}.*") if one.suffix[1:].isdecimal()]
    for one in [*sorted(rotated, key=lambda old: -int(old.suffix[1:])), path]:
        try:
            with one.open("rb") as file:
                while line := file.readline(MAX_LINE):
                    if line.endswith(b"\n"):
                        yield _text(line[:-1])
        except OSError:
            continue  # it was rotated away meanwhile, or is not there yet


def follow(paths: Mapping[str, Path], count: int = 0, poll_s: float = POLL_S) -> Iterator[tuple[str, str]]:
    """Return (process, line) for the last ``count`` lines of each file and for every line written from now
    on, for ever. Nothing is missed or shown twice between the two; rotated files are followed.
    """
    readers = {name: _Reader(path) for name, path in paths.items()}
    last = [(name, line) for name, reader in readers.items() for line in reader.before(count)]
    return itertools.chain(last, _new_lines(readers, poll_s))


def _new_lines(readers: "dict[str, _Reader]", poll_s: float) -> Iterator[tuple[str, str]]:
    while True:
        is_quiet = True
        for name, reader in readers.items():
            for line in reader.lines():
                is_quiet = False
                yield name, line
        if is_quiet:
            time.sleep(poll_s)


def readable(line: str) -> str:
    """Return a record as ``12:34:56 error event``; a line that is no record as it stands."""
    try:
        record = _line.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return line
    last = record.traceback.rstrip().rpartition("\n")[2]
    return f"{record.time[11:19]} {record.level} {record.event}" + (f" ({last})" if last else "")


def last_words(logs: Path, name: str, pid: int, output_from: int = 0, count: int = 10) -> tuple[str, ...]:
    """Return what one process last logged and printed; the latter after byte ``output_from`` of its file."""
    words = []
    for line in last_lines(logs / f"{name}.jsonl", 4 * count):
        try:
            if _line.decode(line).pid == pid:
                words.append(readable(line))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
    words += last_lines(logs / f"{name}.out", count, start=output_from)
    return tuple(word[:500] for word in words[-count:])


class _Reader:
    """Reads what is appended to one file, whichever file has its name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode, self._position = self._now()
        self._rest = b""

    def _now(self) -> tuple[int, int]:
        try:
            status = self._path.stat()
        except OSError:
            return 0, 0
        return status.st_ino, status.st_size

    def before(self, count: int) -> list[str]:
        """Return the last complete lines before those that ``lines`` will return."""
        return last_lines(self._path, count, end=self._position)

    def lines(self) -> list[str]:
        """Return the lines completed since the last call, at most ``BLOCK`` bytes of them."""
        inode, size = self._now()
        if inode != self._inode or size < self._position:  # rotated, or made anew
            self._inode, self._position, self._rest = inode, 0, b""
        if size <= self._position:
            return []
        try:
            with self._path.open("rb") as file:
                file.seek(self._position)
                data = file.read(BLOCK)
        except OSError:
            return []
        self._position += len(data)
        *complete, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-MAX_LINE:]
        return [_text(line) for line in complete]


def _text(line: bytes) -> str:
    return line[:MAX_LINE].decode("utf-8", "replace")
