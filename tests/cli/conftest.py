"""One real cluster for all tests of the command line, and ways to run the program as people do."""

import codecs
import fcntl
import json
import os
import pty
import re
import select
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import gettempdir
from time import monotonic
from typing import Any, NamedTuple

import pytest

from p2pcli.cli.words import place
from p2pcli.cluster.folder import ClusterFolder
from p2pcli.market.commands import CancelAll, Resume, Side
from p2pcli.market.events import Placed
from p2pcli.node.client import ExchangeClient

PROGRAM = (sys.executable, "-m", "p2pcli.cli.main")
DEADLINE_S = 60.0
NODES = ("client1", "client2", "client3")


class Said(NamedTuple):
    """What one run of the program left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def plain(self) -> str:
        """The text without the escape sequences of colour."""
        return re.sub(r"\x1b\[[0-9;]*m", "", self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


class Shell:
    """Runs ``p2px`` with a home of its own."""

    def __init__(self, home: Path, **environ: str) -> None:
        self.home = home
        self.within: tuple[str, ...] = ()  # words before every command: where it runs
        self._clients: dict[str, ExchangeClient] = {}
        self.cwd = home.parent
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("P2PX_", "_P2PX"))}
        ports = {"P2PX_REGISTRY_HTTP_PORTS": free_ports(2), "P2PX_REGISTRY_DHT_PORTS": free_ports(2)}
        self.environ = {**kept, **ports, "P2PX_HOME": str(home), "NO_COLOR": "", "TERM": "xterm", **environ}
        for name in ("COLUMNS", "LINES", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"):
            self.environ.pop(name, None)
        # Compiled once for all runs, and not into the source tree: a run starts twice as fast.
        self.environ["PYTHONPYCACHEPREFIX"] = str(Path(gettempdir()) / f"p2px-tests-{os.getuid()}-pycache")

    def __call__(self, *words: str, text: str = "", **environ: str) -> Said:
        done = subprocess.run(
            [*self.within, *PROGRAM, *words],
            input=text,
            capture_output=True,
            encoding="utf-8",
            env={**self.environ, **environ},
            cwd=self.cwd,
            timeout=DEADLINE_S,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def start(self, *words: str, **environ: str) -> subprocess.Popen[str]:
        """Start a run that goes on, reading its output through a pipe."""
        return subprocess.Popen(
            [*self.within, *PROGRAM, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env={**self.environ, **environ},
            cwd=self.cwd,
        )

    def terminal(self, *words: str, columns: int = 80, rows: int = 50, **environ: str) -> "Terminal":
        """Start a run on a terminal of its own."""
        return Terminal(
            [*self.within, *PROGRAM, *words], {**self.environ, **environ}, self.cwd, columns, rows
        )

    @property
    def folder(self) -> ClusterFolder:
        return ClusterFolder(self.home, "default")

    def client(self, node: str = "client1") -> ExchangeClient:
        """Return a client of that node, for what a test needs beside the runs that it is about."""
        if node not in self._clients:
            report = self.folder.report()
            assert report is not None
            host, _, port = report.child(node).addresses["rpc"].rpartition(":")
            self._clients[node] = ExchangeClient(host, int(port), self.folder.credentials())
        return self._clients[node]

    def cancel_all(self, market: str, owners: Iterable[str]) -> None:
        """Cancel what owners have who are no nodes, such as the orders that a benchmark leaves at rest."""
        report = self.folder.report()
        assert report is not None
        host, _, port = report.child("client1").addresses["rpc"].rpartition(":")
        for owner in owners:
            with ExchangeClient(host, int(port), self.folder.credentials(), owner=owner) as client:
                client.submit(market, [CancelAll()])

    def place(self, text: str, side: Side = Side.BUY, node: str = "client1", market: str = "BTC/USD") -> str:
        """Place an order without a run of the program, and return its id as people write it."""
        client = self.client(node)
        instrument = client.instruments[market]
        (outcome,) = client.submit(market, [place(instrument, side, text)]).outcomes
        assert isinstance(outcome, Placed)
        return instrument.order_name(outcome.order)

    def hang_up(self) -> None:
        while self._clients:
            self._clients.popitem()[1].close()


class Terminal:
    """A run on a pseudo-terminal. A context manager that ends it."""

    def __init__(self, words: list[str], environ: dict[str, str], cwd: Path, columns: int, rows: int) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._process = subprocess.Popen(
            words, stdin=slave, stdout=slave, stderr=slave, env=environ, cwd=cwd, start_new_session=True
        )
        os.close(slave)
        self.seen = ""
        self._text = codecs.getincrementaldecoder("utf-8")()  # a read may end inside a character

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    def send(self, text: str) -> None:
        """Type ``text``."""
        os.write(self._master, text.encode())

    def send_signal(self, number: int) -> None:
        self._process.send_signal(number)

    def until(self, wanted: str) -> str:
        """Return everything seen so far, once ``wanted`` is in it."""
        deadline = monotonic() + DEADLINE_S
        while wanted not in self.seen:
            assert self._read(deadline), f"{wanted!r} never came; seen: {self.seen!r}"
        return self.seen

    def finish(self) -> Said:
        """Return the exit code and everything that was shown, once the run has ended."""
        deadline = monotonic() + DEADLINE_S
        while self._read(deadline):
            pass
        return Said(self._process.wait(), self.seen.replace("\r\n", "\n"), "")

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - monotonic()))
        assert ready, f"the program shows nothing more; seen: {self.seen!r}"
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux: the last holder of the other side has closed it
            return False
        self.seen += self._text.decode(data)
        return bool(data)


def free_ports(count: int) -> str:
    """Return ports that are free now; whoever takes one meanwhile makes ``cluster up`` choose another."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return ", ".join(str(each.getsockname()[1]) for each in sockets)


@pytest.fixture
def nowhere(tmp_path: Path) -> Shell:
    """A shell in which no cluster runs."""
    (tmp_path / "work").mkdir()
    return Shell(tmp_path / "work" / "home")


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A shell in which a cluster of three nodes and two markets runs."""
    work = tmp_path_factory.mktemp("cli")
    shell = Shell(work / "home")
    up = shell("cluster", "up", "-n", "3", "--market", "BTC/USD", "--market", "ETH/USD", "--ephemeral")
    assert up.code == 0, up.err
    try:
        yield shell
    finally:
        shell.hang_up()
        down = shell("cluster", "down")
        assert down.code == 0, down.err


@pytest.fixture
def p2px(running: Shell) -> Shell:
    """The same shell, with empty books and every market trading."""
    for node in NODES:
        client = running.client(node)
        for symbol in client.instruments:
            client.submit(symbol, [Resume(), CancelAll()])
            if others := {order.owner for order in client.orders(symbol)} - set(NODES):
                running.cancel_all(symbol, others)
    return running
