"""Clients that behave badly: too many, too slow, cut off in mid-frame, too fast. Others notice nothing."""

import os
import socket
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from herd import MARKET, violations, wait_until

from p2pcli.clock import monotonic
from p2pcli.cluster.chaos.ledger import Telling, Told
from p2pcli.market.commands import Place, Side
from p2pcli.node.answers import Answer
from p2pcli.node.requests import Submit, encode
from p2pcli.rpc.auth import TurnedAway
from p2pcli.rpc.frame import framed
from p2pcli.rpc.handshake import dial

pytestmark = pytest.mark.slow

IDLE = 200
DESCRIPTORS = 64
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """Return the processor time a process has used, in seconds."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / TICKS


def order(name: str) -> Place:
    return Place(Side.SELL, 1, 10_000, client_order_id=name)


def test_two_hundred_idle_callers_at_64_descriptors_stop_nobody_and_burn_nothing(herd):
    node = herd.start(descriptors=DESCRIPTORS)
    assert not node.failure
    with herd.client() as client:
        idle = [socket.create_connection(node.address) for _ in range(IDLE)]
        try:
            began, used = monotonic(), cpu_s(node.pid)
            count = 0
            pause = threading.Event()
            while monotonic() - began < 1.5:
                count += 1
                assert client.submit(MARKET, [order(f"i{count}")]).outcomes[0].order == count
                pause.wait(0.02)
            share = (cpu_s(node.pid) - used) / (monotonic() - began)
            print(f"{count} orders beside {IDLE} idle callers, {share:.0%} of a processor")
            assert share < 0.8, "an acceptor without descriptors that does not pause takes a whole one"
        finally:
            for sock in idle:
                sock.close()

        def is_let_in() -> bool:
            with herd.client(timeout=1):
                return True

        print(f"let in again after {wait_until(is_let_in, 30):.2f} s")


def test_a_caller_who_sends_a_byte_a_second_is_cut_off_and_holds_nobody_up(herd):
    node = herd.start()
    slow, _, _ = dial(*node.address, herd.folder.credentials(), owner="slow")
    frame = framed(encode(Submit(1, 1, [order("slow")])))
    stranger = socket.create_connection(node.address)
    began = monotonic()
    cut: dict[str, float] = {}

    def drip(name: str, sock: socket.socket, data: bytes) -> None:
        try:
            for byte in data:
                sock.sendall(bytes([byte]))
                sock.settimeout(1.0)
                try:
                    if not sock.recv(1):
                        break
                except (TimeoutError, BlockingIOError):
                    continue
        except OSError:
            pass
        cut[name] = monotonic() - began

    threads = [
        threading.Thread(target=drip, args=("client", slow._sock, frame)),
        threading.Thread(target=drip, args=("stranger", stranger, framed(bytes(60)))),
    ]
    for thread in threads:
        thread.start()
    with herd.client() as client:
        slowest = 0.0
        while any(thread.is_alive() for thread in threads):
            asked = monotonic()
            client.submit(MARKET, [order(f"o{asked}")])
            slowest = max(slowest, monotonic() - asked)
            assert asked - began < 100, "a byte a second keeps a thread for ever"
        assert [view.owner for view in client.orders(MARKET, owner="slow")] == []
    for thread in threads:
        thread.join()
    slow.release()
    stranger.close()
    print(f"cut off after {cut}, the others' slowest answer took {slowest * 1000:.0f} ms")
    assert max(cut.values()) < len(frame), "cut off before its frame was whole"


def test_a_frame_cut_at_every_byte_changes_nothing(herd):
    node = herd.start()
    credentials = herd.folder.credentials()
    frame = framed(encode(Submit(1, 1, [order("cut")])))
    with herd.client() as client:
        client.submit(MARKET, [order("first")])  # after it, nothing of the node's own is on its way
        before = client.state_digest(MARKET)
        for length in range(len(frame)):
            connection, _, _ = dial(*node.address, credentials, owner="cut")
            connection.send_blocking(frame[:length])
            connection.release()
        assert client.state_digest(MARKET) == before
        connection, _, _ = dial(*node.address, credentials, owner="cut")
        connection.send_blocking(frame)
        wait_until(lambda: client.orders(MARKET, owner="cut"))
        connection.release()
    assert node.runs()


def test_bytes_changed_in_a_frame_are_answered_or_end_that_caller_alone(herd, rounds):
    node = herd.start()
    credentials = herd.folder.credentials()
    frame = framed(encode(Submit(1, 1, [order("x")])))
    with herd.client() as client:
        for place in range(4, len(frame)):
            for change in range(rounds):
                connection, _, _ = dial(*node.address, credentials, owner="changed")
                data = bytearray(frame)
                data[place] ^= 1 << ((place + change) % 8)
                connection.send_blocking(bytes(data))
                connection.release()
        assert client.submit(MARKET, [order("after")]).sequence
    assert node.runs()
    assert violations(herd.arena(), []) == []


def test_more_than_a_node_can_carry_is_refused_at_once_and_the_rest_done(herd):
    node = herd.start()
    tellings: list[Telling] = []
    waits: list[float] = []

    def flood(number: int) -> None:
        with herd.client(owner=f"flood{number}") as client:
            sent: dict[int, tuple[float, Place]] = {}
            for turn in range(30):
                batch = [
                    Place(Side(place % 2), 1, 10_000, client_order_id=f"{turn}-{place}")
                    for place in range(500)
                ]
                sent[client.send(MARKET, batch)] = monotonic(), batch
            while sent:
                reply = client.next_reply()
                at, batch = sent.pop(reply.id)
                now = monotonic()
                done = isinstance(reply, Answer)
                if not done:
                    assert reply.code == "busy"
                    waits.append(now - at)
                for place, command in enumerate(batch):
                    told = (reply.sequence, reply.outcomes[place]) if done else (0, None)
                    kind = Told.OK if done else Told.REFUSED
                    name = f"flood{number}"
                    tellings.append(Telling(name, command, node.name, at, now, kind, *told))

    threads = [threading.Thread(target=flood, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert waits, "it was not too much"
    done = sum(telling.told is Told.OK for telling in tellings)
    print(f"{done} of {len(tellings)} done, busy after {sorted(waits)[len(waits) // 2] * 1000:.0f} ms median")
    assert done >= 5000
    assert max(waits) < 10
    assert violations(herd.arena(), tellings) == []


def test_the_next_caller_is_turned_away_by_name_before_descriptors_run_out(herd):
    # A node that has none left cannot even say so, and its silence would be taken for a hang.
    node = herd.start(descriptors=DESCRIPTORS)
    assert not node.failure
    with ExitStack() as opened:
        first = opened.enter_context(herd.client(timeout=5))
        with pytest.raises(TurnedAway, match="its limit"):
            fill(opened, herd)
        assert first.submit(MARKET, [order("first")]).sequence
    wait_until(lambda: herd.client(timeout=1).close() is None, 30, "room for another caller")


def fill(opened, herd):
    for _ in range(IDLE):
        opened.enter_context(herd.client(timeout=5))
