"""Real Grapes and real Grenache clients of Node.js, and members of ours beside them.

The npm packages are where ``npm install`` in tests/interop/node puts them, or in P2PX_NODE_MODULES. Where
they or Node.js are missing, what needs them is skipped and says so.
"""

import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from members import RunningMember

from p2pcli.clock import monotonic
from p2pcli.registry.client import RegistryClient, RegistryUnreachable
from p2pcli.registry.process import MemberPlan

HERE = Path(__file__).parent / "node"
DEADLINE_S = 30.0


def free_ports(number: int) -> list[int]:
    """Return ports that are free for TCP and UDP now."""
    with ExitStack() as stack:
        ports = []
        for _ in range(number):
            tcp = stack.enter_context(socket.socket())
            tcp.bind(("127.0.0.1", 0))
            udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            udp.bind(tcp.getsockname())
            ports.append(tcp.getsockname()[1])
        return ports


def eventually(question: Callable[[], Any], wanted: Callable[[Any], bool]) -> Any:
    """Ask until the answer is as wanted, and return it; fail when it is not within ``DEADLINE_S``."""
    deadline = monotonic() + DEADLINE_S
    while True:
        answer = question()
        if wanted(answer):
            return answer
        assert monotonic() < deadline, f"still {answer!r}"
        threading.Event().wait(0.01)


class RealGrape:
    """A real Grape in a process of its own."""

    def __init__(self, command: list[str], env: dict[str, str], http_port: int, dht_port: int) -> None:
        self.http, self.dht = f"127.0.0.1:{http_port}", f"127.0.0.1:{dht_port}"
        self._process = subprocess.Popen(
            command, env=env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def wait(self) -> None:
        """Wait until it answers."""

        def answers() -> bool:
            assert self._process.poll() is None, "the Grape has ended"
            try:
                with RegistryClient([self.http]) as client:
                    client.lookup("ready?")
            except RegistryUnreachable:
                return False
            return True

        eventually(answers, bool)

    def stop(self) -> None:
        """End it, without a word to the ring."""
        self._process.kill()
        self._process.communicate()


class RealPeer:
    """Real clients (link, http, ws) in one Node.js process, told what to do line by line."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, do: str, **arguments: object) -> tuple[str | None, Any]:
        """Return (error message or None, data) of one call."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the client process has ended"
        answer = json.loads(line)
        return answer["error"], answer["data"]

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()


class Workshop:
    """Makes Grapes, clients and members, and stops them all at the end."""

    def __init__(self, modules: Path, folder: Path, stack: ExitStack) -> None:
        self._env = {**os.environ, "NODE_PATH": str(modules)}
        self._modules = modules
        self._folder = folder
        self._stack = stack
        self._names = count(1)

    def grape(self, dht_port: int, http_port: int, others: list[int]) -> RealGrape:
        """Start an unmodified Grape by its own command line."""
        bootstrap = ",".join(f"127.0.0.1:{port}" for port in others)
        program = str(self._modules / "grenache-grape" / "bin" / "grape.js")
        options = ["--dp", str(dht_port), "--aph", str(http_port), "--bn", bootstrap]
        return self._started(RealGrape(["node", program, *options], self._env, http_port, dht_port))

    def verifying_grape(self, dht_port: int, http_port: int, others: list[int]) -> RealGrape:
        """Start a Grape from a program that lets it verify mutable items."""
        bootstrap = [f"127.0.0.1:{port}" for port in others]
        options = {"dht_port": dht_port, "api_port": http_port, "dht_bootstrap": bootstrap}
        command = ["node", str(HERE / "grape.js"), json.dumps(options)]
        return self._started(RealGrape(command, self._env, http_port, dht_port))

    def member(self, dht_port: int = 0, others: Sequence[int] = (), **options: Any) -> RunningMember:
        """Start a member of ours."""
        name = options.pop("name", f"member{next(self._names)}")
        bootstrap = tuple(f"127.0.0.1:{port}" for port in others)
        plan = MemberPlan(
            name=name,
            folder=str(self._folder / name),
            http_port=0,
            dht_port=dht_port,
            bootstrap=bootstrap,
            **options,
        )
        member = RunningMember(plan)
        self._stack.callback(member.stop)
        return member

    def peer(self, grape: str) -> RealPeer:
        """Start real clients of the registry at ``host:port``."""
        options = json.dumps({"grape": f"http://{grape}"})
        peer = RealPeer(["node", str(HERE / "peer.js"), options], self._env)
        self._stack.callback(peer.stop)
        return peer

    def client(self, *registries: Any) -> RegistryClient:
        """Return a client of ours, with more patience than lookups at a real Grape take."""
        return self._stack.enter_context(RegistryClient([one.http for one in registries], timeout=10))

    def _started(self, grape: RealGrape) -> RealGrape:
        self._stack.callback(grape.stop)
        grape.wait()
        return grape


@pytest.fixture(scope="session")
def modules() -> Path:
    """Where the npm packages are."""
    if shutil.which("node") is None:
        pytest.skip("Node.js is not installed")
    folder = Path(os.environ.get("P2PX_NODE_MODULES") or HERE / "node_modules")
    missing = [
        name
        for name in ("grenache-grape", "grenache-nodejs-link", "grenache-nodejs-http", "grenache-nodejs-ws")
        if not (folder / name).is_dir()
    ]
    if missing:
        pytest.skip(f"{', '.join(missing)} not in {folder}: run npm install in {HERE}")
    return folder


@pytest.fixture
def workshop(modules: Path, tmp_path: Path) -> Iterator[Workshop]:
    with ExitStack() as stack:
        yield Workshop(modules, tmp_path, stack)
