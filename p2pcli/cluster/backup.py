"""Backups of a cluster's log: written from a cluster as it stands, restored into one without data.

Writing reads what nodes and log have on this machine, so it works beside running nodes and without any. The
log is ordered: what it has up to one sequence is a consistent whole whatever is appended meanwhile.

Restoring first reads the whole backup and carries it out in memory (node/backup.py), then writes. While it
writes, ``importing`` lies in the folder, and nothing starts there; the next import begins anew.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec

from p2pcli import __version__
from p2pcli.clock import now_ns
from p2pcli.cluster.briefing import log_url
from p2pcli.cluster.folder import ClusterFolder, unusable
from p2pcli.cluster.folder_lock import FolderLock
from p2pcli.cluster.plan import ClusterPlan
from p2pcli.errors import Conflict
from p2pcli.market.instrument import Instrument
from p2pcli.node.backup import (
    PIECE,
    Head,
    Market,
    Part,
    Piece,
    Run,
    Writer,
    check,
    contents,
    parts,
)
from p2pcli.node.engine import open_log, wipe_log
from p2pcli.node.files import MarketFiles, NothingLogged
from p2pcli.node.snapshots import Snapshots

Progress = Callable[[int], None]  # told of every entry


class HasData(Conflict):
    """The cluster has a log already; a backup is restored only where there is none."""

    code = "has_data"


class StillRuns(Conflict):
    """The cluster runs, and what is to be done needs one that is stopped."""

    code = "still_runs"


class OtherMarkets(Conflict):
    """The cluster has markets with other rules than the backup's."""

    code = "other_markets"


class NotWritten(Conflict):
    """A file cannot be written, or is there already."""

    code = "not_written"


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Give a file that appears under its name, mode 0600, once it is whole and on the disk; else never.

    Raises ``NotWritten``, also when the name is taken.
    """
    part = path.with_name(f".{path.name}.{os.urandom(4).hex()}.part")
    try:
        if path.exists():
            raise NotWritten(f"{path} is there already", hint="name a file that is not there yet")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            _appear(part, path)
        finally:
            part.unlink(missing_ok=True)
        _sync(path.parent)
    except OSError as error:
        raise NotWritten(
            f"cannot write {path}: {error.strerror}", hint="name a file in a folder that is there"
        ) from error


def _appear(part: Path, path: Path) -> None:
    try:
        os.link(part, path)  # unlike a rename it replaces nothing
    except FileExistsError:
        raise
    except OSError:  # a file system without links, such as a USB stick's
        part.rename(path)


def write_backup(
    folder: ClusterFolder,
    plan: ClusterPlan,
    write: Callable[[bytes], object],
    *,
    everything: bool,
    progress: Progress = lambda entries: None,
) -> list[Market]:
    """Write a backup of every market as its log is now, and return what is in it.

    Each market's newest snapshot and the entries after it, or with ``everything`` all that the log has.
    Raises what the log raises, ``NoSnapshot``, ``Trimmed`` (by a node meanwhile: try again), OSError.
    """
    writer = Writer(write)
    writer.add(Head(plan.name, __version__, now_ns(), list(plan.markets)))
    written = []
    for instrument in plan.markets:
        try:
            with MarketFiles(log_url(plan, folder), instrument.symbol) as files:
                written.append(_write_market(writer, files, node_folders(folder), everything, progress))
        except NothingLogged:
            written.append(Market(instrument.symbol, 0, 0, 1, 0))
            writer.add(written[-1])
    writer.finish()
    return written


def entries_to_write(folder: ClusterFolder, plan: ClusterPlan) -> int:
    """Return how many entries the log has: at least as many as a backup of now."""
    count = 0
    for instrument in plan.markets:
        try:
            with MarketFiles(log_url(plan, folder), instrument.symbol) as files:
                count += files.last - files.first + 1
        except NothingLogged:
            continue
    return count


def _write_market(
    writer: Writer, files: MarketFiles, nodes: Iterable[Path], everything: bool, progress: Progress
) -> Market:
    last = files.last
    sequence, snapshot = files.newest_snapshot(nodes, last)
    first = files.first if everything else max(1, sequence)
    market = Market(files.symbol, sequence, len(snapshot), first, last)
    writer.add(market)
    for start in range(0, len(snapshot), PIECE):
        writer.add(Piece(snapshot[start : start + PIECE]))
    for entries in files.runs(first - 1, last):
        writer.add(Run(entries))
        progress(len(entries))
    return market


def node_folders(folder: ClusterFolder) -> list[Path]:
    """Return the folders of every node that ever ran on this machine."""
    return sorted(path for path in folder.nodes.iterdir() if path.is_dir()) if folder.nodes.is_dir() else []


# -- restoring --------------------------------------------------------------------------------------


def read_backup(file: BinaryIO, progress: Progress = lambda entries: None) -> tuple[Head, list[Market]]:
    """Read a backup from end to end, carry it out, and say what is in it. Raises ``BadBackup``."""
    file.seek(0)

    def seen(part: Part) -> None:
        if isinstance(part, Run):
            progress(len(part.entries))

    found = check(parts(file.read), seen)
    head = next(found)
    assert isinstance(head, Head), "it comes first"
    return head, [restored.market for restored in found if not isinstance(restored, Head)]


def with_markets(plan: ClusterPlan, backup: Iterable[Instrument], *, is_new: bool) -> ClusterPlan:
    """Return the plan with the backup's markets; a new one has no others. Pure. Raises ``OtherMarkets``."""
    if is_new:
        return msgspec.structs.replace(plan, markets=tuple(backup))
    markets = list(plan.markets)
    for wanted in backup:
        if wanted in markets:
            continue
        for has in markets:
            if has.symbol == wanted.symbol or has.number == wanted.number:
                raise OtherMarkets(
                    f"cluster {plan.name} has market {has.symbol}, number {has.number}, which is not like "
                    f"{wanted.symbol}, number {wanted.number}, of the backup",
                    hint="import it under another --name",
                )
        markets.append(wanted)
    return msgspec.structs.replace(plan, markets=tuple(markets))


def check_stopped(folder: ClusterFolder) -> None:
    """Raise ``StillRuns`` when a supervisor runs here. Touches nothing where there is no cluster."""
    if folder.path.exists():
        with _stopped(folder):
            pass


def restore(
    folder: ClusterFolder,
    plan: ClusterPlan,
    file: BinaryIO,
    markets: Iterable[Market],
    progress: Progress = lambda entries: None,
) -> None:
    """Restore a backup that was read (``read_backup``) into a stopped cluster that will have ``plan``.

    Raises ``StillRuns``, ``HasData``, ``FolderUnusable``, and what the log raises; a restore that is broken
    off leaves a cluster that does not start, and is begun anew by the next one.
    """
    folder.prepare()
    with _stopped(folder):
        try:
            if folder.importing_path.exists():
                _forget(folder, plan, [market.symbol for market in markets])
            for market in markets:
                _check_empty(folder, plan, market.symbol)
            _mark(folder)
            folder.keep_plan(plan)
            _write(folder, plan, file, progress)
            folder.importing_path.unlink()
            _sync(folder.path)
        except OSError as error:
            raise unusable(folder.path, error) from error


@contextmanager
def _stopped(folder: ClusterFolder) -> Iterator[None]:
    lock, children = FolderLock(folder.lock_path), FolderLock(folder.children_lock_path)
    try:
        if not lock.take() or not children.take():
            raise StillRuns(
                f"cluster {folder.name} is running",
                hint="p2px cluster down" + ("" if folder.name == "default" else f" --name {folder.name}"),
            )
        yield
    finally:
        children.release()
        lock.release()


def _check_empty(folder: ClusterFolder, plan: ClusterPlan, symbol: str) -> None:
    trouble = next((str(path) for path in _places(folder, plan, symbol) if path.exists()), "")
    if not trouble and plan.engine == "etcd":
        with closing(open_log(log_url(plan, folder), symbol.replace("/", "-"), plan.durable)) as log:
            trouble = f"the log on etcd, {log.last()} entries" if log.last() or log.first() > 1 else ""
    if trouble:
        raise HasData(
            f"cluster {folder.name} has data of {symbol} already: {trouble}",
            hint=f"import it under another --name, or first p2px cluster down --wipe --name {folder.name}",
        )


def _places(folder: ClusterFolder, plan: ClusterPlan, symbol: str) -> Iterator[Path]:
    """Yield the folders that hold what a market has on this machine."""
    name = symbol.replace("/", "-")
    engine, _, place = log_url(plan, folder).partition("://")
    if engine == "sqlite":
        yield Path(place) / name
    for node in node_folders(folder):
        yield node / name


def _forget(folder: ClusterFolder, plan: ClusterPlan, symbols: Iterable[str]) -> None:
    """Delete what an earlier restore wrote before it was broken off: there was nothing before it."""
    wipe_log(log_url(plan, folder))
    for symbol in symbols:
        for place in _places(folder, plan, symbol):
            shutil.rmtree(place, ignore_errors=True)


def _mark(folder: ClusterFolder) -> None:
    descriptor = os.open(folder.importing_path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.fsync(descriptor)
    os.close(descriptor)
    _sync(folder.path)


def _write(folder: ClusterFolder, plan: ClusterPlan, file: BinaryIO, progress: Progress) -> None:
    """Write each market's log and give its snapshot to every node."""
    file.seek(0)
    for market, snapshot, entries in contents(parts(file.read)):
        name = market.symbol.replace("/", "-")
        for node in plan.nodes if snapshot else ():
            Snapshots(folder.nodes / node.name / name).save(snapshot, market.snapshot)
        if market.last:
            with closing(open_log(log_url(plan, folder), name, plan.durable)) as log:
                log.install(entries)
            progress(market.last - market.first + 1)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
