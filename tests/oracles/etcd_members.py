"""Real etcd for tests: members on free ports in a folder of their own, killed, paused and started again.

Ports are found free and then given away, so somebody else may take one in between: a member that does not
come up is tried again on others.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from separate_hosts import Host

from p2pcli.log.entry import Unavailable
from p2pcli.log.etcd_client import EtcdClient
from p2pcli.log.etcd_messages import MESSAGES
from p2pcli.log.etcd_place import parse

MISSING = (
    None
    if shutil.which("etcd") and shutil.which("etcdctl")
    else "etcd is not installed (Debian: apt-get install etcd-server etcd-client)"
)
START_S = 20.0
TRIES = 3


class EtcdMembers:
    """One etcd cluster of ``count`` members. A context manager; leaving it kills them all."""

    def __init__(
        self,
        folder: Path,
        count: int = 1,
        *options: str,
        scheme: str = "http",
        query: str = "",
        hosts: Sequence[Host] = (),
    ) -> None:
        """Start it and wait until it answers. ``options`` are etcd's own; ``query`` gets a client in.

        Without ``hosts`` all members are on this one.
        """
        self._folder = folder
        self._scheme = scheme
        self._query = query
        self._options = options
        for left in reversed(range(TRIES)):
            ports = _free_ports(2 * count)
            self._hosts = hosts or [Host("127.0.0.1", ())] * count
            self.members = [f"{host.address}:{port}" for host, port in zip(self._hosts, ports, strict=False)]
            self._peers = [
                f"http://{host.address}:{port}" for host, port in zip(self._hosts, ports[count:], strict=True)
            ]
            self._processes: list[subprocess.Popen[bytes] | None] = [None] * count
            self.start_all()
            try:
                self.wait_until_ready()
                return
            except Unavailable:
                self.kill_all()
                shutil.rmtree(folder, ignore_errors=True)
                if not left:
                    raise

    @property
    def url(self) -> str:
        """Return what goes into log.url."""
        return f"etcd://{','.join(self.members)}"

    def start(self, index: int) -> None:
        """Start a member that does not run, on its old data."""
        assert self._processes[index] is None
        home = self._folder / f"m{index}"
        home.mkdir(parents=True, exist_ok=True)
        mine, peer = f"{self._scheme}://{self.members[index]}", self._peers[index]
        everyone = ",".join(f"m{number}={url}" for number, url in enumerate(self._peers))
        command = [
            *self._hosts[index].words,
            *("etcd", "--name", f"m{index}", "--data-dir", str(home / "data"), "--log-level", "error"),
            *("--listen-client-urls", mine, "--advertise-client-urls", mine),
            *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
            *("--initial-cluster", everyone, "--initial-cluster-token", self._folder.name),
            *self._options,
        ]
        with (home / "log").open("ab") as output:
            self._processes[index] = subprocess.Popen(command, stdout=output, stderr=output)

    def start_all(self) -> None:
        for index, process in enumerate(self._processes):
            if process is None:
                self.start(index)

    def kill(self, index: int) -> None:
        """Kill a member with SIGKILL, in whatever state it is, and see it gone."""
        process = self._processes[index]
        if process is not None:
            process.kill()
            process.wait()
            self._processes[index] = None

    def kill_all(self) -> None:
        for index in range(len(self._processes)):
            self.kill(index)

    def pause(self, index: int) -> None:
        """Stop a member in mid-work, and return once it has stopped."""
        process = self._processes[index]
        assert process is not None
        process.send_signal(signal.SIGSTOP)
        state = Path(f"/proc/{process.pid}/stat")
        eventually(lambda: state.read_text().rpartition(")")[2].split()[0] == "T", START_S)

    def resume(self, index: int) -> None:
        self._signal(index, signal.SIGCONT)

    def leader(self) -> int:
        """Return the index of the member that leads."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            for index, member in enumerate(self.members):
                said = self.ctl("endpoint", "status", "-w", "fields", endpoint=member)
                fields = dict(line.split(" : ", 1) for line in said.splitlines() if " : " in line)
                if (
                    fields.get('"Leader"', "0") not in ("0", "")
                    and fields['"Leader"'] == fields['"MemberID"']
                ):
                    return index
        raise AssertionError("etcd has no leader")

    def ctl(self, *words: str, endpoint: str = "") -> str:
        """Return what etcdctl prints; it may fail."""
        command = [
            "etcdctl",
            "--endpoints",
            endpoint or ",".join(self.members),
            "--command-timeout=2s",
            *words,
        ]
        environment = {**os.environ, "ETCDCTL_API": "3"}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout

    def wait_until_ready(self) -> None:
        """Return once a majority answers. Raises ``Unavailable``."""
        client = EtcdClient(parse(f"{self.url}/x?{self._query}"))
        try:
            client.range(MESSAGES["RangeRequest"](key=b"ready"), START_S)
        finally:
            client.close()

    def __enter__(self) -> "EtcdMembers":
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill_all()

    def _signal(self, index: int, number: signal.Signals) -> None:
        process = self._processes[index]
        assert process is not None
        process.send_signal(number)


def _free_ports(count: int) -> list[int]:
    sockets: Sequence[socket.socket] = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def eventually(what: Callable[[], Any], within: float) -> Any:
    """Return the first true answer of ``what``, asked again and again for ``within`` seconds."""
    deadline = time.monotonic() + within
    while not (answer := what()):
        assert time.monotonic() < deadline, f"not within {within} s"
        time.sleep(0.02)
    return answer
