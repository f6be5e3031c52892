"""``p2px log move``: the log of a live cluster goes to another place, and its clients lose nothing."""

import msgspec
import pytest

from p2pcli.cluster.backup import node_folders
from p2pcli.cluster.briefing import log_url
from p2pcli.cluster.folder import ClusterFolder
from p2pcli.node.mover import MarketMove
from p2pcli.node.moving import Step, next_step
from tests.cli.conftest import Shell

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """A running cluster of three nodes."""
    shell = Shell(tmp_path_factory.mktemp("move") / "home")
    assert shell("cluster", "up", "-n", "3").code == 0
    yield shell
    shell("cluster", "down")


def killed_after(shell: Shell, lines: int, *words: str) -> bool:
    """Run ``log move`` and kill it once it has said so many lines; False when it came to its end before."""
    with shell.start("log", "move", *words) as process:
        for _ in range(lines):
            if not process.stderr.readline():
                return False
        process.kill()
    return True


def moving(shell: Shell, url: str) -> int:
    """Move under load, killed after each step, and return how often that was."""
    trader = shell.start("client", "run", "client2", "--interval", "5ms", "--count", "250", "-o", "jsonl")
    assert trader.stdout.readline()
    kills = 0
    while killed_after(shell, 2, url):  # a step is said before it is taken
        kills += 1
    out, err = trader.communicate(timeout=60)
    assert (trader.returncode, err) == (0, "")
    ids = [msgspec.json.decode(line)["order_id"] for line in out.splitlines()]
    assert len(ids) == len(set(ids)) == 255  # three bids and three asks first, of which one was read above
    return kills


def test_a_move_that_is_killed_again_and_again_under_load_loses_and_doubles_nothing(live, tmp_path):
    url = f"sqlite://{tmp_path}/new"
    assert moving(live, url) >= 3
    said = live("log", "move", url)
    assert (said.code, said.err) == (0, f"the log of cluster default is at {url} already\n")
    status = live("cluster", "status", "-o", "json").json
    assert status["state"] == "ready"
    assert live("verify").code == 0
    assert live("log", "check").code == 0
    last = live("order", "buy", "1@1", "-o", "json").json
    assert last["order_id"] == "257"  # 256 of the trader, each once
    steps = live("log", "show", "-n", "100000").out
    for step in ("seal", "end", "begin"):
        assert steps.count(f"log move: {step}, {url}") == 1, step


def test_a_move_is_given_up_until_the_log_has_ended(live, tmp_path):
    url = f"sqlite://{tmp_path}/new"
    refused = live("log", "move", url, "--abort")
    assert (refused.code, "is not being moved to" in refused.err) == (2, True)
    assert killed_after(live, 1, url)  # sealed, perhaps
    aborted = live("log", "move", url, "--abort")
    if aborted.code == 2:  # killed before it had sealed
        assert "is not being moved to" in aborted.err
    else:
        assert (aborted.code, aborted.err.startswith("the log stays at ")) == (0, True)
    assert live("order", "buy", "1@1").code == 0


def test_a_sealed_market_is_shown_with_where_its_log_goes(live, tmp_path):
    url = f"sqlite://{tmp_path}/new"
    old, folders = log_url(live.folder.plan(), live.folder), node_folders(live.folder)
    with MarketMove("BTC/USD", old, url, url, folders, durable=False) as move:
        assert next_step(move.look(), url) is Step.SEAL
        move.take(Step.SEAL)
    said = live("cluster", "status", "-o", "json")
    assert said.code == 1
    assert (said.json["state"], said.json["moving"]) == ("degraded", {"BTC/USD": url})
    shown = live("cluster", "status").out
    assert "sealed" in shown
    assert url in "".join(shown.split())
    assert live("market", "ls", "-o", "json").json[0]["state"] == "sealed"
    rotation = live("cluster", "rotate")
    assert (rotation.code, f"is being moved to {url}" in rotation.err) == (6, True), rotation.err
    assert live("log", "move", url, "--abort").code == 0
    said = live("cluster", "status", "-o", "json")
    assert (said.code, said.json["state"], "moving" in said.json) == (0, "ready", False)


def test_a_node_that_opens_the_old_log_says_where_it_went(live, tmp_path):
    old = live.folder.plan()
    url = f"sqlite://{tmp_path}/other"
    assert live("log", "move", url).code == 0
    assert live("cluster", "down").code == 0
    new = live.folder.plan()
    assert new.log_url == url
    ClusterFolder(live.home, "default").keep_plan(old)
    said = live("cluster", "up")
    assert said.code == 1
    assert f"and went to {url}" in said.err
    again = live("log", "move", url)  # on a stopped cluster, with nothing left to do but the plan
    assert again.code == 0, again.err
    assert live.folder.plan().log_url == url
    assert live("cluster", "up").code == 0
    assert live("order", "buy", "1@1").code == 0


def test_a_place_in_use_is_refused_and_trading_goes_on(live, tmp_path):
    place = live.folder.plan().log_url
    said = live("log", "move", "sqlite")  # where the log was at first
    assert said.code == 6
    assert said.err.startswith("error: the place sqlite has a log of BTC/USD already, with ")
    assert live.folder.plan().log_url == place
    assert live("order", "buy", "1@1").code == 0
    wrong = live("log", "move", "ftp://somewhere")
    assert (wrong.code, wrong.err.startswith("error: ")) == (2, True)
