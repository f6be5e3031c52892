"""One registry member as a process: its two sockets, its folder, its clock, and the loop that moves them.

Everything happens in one thread, so no state needs a lock; an idle member sleeps in ``epoll`` until its next
upkeep.
"""

import logging
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from select import EPOLLIN, epoll

import msgspec

from p2pcli.clock import NANOSECONDS, monotonic, now_ns
from p2pcli.registry import folder, grape, node_id
from p2pcli.registry.compact import Address, is_ipv4, parse_address
from p2pcli.registry.http1 import Request
from p2pcli.registry.http_api import HttpApi
from p2pcli.registry.member import Member, MemberSettings
from p2pcli.registry.operations import Answer
from p2pcli.registry.udp import UdpSocket, address_towards

_FAREWELL_S = 0.5  # for requests under way when the member is told to stop
_logger = logging.getLogger("p2pcli.registry")


class MemberPlan(msgspec.Struct, frozen=True):
    """Where a member lives and how it behaves. In brackets: the option of a real ``grape``."""

    name: str
    folder: str  # private; holds the member's identity across restarts
    http_port: int  # [--aph] 0: a free one
    dht_port: int  # [--dp] 0: a free one
    host: str = "127.0.0.1"  # [-b] IPv4 address that both sockets bind to
    bootstrap: tuple[str, ...] = ()  # [--bn] ip:port of other members' DHT sockets; its own is ignored
    keep_own: bool = True  # False: like a real Grape, no copy of what it announces itself
    peer_max_age_s: float = 120.0  # [--dpa, there in ms] an announce is found for 2/3 to 4/3 of this
    max_body_bytes: int = 8192  # [--check_maxPayloadSize]
    max_items: int = 5_000  # [--dht_maxValues]
    max_peers: int = 10_000
    max_connections: int = 512
    allowed_hosts: tuple[str, ...] = ()  # further names that requests may have in their Host header


def run(plan: MemberPlan, ready: Callable[[dict[str, str]], None], stop: threading.Event) -> None:
    """Run the member until ``stop`` is set.

    ``ready`` is called once, when both sockets serve, with their addresses and the node id. Raises
    ``PortTaken`` or ``FolderUnusable`` before that. Everything is closed when it returns or raises.
    """
    kept = folder.identity(Path(plan.folder))
    dht = UdpSocket(plan.host, plan.dht_port)
    poller = epoll()
    api = None
    try:
        api = HttpApi(
            plan.host,
            plan.http_port,
            poller,
            max_body=plan.max_body_bytes,
            max_connections=plan.max_connections,
            allowed_hosts=plan.allowed_hosts,
        )
        seeds = [seed for seed in map(_resolved, plan.bootstrap) if seed is not None]
        address = _own_address(plan.host, dht.address[1], seeds)
        own_id = node_id.derive(address, kept.salt)
        now = monotonic()
        member = Member(
            MemberSettings(
                own_id=own_id,
                address=address,
                token_secret=kept.token_secret,
                seeds=[seed for seed in seeds if seed != address],
                keep_own=plan.keep_own,
                peer_max_age_s=plan.peer_max_age_s,
                max_peers=plan.max_peers,
                max_items=plan.max_items,
            ),
            os.urandom,
            now,
            now_ns() / NANOSECONDS - now,
        )
        where = {"http": f"{address[0]}:{api.port}", "dht": f"{address[0]}:{address[1]}", "id": own_id.hex()}
        _logger.info("member %s serves HTTP on %s, the DHT on %s", plan.name, where["http"], where["dht"])
        _Loop(member, dht, api, poller).run(lambda: ready(where), stop)
        _logger.info("member %s stopped", plan.name)
    finally:
        if api is not None:
            api.close()
        poller.close()
        dht.close()


class _Loop:
    """Carries bytes between the sockets and the member."""

    def __init__(self, member: Member, dht: UdpSocket, api: HttpApi, poller: epoll) -> None:
        self._member = member
        self._dht = dht
        self._api = api
        self._poller = poller

    def run(self, ready: Callable[[], None], stop: threading.Event) -> None:
        waker, woken = socket.socketpair()
        with waker, woken:
            self._poller.register(self._dht.fileno(), EPOLLIN)
            self._poller.register(woken.fileno(), EPOLLIN)
            # An Event has no descriptor to wait on, so a thread turns it into a byte.
            watcher = threading.Thread(target=_ring, args=(stop, waker), name="stop watcher", daemon=True)
            watcher.start()
            try:
                self._turn(monotonic())
                ready()
                while not stop.is_set():
                    self._wait(self._member.wake_at(), woken.fileno())
                self._poller.unregister(woken.fileno())
                self._api.stop_accepting()
                deadline = monotonic() + _FAREWELL_S
                while self._api.busy and monotonic() < deadline:
                    self._wait(deadline, woken.fileno())
            finally:
                stop.set()  # also when we fail: the watcher must not outlive its socket
                watcher.join()

    def _wait(self, wake_at: float, woken: int) -> None:
        due = self._api.wake_at()
        if due is not None and due < wake_at:
            wake_at = due
        events = self._poller.poll(max(0.0, wake_at - monotonic()), 256)
        now = monotonic()
        member, api, dht = self._member, self._api, self._dht.fileno()
        for descriptor, mask in events:
            if descriptor == dht:
                for packet, source in self._dht.received():
                    member.receive(packet, source, now)
            elif descriptor != woken:
                api.event(descriptor, mask, now)
        self._turn(now)

    def _turn(self, now: float) -> None:
        member, api = self._member, self._api
        member.tick(now)
        api.tick(now)
        while api.requests or member.has_answers:
            # A reply can free the next request of its connection, and a request can be answered at once.
            while api.requests:
                self._start(*api.requests.popleft(), now)
            said: Answer | None = None
            for ticket, answer in member.take_answers():
                if answer is not said:  # one lookup answers everybody who waited for it
                    said, (status, body) = answer, grape.say(answer)
                api.reply(ticket, status, body, now)
        self._dht.send(member.outbox)

    def _start(self, ticket: int, request: Request, now: float) -> None:
        try:
            asked = grape.read(request.target, request.body, self._dht.address[1])
        except grape.Refused as refused:
            self._api.reply(ticket, refused.status, refused.body, now)
        else:
            self._member.request(ticket, asked, now)


def _ring(stop: threading.Event, waker: socket.socket) -> None:
    stop.wait()
    try:
        waker.send(b"!")
    except OSError:
        pass  # the loop has ended by itself


def _own_address(host: str, port: int, seeds: list[Address]) -> Address:
    """Return where others find a socket bound to ``host``, which may be all of this machine's addresses."""
    if host != "0.0.0.0":
        return host, port
    return (address_towards(seeds[0]) if seeds else "127.0.0.1"), port


def _resolved(text: str) -> Address | None:
    """Return the address of a bootstrap member, or None, with a warning, when its name is not known."""
    host, _, port = text.rpartition(":")
    if not is_ipv4(host):
        try:
            host = socket.gethostbyname(host)
        except OSError as error:
            _logger.warning("bootstrap member %s is left out: %s", text, error)
            return None
    return parse_address(f"{host}:{port}")
