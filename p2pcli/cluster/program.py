"""Runs one program inside its child process: log output, the call, and the last word to the supervisor."""

import faulthandler
import importlib
import logging
import os
import socket
import threading
from pathlib import Path
from typing import Any

import msgspec

from p2pcli import logging as output
from p2pcli.cluster import briefing, news, report
from p2pcli.cluster.child import ORPHANED
from p2pcli.cluster.folder import ClusterFolder
from p2pcli.cluster.folder_lock import FolderLock
from p2pcli.cluster.plan import ClusterPlan
from p2pcli.errors import P2pxError

MAX_OUTPUT = 1 << 20  # bytes of stray output of earlier runs that are kept
FAILED = 1  # exit code of a program that raised

logger = logging.getLogger(__name__)


def run_program(
    home: str, name: str, plan: bytes, line: socket.socket, serving: threading.Event, stop: threading.Event
) -> None:
    """Run the program of child ``name`` until ``stop``; tell ``line`` when it serves, or why it failed.

    Raises ``SystemExit`` when it failed.
    """
    cluster = msgspec.json.decode(plan, type=ClusterPlan)
    folder = ClusterFolder(Path(home), cluster.name)
    if not FolderLock(folder.children_lock_path).take(shared=True):
        os._exit(ORPHANED)  # a new supervisor waits for the last child of the old one, and that is us
    logs = Path(cluster.logs) if cluster.logs else folder.logs
    redirect_output(logs / f"{name}.out")
    faulthandler.enable()

    def ready(addresses: dict[str, str]) -> None:
        serving.set()
        line.send(news.encode(news.Serving(addresses)))

    with output.configure(
        name,
        logs,
        cluster.log_level,
        environment=cluster.environment,
        file_size=cluster.log_file_size,
        files=cluster.log_files,
    ):
        try:
            plan_of_it: Any
            more: tuple[Any, ...] = ()
            match cluster.kinds[name]:
                case report.NODE:
                    plan_of_it, module = briefing.node_plan(cluster, folder, name), cluster.node_program
                    more = (lambda why: _tell(line, news.Waiting(why)),)
                case report.BOT:
                    plan_of_it, module = briefing.bot_plan(cluster, folder, name), cluster.bot_program
                case _:
                    plan_of_it, module = briefing.member_plan(cluster, folder, name), cluster.member_program
            importlib.import_module(module).run(plan_of_it, ready, stop, *more)
        except Exception as error:  # the outermost loop of this process: record the failure, and end
            message = str(error) if isinstance(error, P2pxError) else f"{type(error).__name__}: {error}"
            logger.critical("%s ends: %s", name, message, exc_info=not isinstance(error, P2pxError))
            _tell(line, news.Failed(message))
            raise SystemExit(FAILED) from None


def redirect_output(path: Path) -> None:
    """Send whatever is printed from now on, by Python or beneath it, to the end of a file, and nothing in.

    The file starts anew when it has grown beyond ``MAX_OUTPUT``. Raises ``OSError``.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    if path.exists() and path.stat().st_size > MAX_OUTPUT:
        flags |= os.O_TRUNC
    for source, descriptors in (
        (os.open(path, flags, 0o600), (1, 2)),
        (os.open(os.devnull, os.O_RDONLY), (0,)),
    ):
        for descriptor in descriptors:
            os.dup2(source, descriptor)
        os.close(source)


def _tell(line: socket.socket, what: news.News) -> None:
    try:
        line.send(news.encode(what))
    except OSError:
        pass  # nobody is left to be told
