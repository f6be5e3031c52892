"""Our registry beside real Grapes: announces and lookups per second, latency, memory.

    python benchmarks/registry.py [--seconds 2] [--rounds 3] [--only ours|grape]

Two members of a kind form a ring on free loopback ports; one of them is asked over keep-alive connections, by
1 client and by 50 at once. The kinds take turns round by round, so that a busy machine is fair to both; the
median round counts. The npm packages are looked for in P2PX_NODE_MODULES, else in tests/interop/node.
"""

import argparse
import json
import multiprocessing
import os
import select
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from p2pcli.registry.process import MemberPlan, run

MODULES = Path(
    os.environ.get("P2PX_NODE_MODULES")
    or Path(__file__).resolve().parents[1] / "tests" / "interop" / "node" / "node_modules"
)


class Result(NamedTuple):
    """One round of one kind of request."""

    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float  # of the member that was asked, for each request: also comparable on a busy machine


# -- the two kinds of ring ----------------------------------------------------------------------------


def _member(plan: MemberPlan, report: Connection) -> None:
    stop = threading.Event()
    threading.Thread(target=lambda: (report.poll(None), stop.set()), daemon=True).start()
    run(plan, report.send, stop)


@contextmanager
def our_ring() -> Iterator[tuple[int, int]]:
    """Yield the HTTP port and the pid of the first of two members."""
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        first: tuple[int, int] | None = None
        bootstrap: tuple[str, ...] = ()
        for name in ("one", "two"):
            ours, theirs = spawn.Pipe()
            plan = MemberPlan(
                name=name, folder=f"{folder}/{name}", http_port=0, dht_port=0, bootstrap=bootstrap
            )
            process = spawn.Process(target=_member, args=(plan, theirs))
            process.start()
            stack.callback(process.join)
            stack.callback(ours.send, None)
            where = ours.recv()
            bootstrap = (where["dht"],)
            first = first or (int(where["http"].rpartition(":")[2]), process.pid or 0)
        assert first is not None
        yield first


@contextmanager
def real_ring() -> Iterator[tuple[int, int]]:
    """Yield the HTTP port and the pid of the first of two real Grapes."""
    ports = free_ports(4)
    grape = MODULES / "grenache-grape" / "bin" / "grape.js"
    with ExitStack() as stack:
        first = 0
        for dht, http, other in ((ports[0], ports[1], ports[2]), (ports[2], ports[3], ports[0])):
            command = ["node", str(grape), "--dp", str(dht), "--aph", str(http), "--bn", f"127.0.0.1:{other}"]
            # As many entries as its programmatic defaults allow; its command line forgets them.
            command += ["--dpa", "120000", "--dht_maxTables", "5000", "--dht_maxValues", "5000"]
            process = subprocess.Popen(command)
            stack.callback(process.wait)
            stack.callback(process.terminate)
            wait_until_answered(http)
            first = first or process.pid
        yield ports[1], first


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def wait_until_answered(port: int) -> None:
    deadline = time.monotonic() + 15
    while True:
        try:
            ask(port, "lookup", "p2px:bench:ready")
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            select.select([], [], [], 0.05)


def ask(port: int, what: str, data: object) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(request(what, data))
        return connection.recv(65_536)


def request(what: str, data: object) -> bytes:
    """Return the bytes that a real client (grenache-nodejs-link) sends."""
    asked = {"rid": "80fc142e-f40a-4502-b6f4-07a2594e68ad", "data": data}
    body = json.dumps(asked, separators=(",", ":")).encode()
    head = (
        f"POST /{what} HTTP/1.1\r\ncontent-type: application/json\r\nAccept: */*\r\n"
        f"Content-Length: {len(body)}\r\n"
        "User-Agent: node-fetch/1.0 (+https://github.com/bitinn/node-fetch)\r\n"
        "Accept-Encoding: gzip,deflate\r\n"
        "Host: 127.0.0.1:30001\r\nConnection: keep-alive\r\n\r\n"
    )
    return head.encode() + body


# -- load -----------------------------------------------------------------------------------------------


def load(port: int, pid: int, clients: int, seconds: float, requests: Callable[[int], bytes]) -> Result:
    """Keep ``clients`` keep-alive connections busy for ``seconds``; the i-th request is ``requests(i)``."""
    poller = select.epoll()
    cpu = cpu_seconds(pid)
    with ExitStack() as stack:
        sockets: dict[int, socket.socket] = {}
        for _ in range(clients):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sockets[one.fileno()] = one
            poller.register(one.fileno(), select.EPOLLIN)
        clock = time.perf_counter
        sent_at: dict[int, float] = {}
        latencies: list[float] = []
        count = 0
        start = clock()
        for descriptor, one in sockets.items():
            sent_at[descriptor] = clock()
            one.send(requests(count))
            count += 1
        end = start + seconds
        now = start
        while now < end:
            for descriptor, _ in poller.poll(5):
                one = sockets[descriptor]
                check(one.recv(65_536))
                now = clock()
                latencies.append(now - sent_at[descriptor])
                sent_at[descriptor] = now
                one.send(requests(count))
                count += 1
        elapsed = now - start
    poller.close()
    latencies.sort()
    at = len(latencies) - 1
    return Result(
        len(latencies) / elapsed,
        latencies[at // 2] * 1000,
        latencies[int(at * 0.99)] * 1000,
        (cpu_seconds(pid) - cpu) / len(latencies) * 1e6,
    )


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def check(reply: bytes) -> None:
    # Every reply here is small and comes in one piece, from both kinds.
    if not reply.startswith(b"HTTP/1.1 200") or any(
        word in reply for word in (b"ERR_", b"failed", b"No nodes")
    ):
        raise SystemExit(f"unexpected reply: {reply[:300]!r}")


def workloads() -> dict[str, Callable[[int], bytes]]:
    known = request("lookup", "p2px:bench:known")
    base = time.time_ns()
    return {
        "lookup, known name": lambda _: known,
        "lookup, new names": lambda i: request("lookup", f"p2px:{base}:{i}"),
        "announce, one name": lambda i: request("announce", ["p2px:bench:one", 1024 + i % 50]),
        "announce, new names": lambda i: request("announce", [f"p2px:{base}:{i}", 1337]),
    }


def resident_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def measure(members: dict[str, tuple[int, int]], seconds: float, rounds: int) -> None:
    heads = "".join(f"{kind + ' /s':>10}{'p50 ms':>8}{'p99 ms':>8}{'CPU us':>8}" for kind in members)
    print(f"{'request':22}{'clients':>8}  {heads}")
    for name, requests in workloads().items():
        for clients in (1, 50):
            results: dict[str, list[Result]] = {kind: [] for kind in members}
            for _ in range(rounds):
                for kind, (port, pid) in members.items():
                    results[kind].append(load(port, pid, clients, seconds, requests))
            medians = [sorted(of_kind)[len(of_kind) // 2] for of_kind in results.values()]
            row = "".join(
                f"{r.per_second:10,.0f}{r.p50_ms:8.2f}{r.p99_ms:8.2f}{r.cpu_us:8.0f}" for r in medians
            )
            print(f"{name:22}{clients:8}  {row}", flush=True)
    print(
        "resident MiB: " + ", ".join(f"{kind} {resident_mib(pid):.0f}" for kind, (_, pid) in members.items())
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=1.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["ours", "grape"])
    options = parser.parse_args()
    rings = {"ours": our_ring, "grape": real_ring}
    if options.only:
        rings = {options.only: rings[options.only]}
    elif not shutil.which("node") or not (MODULES / "grenache-grape").is_dir():
        print(f"no real Grape to compare with: Node.js or {MODULES}/grenache-grape is missing")
        del rings["grape"]
    with ExitStack() as stack:
        members = {kind: stack.enter_context(ring()) for kind, ring in rings.items()}
        for port, _ in members.values():
            ask(port, "announce", ["p2px:bench:known", 1337])
        measure(members, options.seconds, options.rounds)


if __name__ == "__main__":
    main()
