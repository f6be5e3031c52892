"""A child process seen from its supervisor: spawn it, hear its news, signal it, learn how it ended."""

import multiprocessing
import os
import signal
import socket
from multiprocessing.process import BaseProcess
from pathlib import Path

import msgspec

from p2pcli.cluster import child, news

_spawn = multiprocessing.get_context("spawn")


class ChildProcess:
    """One process, running or just ended. ``line`` and ``sentinel`` become readable when there is news."""

    def __init__(self, home: Path, name: str, plan: bytes) -> None:
        """Spawn it. To be called in the main thread: the kernel ends a child with the *thread* that made it.

        Raises ``OSError`` when the system has no room for another process.
        """
        self.name = name
        self.line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.line.setblocking(False)
        self._process: BaseProcess = _spawn.Process(
            target=child.run, args=(os.getpid(), theirs, str(home), name, plan), name=name
        )
        try:
            self._process.start()
        except OSError:
            self.line.close()
            raise
        finally:
            theirs.close()
        self.pid: int = self._process.pid or 0
        self.sentinel: int = self._process.sentinel

    def news(self) -> list[news.News]:
        """Return what the child has said since the last call. What nobody could have said is left out."""
        heard: list[news.News] = []
        while True:
            try:
                data = self.line.recv(news.MAX_NEWS)
            except (BlockingIOError, ConnectionResetError):
                return heard
            if not data:
                return heard
            try:
                heard.append(news.decode(data))
            except msgspec.MsgspecError as error:
                heard.append(news.Failed(f"sent unknown news: {error}"))

    def terminate(self) -> None:
        """Ask it to end (SIGTERM). One that ended already is left in peace."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it (SIGKILL)."""
        self._signal(signal.SIGKILL)

    def exit_code(self) -> int | None:
        """Return its exit code, negative for a signal, once ``sentinel`` is readable; None while it runs."""
        self._process.join(timeout=0)
        return self._process.exitcode

    def close(self) -> None:
        """Forget a child that ended."""
        self.line.close()
        self._process.close()

    def _signal(self, number: signal.Signals) -> None:
        # The pid stays ours until exit_code() has reaped it, so no stranger can be hit.
        if self._process.exitcode is None:
            os.kill(self.pid, number)
