"""Registry members for tests: simulated ones over a seeded network and a clock turned by hand, and real ones.

The simulated network carries packets between ``Member`` objects, or between them and a plain function, and
may delay, drop and double them; members join, leave and return. One seed gives one history.
"""

import heapq
import json
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from itertools import count
from typing import Any

from p2pcli.registry import node_id
from p2pcli.registry.compact import Address
from p2pcli.registry.member import Member, MemberSettings
from p2pcli.registry.operations import Answer, Request
from p2pcli.registry.process import MemberPlan, run

START = 1_000.0  # on the network's clock
WALL_OFFSET_S = 1_700_000_000.0
MAX_STEPS = 2_000_000  # of one wait; a network that never comes to rest is a bug


class Network:
    """Packets under way between simulated members, and their clock."""

    def __init__(self, seed: int = 1, loss: float = 0.0, double: float = 0.0, delay_s: float = 0.001) -> None:
        self.chance = random.Random(seed)
        self.now = START
        self.loss, self.double, self.delay_s = loss, double, delay_s
        self.members: dict[Address, Member] = {}
        self.listeners: dict[Address, Callable[[bytes, Address], None]] = {}  # foreign programs
        self.frozen: set[Address] = set()  # packets to these are lost
        self._stopped: dict[Address, list[tuple[bytes, Address]]] = {}  # address -> packets that wait for it
        self.sent: list[tuple[Address, Address, bytes]] = []  # from, to, packet
        self.answers: dict[int, Answer] = {}
        self._under_way: list[tuple[float, int, bytes, Address, Address]] = []
        self._order = count()
        self._tickets = count(1)
        self._wakes: list[tuple[float, int, Address]] = []

    def join(self, port: int, seeds: list[int], **settings: Any) -> Member:
        """Start a member at 127.0.0.1:``port`` that knows the members at the ports ``seeds``."""
        address = ("127.0.0.1", port)
        plain: dict[str, Any] = {
            "own_id": node_id.derive(address, b"salt"),
            "address": address,
            "token_secret": b"secret of %d" % port,
            "seeds": [("127.0.0.1", seed) for seed in seeds if seed != port],
        }
        member = Member(
            MemberSettings(**{**plain, **settings}), self.chance.randbytes, self.now, WALL_OFFSET_S
        )
        self.members[address] = member
        self._after(address, member)
        return member

    def leave(self, port: int) -> None:
        """Kill the member at ``port``: it says nothing more."""
        del self.members["127.0.0.1", port]

    def stop(self, port: int) -> None:
        """Stop the member at ``port`` as SIGSTOP does: nothing moves it, and what it is sent waits for it."""
        self._stopped["127.0.0.1", port] = []

    def go_on(self, port: int) -> None:
        """Let a stopped member go on, as SIGCONT does."""
        address = ("127.0.0.1", port)
        for packet, source in self._stopped.pop(address):
            self.members[address].receive(packet, source, self.now)
        self.members[address].tick(self.now)
        self._after(address, self.members[address])

    def start(self, member: Member, request: Request) -> int:
        """Give ``member`` a request; return its ticket."""
        ticket = next(self._tickets)
        member.request(ticket, request, self.now)
        self._after(self._address_of(member), member)
        return ticket

    def ask(self, member: Member, request: Request) -> Answer:
        """Return ``member``'s answer to ``request``, running the network meanwhile."""
        ticket = self.start(member, request)
        self.run(until=lambda: ticket in self.answers)
        return self.answers.pop(ticket)

    def inject(self, packet: bytes, source: Address, destination: Address) -> None:
        """Send a packet of a foreign program."""
        self._send(packet, source, destination)

    def run(self, for_s: float = 60.0, until: Callable[[], bool] | None = None) -> None:
        """Let time pass until ``until`` holds, for at most ``for_s`` seconds; a wait for nothing fails."""
        deadline = self.now + for_s
        for _ in range(MAX_STEPS):
            if until is not None and until():
                return
            at = min(
                self._under_way[0][0] if self._under_way else deadline,
                self._wakes[0][0] if self._wakes else deadline,
            )
            if at >= deadline:
                self.now = deadline
                assert until is None or until(), f"nothing came of it within {for_s} s"
                return
            self.now = max(self.now, at)
            self._step()
        raise AssertionError("the network does not come to rest")

    def _step(self) -> None:
        if self._under_way and self._under_way[0][0] <= self.now:
            _, _, packet, source, destination = heapq.heappop(self._under_way)
            member = self.members.get(destination)
            if destination in self.listeners:
                self.listeners[destination](packet, source)
            elif destination in self._stopped and destination not in self.frozen:
                self._stopped[destination].append((packet, source))
            elif member is not None and destination not in self.frozen:
                member.receive(packet, source, self.now)
                self._after(destination, member)
        elif self._wakes and self._wakes[0][0] <= self.now:
            _, _, address = heapq.heappop(self._wakes)
            member = self.members.get(address)
            if address in self._stopped:
                return
            if member is not None and member.wake_at() <= self.now:
                member.tick(self.now)
            if member is not None:
                self._after(address, member)

    def _after(self, address: Address, member: Member) -> None:
        for ticket, answer in member.take_answers():
            assert ticket not in self.answers, "a request was answered twice"
            self.answers[ticket] = answer
        while member.outbox:
            packet, destination = member.outbox.popleft()
            self._send(packet, address, destination)
        # One wake-up of each member at a time would need a removable heap; a stale one costs a comparison.
        heapq.heappush(self._wakes, (max(member.wake_at(), self.now + 0.001), next(self._order), address))
        if len(self._wakes) > 20 * len(self.members) + 100:
            self._wakes = [
                (max(one.wake_at(), self.now), next(self._order), where)
                for where, one in self.members.items()
            ]
            heapq.heapify(self._wakes)

    def _send(self, packet: bytes, source: Address, destination: Address) -> None:
        self.sent.append((source, destination, packet))
        copies = 2 if self.chance.random() < self.double else 1
        for _ in range(copies):
            if self.chance.random() >= self.loss:
                at = self.now + self.delay_s * self.chance.uniform(0.5, 1.5)
                heapq.heappush(self._under_way, (at, next(self._order), packet, source, destination))

    def _address_of(self, member: Member) -> Address:
        return next(address for address, one in self.members.items() if one is member)


class RunningMember:
    """One real member serving in a thread of the test's process."""

    def __init__(self, plan: MemberPlan) -> None:
        self.where: dict[str, str] = {}
        self.failure: Exception | None = None
        self._stop = threading.Event()
        self._settled = threading.Event()
        self._plan = plan
        self._thread = threading.Thread(target=self._run, name=plan.name)
        self._thread.start()
        assert self._settled.wait(30), "the member neither served nor failed"

    @property
    def http(self) -> str:
        """host:port of the HTTP API."""
        return self.where["http"]

    @property
    def dht(self) -> str:
        """host:port of the DHT socket."""
        return self.where["dht"]

    @property
    def http_port(self) -> int:
        return int(self.http.rpartition(":")[2])

    @property
    def dht_port(self) -> int:
        return int(self.dht.rpartition(":")[2])

    def stop(self) -> None:
        """Stop the member and wait until it has."""
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive(), "the member did not stop"
        if self.failure is not None:
            raise self.failure

    def _run(self) -> None:
        def ready(where: dict[str, str]) -> None:
            self.where = where
            self._settled.set()

        try:
            run(self._plan, ready, self._stop)
        except Exception as failure:  # noqa: BLE001 - given back by stop()
            self.failure = failure
        finally:
            self._settled.set()


_PROGRAM = """
import json, sys, threading
import msgspec
from p2pcli.registry.process import MemberPlan, run
stop = threading.Event()
def watch():
    sys.stdin.read()
    stop.set()
threading.Thread(target=watch, daemon=True).start()
plan = msgspec.json.decode(sys.argv[1], type=MemberPlan)
run(plan, lambda where: print(json.dumps(where), flush=True), stop)
"""


class SpawnedMember:
    """One real member in a process of its own, for what only a process can show."""

    def __init__(self, **plan: Any) -> None:
        plain = {"name": "spawned", "http_port": 0, "dht_port": 0, **plan}
        command = [sys.executable, "-c", _PROGRAM, json.dumps(plain)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the member ended with {self.process.wait(30)}"
        self.where: dict[str, str] = json.loads(line)

    @property
    def http_port(self) -> int:
        return int(self.where["http"].rpartition(":")[2])

    def stop(self) -> int:
        """Let the member stop by itself; return its exit code."""
        self.process.communicate(timeout=30)
        return self.process.returncode

    def kill(self) -> None:
        """Kill the member with SIGKILL."""
        self.process.kill()
        self.process.communicate(timeout=30)
