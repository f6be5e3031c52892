"""The house keeps its shape: imports point down, and only starred rooms touch the outside world.

Both rules are read from the imports and calls of every file, and so are the smaller ones of the style.
A failure names the room and the line. A new room that touches a medium is added to ``STARRED`` in the
same commit, where its reviewer sees it.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "p2pcli"

# Floor: the floors it may import besides its own.
FLOORS: dict[str, set[str]] = {
    "errors": set(),
    "clock": set(),
    "logging": set(),
    "market": {"errors"},
    "config": {"errors", "market"},
    "book": {"market", "errors"},
    "log": {"errors"},
    "rpc": {"errors", "clock"},
    "registry": {"errors", "clock", "config"},
    "node": {"market", "book", "log", "rpc", "registry", "errors", "clock", "config"},
    "grenache": {"node", "registry", "rpc", "market", "errors", "clock"},  # rpc: its breaker and failures
    "cluster": {"rpc", "node", "registry", "grenache", "market", "clock", "config", "errors", "logging"},
    "pytest_plugin": {"cluster"},
    "cli": {
        "rpc",
        "cluster",
        "node",
        "registry",
        "grenache",
        "market",
        "config",
        "errors",
        "clock",
        "logging",
    },
}

# What reaches the outside world: modules, or single names of them where the rest is something else.
MEDIA: dict[str, set[str]] = {
    "sockets": {"socket", "socketserver", "selectors", "select", "ssl", "http", "urllib.request", "asyncio"},
    "threads": {"threading", "concurrent", "queue", "_thread"},
    "processes": {"subprocess", "multiprocessing", "signal", "pty", "resource", "os"},
    "libc": {"ctypes"},
    "disk": {"pathlib", "sqlite3", "fcntl", "mmap", "shutil", "tempfile", "glob", "stat", "os", "io.open"},
    "clock": {"time", "sched", "p2pcli.clock"},
    "chance": {"random", "secrets", "uuid"},
    "terminal": {"sys.stdin", "sys.stdout", "sys.stderr", "sys.argv", "termios", "tty", "rich.live"},
}
# Names of those modules that are values or pure functions: any room may use them.
PURE = {
    *(
        "os.path.normpath",
        "os.path.join",
        "os.path.isabs",
        "os.path.basename",
        "os.path.dirname",
        "os.fspath",
    ),
    *("pathlib.Path", "pathlib.PurePath"),  # until one of PATH_ACTIONS is called
    "random.Random",  # given and seeded by the caller
    "threading.Event",  # as a type: who is told to stop starts no thread
    *("time.strftime", "time.gmtime"),
    "http.HTTPStatus",
    *("signal.Signals", "signal.SIGTERM", "signal.SIGKILL", "signal.SIGINT", "signal.SIGHUP"),
}
# Names of ``os`` that are about processes; the others are about files.
OS_PROCESSES = {
    *(
        "environ",
        "getpid",
        "getppid",
        "getpgid",
        "kill",
        "killpg",
        "fork",
        "execv",
        "setsid",
        "waitpid",
        "_exit",
    ),
    *(
        "umask",
        "getuid",
        "geteuid",
        "cpu_count",
        "sched_getaffinity",
        "pidfd_open",
        "get_terminal_size",
        "dup2",
    ),
}
PATH_ACTIONS = {
    *(
        "absolute",
        "chmod",
        "cwd",
        "exists",
        "expanduser",
        "glob",
        "hardlink_to",
        "is_dir",
        "is_fifo",
        "is_file",
    ),
    *("is_socket", "is_symlink", "iterdir", "lchmod", "lstat", "mkdir", "open", "read_bytes", "read_text"),
    *("readlink", "rename", "resolve", "rglob", "rmdir", "samefile", "stat", "symlink_to", "touch", "unlink"),
    *("write_bytes", "write_text"),
}
BUILTINS = {"open": "disk", "print": "terminal", "input": "terminal"}

# The starred rooms and the media they touch: the whole outside world of p2px.
STARRED: dict[str, str] = {
    "clock": "clock",
    "logging": "processes disk terminal",
    "config.__main__": "terminal",
    "config.sources": "disk",
    "log.ballast": "disk",
    "log.doorbell": "sockets threads libc disk clock",
    "log.etcd": "threads clock",
    "log.etcd_access": "sockets disk",
    "log.etcd_client": "clock",
    "log.etcd_reader": "threads",
    "log.flock": "threads disk clock",
    "log.folder": "disk",
    "log.health": "disk",
    "log.rows": "threads disk",
    "log.schema": "disk",
    "log.sqlite": "disk clock",
    "rpc.exposure": "disk",
    "rpc.handshake": "sockets clock chance",
    "rpc.tcp": "sockets threads clock",
    "rpc.tls": "sockets threads",
    "registry.client": "sockets threads clock",
    "registry.folder": "disk",
    "registry.http_api": "sockets",
    "registry.process": "sockets threads disk clock",
    "registry.udp": "sockets",
    "node.archive": "threads disk",
    "node.client": "threads clock",
    "node.committer": "threads clock",
    "node.discovery": "clock",
    "node.distribution": "threads clock",
    "node.files": "disk",
    "node.forwarding": "threads clock",
    "node.history": "threads disk clock",
    "node.hosted": "threads disk chance clock",
    "node.key_file": "disk",
    "node.keyring": "threads disk clock",
    "node.links": "threads clock",
    "node.metrics_http": "sockets clock",
    "node.peers": "threads",
    "node.porter": "clock",
    "node.mover": "clock chance",
    "node.process": "threads processes clock",
    "node.reads": "clock",
    "node.replica": "threads clock",
    "node.roaming": "threads clock chance",
    "node.rotating": "disk chance",
    "node.rotation": "disk",
    "node.server": "threads processes clock",
    "node.session": "threads clock",
    "node.snapshots": "disk",
    "node.tokens": "disk chance",
    "node.tls_folder": "processes disk",
    "grenache.broadcast": "disk clock",
    "grenache.client": "sockets threads clock chance",
    "grenache.http": "sockets threads disk clock",
    "grenache.process": "threads",
    "cluster.__main__": "processes terminal",
    "cluster.answered": "disk",
    "cluster.backup": "disk clock",
    "cluster.bench.lag": "threads clock",
    "cluster.bench.load": "threads clock",
    "cluster.bench.machine": "processes disk clock",
    "cluster.chaos.arena": "threads clock",
    "cluster.chaos.run": "clock chance",
    "cluster.chaos.strikes": "sockets threads processes disk clock",
    "cluster.chaos.traders": "threads clock",
    "cluster.bot": "disk",
    "cluster.child": "sockets threads processes libc",
    "cluster.api": "disk clock",
    "cluster.control": "sockets processes clock",
    "cluster.crew": "sockets clock",
    "cluster.daemon": "processes clock terminal",
    "cluster.door": "sockets disk",
    "cluster.down": "clock",
    "cluster.folder": "disk",
    "cluster.folder_lock": "disk",
    "cluster.joining": "sockets threads",
    "cluster.logs": "disk clock",
    "cluster.ports": "sockets",
    "cluster.probe": "sockets clock",
    "cluster.process": "sockets processes",
    "cluster.program": "sockets processes disk",
    "cluster.pulse": "sockets threads clock",
    "cluster.reader": "clock",
    "cluster.rolling": "clock",
    "cluster.supervisor": "sockets processes clock",
    "cluster.up": "processes clock chance",
    "cluster.whereabouts": "processes disk",
    "cli.bar": "clock",
    "cli.book": "clock",
    "cli.client": "clock",
    "cli.bench": "disk",
    "cli.chaos": "processes",
    "cli.cluster": "clock",
    "cli.cluster_init": "disk clock",
    "cli.cluster_rotate": "clock",
    "cli.cluster_token": "clock",
    "cli.config": "disk",
    "cli.export": "disk clock",
    "cli.foreground": "processes",
    "cli.health": "clock",
    "cli.invocation": "disk",
    "cli.keys": "disk chance",
    "cli.log_backup": "disk terminal",
    "cli.main": "processes disk terminal",
    "cli.node_join": "clock",
    "cli.node_leave": "clock",
    "cli.order_import": "clock",
    "cli.order_source": "sockets disk terminal",
    "cli.rich_table": "terminal",
    "cli.screen": "processes terminal",
    "cli.start": "processes",
    "cli.trader": "clock",
    "cli.trades": "terminal",
    "cli.watch": "clock",
}

# Where everything may be caught: the outermost loop of a thread or process, which records it and stops,
# and the gate's doorman (log.flock), who hands a job's failure to the thread that waits for it.
OUTERMOST = {"cli.main", "cluster.program", "node.process", "log.flock"}

MAX_LINES = 400  # of a room
MAX_FUNCTION = 70  # lines of a function, its docstring included
UNFOUND_NAMES = ("Manager", "Handler", "Helper", "Service", "Util")
ROOMS_WITHOUT_PURPOSE = {"utils", "util", "helpers", "helper", "common", "misc", "shared", "base"}
UNPICKLERS = {"pickle", "cPickle", "marshal", "shelve", "dill", "jsonpickle", "multiprocessing.connection"}


@dataclass(frozen=True, eq=False)
class Room:
    """One file of the package."""

    name: str  # log.sqlite; a package's own page is called by the package
    path: Path
    tree: ast.Module
    text: str

    @property
    def floor(self) -> str:
        return self.name.partition(".")[0]

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """Everything in the tree."""
        return tuple(ast.walk(self.tree))


@cache
def rooms() -> tuple[Room, ...]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__") or "p2pcli"
        text = path.read_text()
        found.append(Room(name, path, ast.parse(text), text))
    return tuple(found)


def imports(room: Room) -> Iterator[tuple[str, int]]:
    """Yield every imported module or name in full, ``os`` or ``p2pcli.log.entry.Batch``, with its line."""
    for node in room.nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{room.path}:{node.lineno} imports relatively"
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


@cache
def media(room: Room) -> dict[str, int]:
    """Return the media a room touches, each with the first line that does."""
    names: dict[str, str] = {}  # a name in the file: what it stands for
    for node in room.nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:  # ``import os.path`` gives the name ``os``
                names[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    touched: dict[str, int] = {}
    for node in room.nodes:
        if not isinstance(node, ast.Name | ast.Attribute | ast.Call):
            continue
        for medium in media_of(node, names):
            touched[medium] = min(node.lineno, touched.get(medium, node.lineno))
    return touched


def media_of(node: ast.Name | ast.Attribute | ast.Call, names: dict[str, str]) -> Iterator[str]:
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name) and node.func.id in BUILTINS:
            yield BUILTINS[node.func.id]
        has_paths = "pathlib.Path" in names.values()
        if isinstance(node.func, ast.Attribute) and node.func.attr in PATH_ACTIONS and has_paths:
            yield "disk"
        return
    first, _, rest = dotted(node).partition(".")
    if first not in names or (isinstance(node, ast.Name) and names[first] == first):
        return  # the module alone, of which an Attribute around it says more
    full = f"{names[first]}.{rest}" if rest else names[first]
    if full in PURE or any(one.startswith(f"{full}.") for one in PURE):
        return
    for medium, sources in MEDIA.items():
        if not any(full == source or full.startswith(f"{source}.") for source in sources):
            continue
        if full.startswith("os.") and (full.split(".")[1] in OS_PROCESSES) != (medium == "processes"):
            continue
        yield medium


def dotted(node: ast.expr) -> str:
    """Return ``os.path.join`` for that expression, and nothing for what is no plain path of names."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""


def complaints(found: Iterator[str]) -> None:
    """Fail with every complaint on a line of its own."""
    listed = list(found)
    assert not listed, "\n" + "\n".join(listed)


def at(room: Room, node: ast.AST | int) -> str:
    line = node if isinstance(node, int) else getattr(node, "lineno", 1)
    return f"{room.path.relative_to(ROOT)}:{line}:"


def test_imports_point_down() -> None:
    def upward() -> Iterator[str]:
        for room in rooms():
            for name, line in imports(room):
                if not name.startswith("p2pcli.") or name == "p2pcli.__version__":
                    continue
                floor = name.split(".")[1]
                if room.name != "p2pcli" and floor != room.floor and floor not in FLOORS[room.floor]:
                    yield f"{at(room, line)} {room.floor} may not import {name}"

    assert {room.floor for room in rooms()} - {"p2pcli"} == set(FLOORS)
    complaints(upward())


def test_the_floors_have_no_cycle() -> None:
    above: dict[str, set[str]] = {}
    for floor, below in FLOORS.items():  # listed from the ground up
        assert below <= set(above), f"{floor} stands on {below - set(above)}, which come later"
        above[floor] = below


def test_only_starred_rooms_touch_the_outside_world() -> None:
    def strangers() -> Iterator[str]:
        for room in rooms():
            touched, allowed = media(room), STARRED.get(room.name, "").split()
            for medium in touched.keys() - allowed:
                yield f"{at(room, touched[medium])} {room.name} touches the {medium}"
            if touched.keys() - allowed:
                star = " ".join(medium for medium in MEDIA if medium in touched)
                yield f'    move that into a starred room, or star this one: "{room.name}": "{star}",'

    complaints(strangers())


def test_every_star_is_needed() -> None:
    def untouched() -> Iterator[str]:
        touched = {room.name: media(room) for room in rooms() if room.name in STARRED}
        for name, star in STARRED.items():
            idle = set(star.split()) - touched.get(name, {}).keys()
            if idle:
                yield f"{name} is starred for {', '.join(sorted(idle))} and does not touch it"

    complaints(untouched())


def test_every_room_has_a_purpose_in_its_name_and_its_first_sentence() -> None:
    def purposeless() -> Iterator[str]:
        for room in rooms():
            if set(room.name.split(".")) & ROOMS_WITHOUT_PURPOSE:
                yield f"{at(room, 1)} a room with no purpose"
            if room.text.strip() and not ast.get_docstring(room.tree):
                yield f"{at(room, 1)} no sentence says what the room is for"

    complaints(purposeless())


def test_rooms_and_functions_stay_small() -> None:
    def large() -> Iterator[str]:
        for room in rooms():
            lines = room.text.count("\n")
            if lines > MAX_LINES:
                yield f"{at(room, 1)} {lines} lines: look for a second purpose"
            for node in room.nodes:
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    length = (node.end_lineno or node.lineno) - node.lineno + 1
                    if length > MAX_FUNCTION:
                        yield f"{at(room, node)} {node.name} has {length} lines"

    complaints(large())


def test_classes_are_named_after_what_they_are() -> None:
    complaints(
        f"{at(room, node)} {node.name}"
        for room in rooms()
        for node in room.nodes
        if isinstance(node, ast.ClassDef) and node.name.endswith(UNFOUND_NAMES)
    )


def test_nothing_catches_everything_to_carry_on() -> None:
    def broad() -> Iterator[str]:
        for room in rooms():
            for node in room.nodes:
                if not isinstance(node, ast.ExceptHandler) or room.name in OUTERMOST:
                    continue
                caught = ast.unparse(node.type) if node.type else "everything"
                undoes_and_raises = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
                if caught in ("everything", "Exception", "BaseException") and not undoes_and_raises:
                    yield f"{at(room, node)} catches {caught}"

    complaints(broad())


def test_no_room_changes_a_global() -> None:
    complaints(
        f"{at(room, node)} global {', '.join(node.names)}"
        for room in rooms()
        for node in room.nodes
        if isinstance(node, ast.Global)
    )


def test_nothing_is_unpickled() -> None:
    complaints(
        f"{at(room, line)} {name}"
        for room in rooms()
        for name, line in imports(room)
        if any(name == one or name.startswith(f"{one}.") for one in UNPICKLERS)
    )


def is_spawn(call: ast.Call) -> bool:
    return [ast.unparse(argument) for argument in call.args] == ["'spawn'"]


def test_processes_are_spawned_and_never_forked() -> None:
    def otherwise() -> Iterator[str]:
        for room in rooms():
            for name, line in imports(room):
                if name.startswith("multiprocessing.") and not name.startswith("multiprocessing.process."):
                    yield f"{at(room, line)} imports {name}, which follows the default start method"
            for node in room.nodes:
                match node:
                    case ast.Attribute(value=ast.Name("multiprocessing"), attr=name) if name != "get_context":
                        yield f"{at(room, node)} multiprocessing.{name} follows the default start method"
                    case ast.Call(func=ast.Attribute(attr="get_context")) if not is_spawn(node):
                        yield f"{at(room, node)} another start method than spawn"

    complaints(otherwise())


# -- the rules themselves: each notices what it is there for ----------------------------------------


def room_of(source: str, name: str = "book.ladder") -> Room:
    return Room(name, PACKAGE / "book/ladder.py", ast.parse(source), source)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import socket\nsocket.create_connection(a)", {"sockets"}),
        ("from socket import socket as s\ns()", {"sockets"}),
        ("import http.client as c\nc.HTTPConnection(a)", {"sockets"}),
        ("from threading import Thread\nThread()", {"threads"}),
        ("import threading as t\nx: t.Lock", {"threads"}),
        ("import os\nos.kill(1, 2)", {"processes"}),
        ("import os\nos.fsync(1)", {"disk"}),
        ("import os\nos.path.exists(a)", {"disk"}),
        ("from os import replace\nreplace(a, b)", {"disk"}),
        ("from pathlib import Path\nPath(a).read_text()", {"disk"}),
        ("with open(a) as b: pass", {"disk"}),
        ("import time\ntime.sleep(1)", {"clock"}),
        ("from p2pcli import clock\nclock.monotonic()", {"clock"}),
        ("from p2pcli.clock import now_ns\nnow_ns()", {"clock"}),
        ("import random\nrandom.random()", {"chance"}),
        ("import random\nrandom.Random.seed", {"chance"}),
        ("def f():\n    import secrets\n    secrets.token_bytes()", {"chance"}),
        ("import sys\nsys.stdout.write(a)", {"terminal"}),
        ("print(a)", {"terminal"}),
        ("import ctypes\nctypes.CDLL(None)", {"libc"}),
        ("import os.path\nos.path.normpath(a)", set()),
        ("import random\nrandom.Random(7)", set()),
        ("from random import Random\ndef f(r: Random): r.random()", set()),
        ("from pathlib import Path\nPath(a) / b", set()),
        ("import re\nre.match(a, b).group()", set()),
        ("import time\ntime.gmtime(0)", set()),
        ("import sys\nsys.platform", set()),
    ],
)
def test_a_touch_is_seen_in_whatever_way_it_is_written(source: str, found: set[str]) -> None:
    assert set(media(room_of(source))) == found
