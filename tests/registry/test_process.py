import os
import random
import signal
import socket
import threading
from itertools import count
from pathlib import Path

import pytest
from members import SpawnedMember

from p2pcli.clock import monotonic
from p2pcli.registry.client import RegistryClient
from p2pcli.registry.process import MemberPlan, run
from p2pcli.registry.udp import PortTaken


def client(*members, timeout: float = 2.5) -> RegistryClient:
    return RegistryClient([member.where["http"] for member in members], timeout)


def eventually(question, wanted) -> None:
    """Ask until the answer is ``wanted``; fail when it is not within 20 s."""
    deadline = monotonic() + 20
    while (answer := question()) != wanted:
        assert monotonic() < deadline, f"still {answer!r}"
        threading.Event().wait(0.01)


def test_what_is_announced_at_one_member_is_found_at_the_other(start):
    one = start()
    other = start(bootstrap=(one.dht,))
    with client(one) as at_one, client(other) as at_other:
        assert at_one.announce("svc", 1337) == 1
        assert at_other.announce("svc", 1338) == 1
        assert at_one.lookup("svc") == at_other.lookup("svc") == [("127.0.0.1", 1337), ("127.0.0.1", 1338)]
        key = at_one.put("hello world")
        assert at_other.get(key) == {"id": other.where["id"], "token": None, "v": "hello world"}


def test_members_that_name_each_other_may_start_in_any_order(start):
    ports = free_ports(2)
    names = tuple(f"127.0.0.1:{port}" for port in ports)
    for first, second in ((0, 1), (1, 0)):
        members = {at: start(dht_port=ports[at], bootstrap=names) for at in (first, second)}
        with client(members[first]) as early, client(members[second]) as late:
            early.announce("svc", 1 + first)
            eventually(lambda late=late: late.lookup("svc"), [("127.0.0.1", 1 + first)])
            late.announce("other", 1 + first)
            eventually(lambda early=early: early.lookup("other"), [("127.0.0.1", 1 + first)])
        for member in members.values():
            member.stop()


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def test_a_member_that_restarts_at_its_place_is_the_same(start, tmp_path):
    first = start(folder=str(tmp_path / "kept"))
    first.stop()
    again = start(folder=str(tmp_path / "kept"), dht_port=first.dht_port)
    moved = start(folder=str(tmp_path / "kept"))
    another = start(folder=str(tmp_path / "new"))
    assert again.where["id"] == first.where["id"]
    assert len({again.where["id"], moved.where["id"], another.where["id"]}) == 3


def test_announces_go_on_at_once_when_the_other_member_restarts(start, tmp_path):
    # After the restart of a real Grape they fail for minutes.
    one = start()
    other = start(folder=str(tmp_path / "kept"), bootstrap=(one.dht,))
    with client(one) as at_one:
        assert at_one.announce("svc", 1337) == 1
        other.stop()
        again = start(folder=str(tmp_path / "kept"), dht_port=other.dht_port, bootstrap=(one.dht,))
        assert at_one.announce("svc", 1337) == 1
        one.stop()
        with client(again) as at_again:
            assert at_again.lookup("svc") == [("127.0.0.1", 1337)]


@pytest.mark.parametrize("kind", ["http_port", "dht_port"])
def test_a_taken_port_is_an_error_that_names_it_and_leaves_nothing_open(tmp_path, kind):
    sort = socket.SOCK_STREAM if kind == "http_port" else socket.SOCK_DGRAM
    free = free_ports(1)[0]
    with socket.socket(socket.AF_INET, sort) as taken:
        taken.bind(("127.0.0.1", 0))
        ports = {"http_port": 0, "dht_port": free, kind: taken.getsockname()[1]}
        plan = MemberPlan(name="x", folder=str(tmp_path), **ports)
        with pytest.raises(PortTaken, match=str(taken.getsockname()[1])):
            run(plan, lambda _: pytest.fail("it is not ready"), threading.Event())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", free))


def test_a_failure_of_the_one_who_waits_for_it_closes_everything(tmp_path):
    where: dict[str, str] = {}

    def ready(found: dict[str, str]) -> None:
        where.update(found)
        raise RuntimeError("not interested")

    stop = threading.Event()
    with pytest.raises(RuntimeError, match="not interested"):
        run(MemberPlan(name="x", folder=str(tmp_path), http_port=0, dht_port=0), ready, stop)
    assert stop.is_set()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", int(where["dht"].rpartition(":")[2])))


def test_a_bootstrap_name_that_nobody_knows_is_left_out_with_a_warning(start, caplog):
    member = start(bootstrap=("no-such-host.invalid:20001",))
    assert "no-such-host.invalid" in caplog.text
    with client(member) as at_member:
        assert at_member.lookup("svc") == []


def test_a_member_that_is_stopped_answers_what_it_was_asked(start):
    # The seed is silent, so the lookup is still under way when the member is told to stop.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        member = start(bootstrap=(f"127.0.0.1:{silent.getsockname()[1]}",))
        with socket.create_connection(("127.0.0.1", member.http_port), 20) as asker:
            asker.sendall(b'POST /lookup HTTP/1.1\r\nHost: a\r\nContent-Length: 14\r\n\r\n{"data":"svc"}')
            silent.settimeout(20)
            while b"svc" not in silent.recv(2000):
                pass
            member.stop()
            assert asker.recv(2000)[:15] in (b"HTTP/1.1 200 OK", b"")


def test_garbage_on_the_dht_port_is_met_with_silence(start):
    member = start()
    chance = random.Random(1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender, client(member) as at_member:
        sender.connect(("127.0.0.1", member.dht_port))
        for size in (0, 1, 10, 100, 1_000, 60_000):
            for _ in range(50):
                sender.send(chance.randbytes(size))
        for packet in (b"d" * 60_000, b"l" * 60_000, b"d1:ad2:id20:", b"i" + b"9" * 60_000 + b"e"):
            sender.send(packet)
        ping = b"d1:ad2:id20:aaaaaaaaaaaaaaaaaaaae1:q4:ping1:t2:zz1:y1:qe"
        sender.settimeout(0.2)
        answer = b""
        for _ in range(100):  # a ping may be lost in the crowd
            sender.send(ping)
            try:
                answer = sender.recv(2000)
                break
            except TimeoutError:
                continue
        assert b"1:t2:zz1:y1:re" in answer  # the first that came back at all
        assert at_member.lookup("svc") == []


# -- processes -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_paused_member_makes_no_lookup_fail_and_is_missed_until_it_goes_on(tmp_path):
    members = [SpawnedMember(folder=str(tmp_path / "one"))]
    try:
        for name in ("two", "three"):
            members.append(SpawnedMember(folder=str(tmp_path / name), bootstrap=[members[0].where["dht"]]))
        with client(members[0]) as at_first:  # with the patience of real clients: 2.5 s
            assert at_first.announce("svc", 1337) == 2
            os.kill(members[2].process.pid, signal.SIGSTOP)
            dropped = monotonic() + 5  # by then it left three queries in a row unanswered for 2 s each
            for number in count():
                if monotonic() > dropped:
                    break
                assert at_first.announce(f"svc{number}", 1) >= 1
                assert at_first.lookup("svc") == [("127.0.0.1", 1337)]
            os.kill(members[2].process.pid, signal.SIGCONT)
            eventually(lambda: at_first.announce("after", 1), 2)
    finally:
        for member in members:
            member.kill()


@pytest.mark.slow
def test_a_killed_member_comes_back_and_is_found(tmp_path):
    one = SpawnedMember(folder=str(tmp_path / "one"))
    other = SpawnedMember(folder=str(tmp_path / "two"), bootstrap=[one.where["dht"]])
    port = int(other.where["dht"].rpartition(":")[2])
    try:
        with client(one) as at_one:
            assert at_one.announce("svc", 1337) == 1
            other.kill()
            assert at_one.announce("svc", 1337) == 1  # our own copy
            other = SpawnedMember(folder=str(tmp_path / "two"), dht_port=port, bootstrap=[one.where["dht"]])
            assert at_one.announce("svc", 1337) == 1
        one.kill()
        with client(other) as at_other:
            assert at_other.lookup("svc") == [("127.0.0.1", 1337)]
        assert other.stop() == 0
    finally:
        one.kill()
        other.kill()


@pytest.mark.slow
def test_a_member_takes_little_memory(tmp_path):
    member = SpawnedMember(folder=str(tmp_path))
    try:
        with client(member) as at_member:
            for number in range(2_000):
                at_member.announce(f"p2px:default:node:client{number}", 1337)
        status = Path(f"/proc/{member.process.pid}/status").read_text()
        resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
        assert resident < 40 * 1024
    finally:
        member.kill()
