"""``p2px log export`` and ``p2px log import``: a cluster comes back from one file."""

import subprocess

import pytest

from p2pcli.cluster.folder import ClusterFolder
from p2pcli.market.commands import Side
from tests.cli.conftest import PROGRAM, Shell

pytestmark = pytest.mark.slow
SHOWN = ("sequence", "bids", "asks")


@pytest.fixture(scope="module")
def traded(tmp_path_factory):
    """A running cluster with a snapshot, and an order and a trade before and after it."""
    work = tmp_path_factory.mktemp("backup")
    shell = Shell(work / "home")
    assert shell("cluster", "up", "-n", "2").code == 0
    try:
        assert shell("order", "sell", "1.5@30000", "--node", "client2", "--client-id", "a-1").code == 0
        shell.place("0.5@30000", Side.BUY, "client1")
        shell.hang_up()
        assert shell("cluster", "down").code == 0  # nodes take a snapshot as they stop
        assert shell("cluster", "up").code == 0
        shell.place("0.25@30000", Side.BUY, "client1")
        shell.place("2@29990", Side.BUY, "client1")
        yield shell
    finally:
        shell.hang_up()
        shell("cluster", "down")


@pytest.fixture
def two(traded):
    """The folder of a cluster that is not there yet, and nothing of it remains."""
    yield ClusterFolder(traded.home, "two")
    assert traded("cluster", "down", "--wipe", "--name", "two").code == 0


@pytest.fixture
def backup(traded, tmp_path):
    path = tmp_path / "backup.p2px"
    assert traded("log", "export", str(path)).code == 0
    return path


def test_a_restored_cluster_has_the_same_books_answers_and_next_numbers(traded, two, backup, tmp_path):
    said = traded("log", "export", str(tmp_path / "again.p2px"), "-o", "json")
    (row,) = said.json
    assert row["snapshot"] == row["first"] > 1
    assert backup.stat().st_mode & 0o777 == 0o600
    before = traded("book", "show", "-o", "json").json

    assert traded("log", "import", str(backup), "--name", "two").code == 0
    assert traded("cluster", "up", "--name", "two").code == 0
    after = traded("book", "show", "--name", "two", "-o", "json").json
    assert [after[name] for name in SHOWN] == [before[name] for name in SHOWN]
    trades = traded("trades", "tail", "--name", "two", "-o", "jsonl").lines
    assert [(trade["trade_id"], trade["quantity"]) for trade in trades] == [("2", "0.25")]
    assert traded("verify", "--name", "two").code == 0
    order = ("order", "sell", "1.5@30000", "--node", "client2", "--client-id", "a-1")
    again = traded(*order, "--name", "two", "-o", "json").json
    assert (again["order_id"], again["sequence"]) == ("1", row["snapshot"] - 1)
    new = traded("order", "buy", "1@29000", "--node", "client1", "--name", "two", "-o", "json").json
    assert new["order_id"] == "5"
    assert traded("log", "check", "--name", "two").code == 0


def test_everything_the_log_has_brings_its_history_back_through_a_pipe(traded, two):
    words = {"env": traded.environ, "cwd": traded.cwd, "capture_output": True, "check": True}
    piped = subprocess.run([*PROGRAM, "log", "export", "-", "--all"], **words).stdout
    subprocess.run([*PROGRAM, "log", "import", "-", "--name", "two"], input=piped, **words)
    assert traded("cluster", "up", "--name", "two").code == 0
    trades = traded("trades", "tail", "--name", "two", "-o", "jsonl").lines
    assert [trade["trade_id"] for trade in trades] == ["1", "2"]


def test_a_backup_is_restored_only_where_nothing_is(traded, two, backup):
    exists = traded("log", "export", str(backup))
    assert (exists.code, exists.err.splitlines()[0]) == (6, f"error: {backup} is there already")
    runs = traded("log", "import", str(backup))
    assert (runs.code, runs.err) == (6, "error: cluster default is running\nhint: p2px cluster down\n")
    assert traded("log", "import", str(backup), "--name", "two").code == 0
    has = traded("log", "import", str(backup), "--name", "two")
    assert has.code == 6
    assert has.err.startswith("error: cluster two has data of BTC/USD already: ")
    assert "hint: import it under another --name" in has.err


def test_a_damaged_backup_changes_nothing(traded, two, backup):
    whole = backup.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 8
    later = whole.replace(b"p2px backup 1", b"p2px backup 2", 1)
    for data in (whole[:-3], bytes(flipped), later, b"", b"{}"):
        backup.write_bytes(data)
        said = traded("log", "import", str(backup), "--name", "two")
        assert said.code == 2
        assert said.err.startswith(("error: the backup ", "error: this is no backup"))
        assert not two.path.exists()
    missing = traded("log", "import", "nowhere.p2px", "--name", "two")
    assert (missing.code, missing.err) == (
        2,
        "error: nowhere.p2px cannot be read: No such file or directory\n"
        "hint: p2px log export FILE writes one\n",
    )


def test_a_restore_that_was_broken_off_is_begun_anew_and_not_traded_on(traded, two, backup):
    assert traded("log", "import", str(backup), "--name", "two").code == 0
    two.importing_path.touch()  # as a kill in the middle leaves it
    (two.data / "BTC-USD" / "log.db").write_bytes(b"half")
    refused = traded("cluster", "up", "--name", "two")
    assert refused.code == 6
    assert refused.err.startswith("error: a backup was not restored to its end into cluster two\n")
    assert traded("log", "import", str(backup), "--name", "two").code == 0
    assert not two.importing_path.exists()
    assert traded("log", "check", "--name", "two").code == 0


def test_a_backup_is_not_printed_on_a_terminal(traded):
    with traded.terminal("log", "export", "-") as terminal:
        terminal.until("a backup is not written to a terminal")
