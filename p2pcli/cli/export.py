"""``p2px export``: log, trades and book of every node as plain files, for checks by other programs."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from time import sleep

import click
import msgspec

from p2pcli.cli.invocation import Invocation
from p2pcli.cli.reach import reach, strangers
from p2pcli.cli.verbs import Verb
from p2pcli.clock import monotonic
from p2pcli.cluster.briefing import log_url
from p2pcli.cluster.control import Control
from p2pcli.cluster.folder import ClusterNotRunning, not_running
from p2pcli.cluster.report import State
from p2pcli.errors import Conflict, P2pxError
from p2pcli.market.instrument import Instrument
from p2pcli.market.views import OrderView
from p2pcli.node.export import Export, book_rows
from p2pcli.node.files import HistoryBeginsLate, MarketFiles, NothingLogged
from p2pcli.node.record import Record

HISTORY_S = 10.0  # how long a node's history, written in the background, may lag behind its book
LOOK_S = 0.02


class ExportFailed(Conflict):
    """The folder cannot be written to, or holds an earlier export."""

    code = "export_failed"


class HistoryLags(P2pxError):
    """A node did not write its history in time."""

    code = "history_lags"


@click.command("export", cls=Verb, examples=("p2px export ./audit", "p2px export /tmp/audit --name test"))
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False))
@click.pass_obj
def export(invocation: Invocation, folder: str) -> None:
    """Write the log, and each node's trades and book, as JSON files into DIR.

    \b
    log.jsonl             every command in the order applied, in ticks and lots
    trades.<node>.jsonl   the trades as that node has them
    book.<node>.json      the resting orders as that node has them, in priority order

    One folder a market when there are several. Of a running cluster the books are asked from the
    nodes; of a stopped one they are rebuilt from each node's own files and the log.
    """
    log, markets, names = _cluster(invocation)
    joined = _joined_here(invocation)
    running = {*_running_nodes(invocation), *joined}
    written = []
    for instrument in markets:
        target = Path(folder) / instrument.symbol.replace("/", "-") if len(markets) > 1 else Path(folder)
        places = {name: invocation.folder.nodes / name for name in (*names, *joined)}
        try:
            with MarketFiles(log, instrument.symbol) as files:
                pasts = _pasts(invocation, files, instrument, places, running)
                written += list(_write(invocation, files, instrument, target, places, pasts))
        except NothingLogged as nothing:
            invocation.screen.note(nothing.message)
    screen = invocation.screen
    if screen.is_text:
        screen.lines(f"{path}  {rows} {'row' if rows == 1 else 'rows'}" for path, rows in written)
    else:
        screen.objects({"file": str(path), "rows": rows} for path, rows in written)


def _cluster(invocation: Invocation) -> tuple[str, list[Instrument], list[str]]:
    """Return where the log is, the markets, and the nodes of this machine's supervisor."""
    folder = invocation.folder
    plan, joined = folder.plan(), folder.joined()
    if plan is not None:
        return log_url(plan, folder), list(plan.markets), [slot.name for slot in plan.nodes]
    if joined is None:
        raise not_running(folder.name)
    with reach(invocation) as client:
        return joined.log, list(client.instruments.values()), []


def _running_nodes(invocation: Invocation) -> set[str]:
    try:
        with Control(invocation.folder) as control:
            return {child.name for child in control.report().nodes if child.state is State.RUNNING}
    except ClusterNotRunning:
        return set()


def _joined_here(invocation: Invocation) -> list[str]:
    """Return the nodes that joined on this machine; of others there are no files, and it is said."""
    found = strangers(invocation, invocation.folder.report(), invocation.config.client.timeout).clients
    here = []
    for name, client in found.items():
        client.close()
        if (invocation.folder.nodes / name).is_dir():
            here.append(name)
        else:
            invocation.screen.note(f"{name}: its files are on another machine, {client.address}")
    return here


class _Past(msgspec.Struct, frozen=True):
    """What one node has of one market."""

    sequence: int
    orders: list[OrderView]  # resting at that sequence
    beyond: list[Record]  # what it would apply of the log when it started: nothing while it runs


def _pasts(
    invocation: Invocation,
    files: MarketFiles,
    instrument: Instrument,
    places: Mapping[str, Path],
    running: set[str],
) -> dict[str, _Past]:
    """Return what each node has; one that never had this market is left out."""
    found: dict[str, _Past] = {}
    for name, place in places.items():
        if name in running:
            with reach(invocation, name) as client:
                if instrument.symbol not in client.hosts:
                    continue
                sequence, orders = client.full_book(instrument.symbol)
            _await_history(files, name, place, sequence)
            found[name] = _Past(sequence, orders, [])
        elif files.history_end(place):
            machine = files.machine(place)
            beyond = list(files.beyond(machine))
            found[name] = _Past(machine.sequence, machine.full_book(), beyond)
    return found


def _await_history(files: MarketFiles, name: str, place: Path, sequence: int) -> None:
    deadline = monotonic() + HISTORY_S
    while files.history_end(place) < sequence:
        if monotonic() > deadline:
            raise HistoryLags(f"history of {files.symbol} on {name} did not reach sequence {sequence}")
        sleep(LOOK_S)


def _write(
    invocation: Invocation,
    files: MarketFiles,
    instrument: Instrument,
    target: Path,
    places: Mapping[str, Path],
    pasts: Mapping[str, _Past],
) -> Iterator[tuple[Path, int]]:
    """Write one market and yield each file with its number of rows."""
    _make(target)
    ahead = max(pasts, key=lambda name: pasts[name].sequence, default=None)
    for name, past in pasts.items():
        export = Export(instrument.symbol)
        with ExitStack() as stack:
            log = stack.enter_context(_Rows(target / "log.jsonl")) if name == ahead else None
            trades = stack.enter_context(_Rows(target / f"trades.{name}.jsonl"))
            try:
                for record in chain(files.history(places[name], past.sequence), past.beyond):
                    for command, made in export.rows(record):
                        if log is not None:
                            log.add(command)
                        for trade in made:
                            trades.add(trade)
            except HistoryBeginsLate as late:
                invocation.screen.note(f"{name}: {late.message}")
                continue
        with _Rows(target / f"book.{name}.json") as book:
            book.add({"applied_seq": export.position, "orders": book_rows(instrument.symbol, past.orders)})
        for rows in (log, trades, book):
            if rows is not None:
                yield rows.path, rows.count


class _Rows:
    """A file of JSON objects, one a line. A context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        try:
            self._file = path.open("wb")
        except OSError as error:
            raise ExportFailed(f"cannot write {path}: {error.strerror}") from error

    def __enter__(self) -> "_Rows":
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.close()

    def add(self, row: Mapping[str, object]) -> None:
        self.count += 1
        self._file.write(msgspec.json.encode(row) + b"\n")


def _make(target: Path) -> None:
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportFailed(f"cannot make {target}: {error.strerror}") from error
    if any(target.iterdir()):
        raise ExportFailed(f"folder {target} is not empty", hint="name a folder that is new or empty")
