"""A full disk: a clear error at once, reads as ever, and trading again by itself when there is room.

The disk is a small tmpfs, which needs root.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from herd import MARKET, Herd, violations, wait_until

from p2pcli.clock import monotonic
from p2pcli.cluster.chaos.traders import Routes
from p2pcli.cluster.exchange_client import ExchangeClient
from p2pcli.log.entry import LogFull
from p2pcli.market.commands import Place, Side

pytestmark = pytest.mark.slow

SIZE_MIB = 32


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("a file system of its own needs root")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "tmpfs", folder], capture_output=True, text=True
    )
    if done.returncode != 0:
        pytest.skip(f"tmpfs may not be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(folder: Path) -> Path:
    """Take every byte that is left."""
    path = folder / "filler"
    with path.open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return path


def order(name: str) -> Place:
    return Place(Side.SELL, 1, 10_000, client_order_id=name)


def typed(herd: Herd, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line, which may wait for an hour before it gives up."""
    folder = herd.folder
    environ = {**os.environ, "P2PX_HOME": str(folder.path.parent), "P2PX_CLIENT_TIMEOUT": "1h"}
    command = [sys.executable, "-m", "p2pcli.cli.main", *words, "--name", folder.name]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)


def test_a_full_disk_is_said_at_once_and_over_when_there_is_room(small_disk):
    herd = Herd(small_disk)
    try:
        for name in ("client1", "client2"):
            assert not herd.start(name).failure
        routes = Routes("ann", MARKET, herd.folder.credentials(), herd.arena().places)
        for number in range(50):
            routes.tell(order(f"before{number}"), number)
        filler = fill(small_disk)
        with herd.client() as client, herd.client("client2", owner="bob") as reader:
            asked, number, refusal = monotonic(), 0, None
            while refusal is None:
                number += 1
                assert number < 5000, "the disk is not full"
                asked = monotonic()
                try:
                    client.submit(MARKET, [order(f"full{number}")])
                except LogFull as error:
                    refusal = error
            said_after = monotonic() - asked
            assert "the disk is full, nothing was appended" in refusal.message
            assert refusal.hint.startswith("df -h ")
            assert said_after < 10
            began = monotonic()
            said = typed(herd, "order", "sell", "0.00000001@100", "-o", "json")
            print(f"the command line took {monotonic() - began:.2f} s to say so")
            assert (said.returncode, json.loads(said.stdout)["error"]["code"]) == (1, "log_full")
            with (
                ExchangeClient(herd.folder.name, home=herd.folder.path.parent, timeout=3600) as program,
                pytest.raises(LogFull),
            ):
                program.sell("0.00000001", "100")
            assert len(reader.orders(MARKET)) >= 50
            assert client.book(MARKET).asks
            filler.unlink()

            def is_taken() -> bool:
                return bool(client.submit(MARKET, [order("after")]).sequence)

            back_after = wait_until(is_taken, 50, "orders are taken again")
        print(f"said after {said_after * 1000:.0f} ms, orders again {back_after:.2f} s after there was room")
        routes.close()
        assert violations(herd.arena(), routes.tellings) == []
    finally:
        herd.end_all(signal.SIGKILL)


def test_a_node_killed_on_a_full_disk_comes_back_with_everything_when_there_is_room(small_disk):
    herd = Herd(small_disk)
    try:
        assert not herd.start().failure
        with herd.client() as client:
            for number in range(50):
                client.submit(MARKET, [order(f"before{number}")])
            before = client.state_digest(MARKET)
        filler = fill(small_disk)
        herd.end_all(signal.SIGKILL)
        node = herd.start()
        print(f"on the full disk: {node.failure or 'it serves'}")
        if not node.failure:
            with herd.client() as client:
                assert client.state_digest(MARKET) == before
        herd.end_all(signal.SIGKILL)
        filler.unlink()
        assert not herd.start().failure
        with herd.client() as client:
            assert len(client.orders(MARKET)) >= 50
            assert client.submit(MARKET, [order("after")]).sequence > before[0]
        assert violations(herd.arena(), []) == []
    finally:
        herd.end_all(signal.SIGKILL)
