"""A child seen from its supervisor: real processes that run trial_program.py."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from p2pcli.cluster.news import Failed, Serving
from p2pcli.cluster.process import ChildProcess


@pytest.fixture
def spawn(trial, eventually) -> Iterator[Callable[..., ChildProcess]]:
    trial.folder.prepare()
    spawned = []

    def spawn(behaviour: str = "serve") -> ChildProcess:
        trial.behave("client1", behaviour)
        process = ChildProcess(trial.folder.path.parent, "client1", msgspec.json.encode(trial.plan))
        spawned.append(process)
        return process

    yield spawn
    for process in spawned:
        process.kill()
        eventually(lambda process=process: process.exit_code() is not None)
        process.close()


def news_of(process: ChildProcess, eventually) -> list:
    heard: list = []
    eventually(lambda: heard.extend(process.news()) or heard or process.exit_code() is not None)
    return heard + process.news()


def test_a_child_says_that_it_serves_and_stops_in_order_when_asked(spawn, eventually) -> None:
    process = spawn()
    assert news_of(process, eventually) == [Serving({"trial": "127.0.0.1:1"})]
    process.terminate()
    eventually(lambda: process.exit_code() is not None)
    assert process.exit_code() == 0


def test_a_child_that_fails_says_why_and_logs_it(spawn, eventually, trial) -> None:
    process = spawn("fail")
    assert news_of(process, eventually) == [Failed("ValueError: the trial was to fail")]
    eventually(lambda: process.exit_code() is not None)
    assert process.exit_code() == 1
    assert "the trial was to fail" in (trial.folder.logs / "client1.jsonl").read_text()
    assert (trial.folder.logs / "client1.out").read_text() == "words on stdout\n"


def test_a_child_that_vanishes_leaves_its_exit_code(spawn, eventually) -> None:
    process = spawn("vanish")
    assert news_of(process, eventually) == []
    assert process.exit_code() == 7


def test_a_child_that_has_not_begun_to_serve_ends_at_once(spawn, eventually, trial) -> None:
    process = spawn("hang at start")
    eventually((trial.folder.nodes / "client1" / "pid").exists)
    process.terminate()
    eventually(lambda: process.exit_code() is not None)
    assert process.exit_code() == 0


def test_signals_of_the_terminal_do_not_end_a_child(spawn, eventually) -> None:
    process = spawn()
    news_of(process, eventually)
    for number in (signal.SIGINT, signal.SIGHUP):
        os.kill(process.pid, number)
    process.terminate()
    eventually(lambda: process.exit_code() is not None)
    assert process.exit_code() == 0


def test_a_child_is_recognised_in_a_list_of_processes(spawn, eventually) -> None:
    process = spawn()
    news_of(process, eventually)
    assert Path(f"/proc/{process.pid}/comm").read_text() == "p2px:client1\n"


def test_a_child_inherits_no_file_of_ours(spawn, eventually, trial, tmp_path) -> None:
    with (tmp_path / "ours").open("w") as ours:
        process = spawn()
        news_of(process, eventually)
        theirs = [os.path.realpath(link) for link in Path(f"/proc/{process.pid}/fd").iterdir()]
        assert ours.name not in theirs
    assert str(trial.folder.children_lock_path) in theirs


def test_signalling_one_that_ended_hits_nobody(spawn, eventually) -> None:
    process = spawn("vanish")
    eventually(lambda: process.exit_code() is not None)
    process.terminate()
    process.kill()
    assert process.exit_code() == 7
