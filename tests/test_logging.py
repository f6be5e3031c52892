import json
import logging
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from p2pcli.logging import LogOutput, configure

logger = logging.getLogger("p2pcli.node.example")
Configure = Callable[..., LogOutput]


@pytest.fixture
def log() -> Iterator[Configure]:
    """``configure``, undone at the end of the test."""
    opened: list[LogOutput] = []

    def open_log(*args: Any, **options: Any) -> LogOutput:
        opened.append(configure(*args, **options))
        return opened[-1]

    yield open_log
    for output in reversed(opened):
        output.close()


def lines(folder: Path, name: str = "client1.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def test_a_record_is_one_line_of_json_with_its_fields(log: Configure, tmp_path: Path) -> None:
    log("client1", tmp_path / "logs", environment="test")
    logger.info("order accepted in %s", "BTC/USD", extra={"order": 1042, "sequence": 17, "peer": "client2"})
    (line,) = lines(tmp_path / "logs")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line.pop("time"))
    assert line == {
        "level": "info",
        "process": "client1",
        "environment": "test",
        "pid": os.getpid(),
        "logger": "p2pcli.node.example",
        "event": "order accepted in BTC/USD",
        "order": 1042,
        "sequence": 17,
        "peer": "client2",
    }


def test_time_is_written_in_utc_to_the_microsecond(log: Configure, tmp_path: Path) -> None:
    log("client1", tmp_path)
    record = logger.makeRecord("a", logging.INFO, "x", 1, "event", (), None)
    for created, text in (
        (0.0, "1970-01-01T00:00:00.000000Z"),
        (1e9 + 0.999999, "2001-09-09T01:46:40.999999Z"),
        (0.9999999, "1970-01-01T00:00:01.000000Z"),
    ):
        record.created = created
        logger.handle(record)
        assert lines(tmp_path)[-1]["time"] == text


def test_records_below_the_level_are_not_written(log: Configure, tmp_path: Path) -> None:
    log("client1", tmp_path, "warning")
    logger.info("not this")
    logger.warning("this")
    assert [line["event"] for line in lines(tmp_path)] == ["this"]


def test_an_exception_is_a_field_of_its_line(log: Configure, tmp_path: Path) -> None:
    log("client1", tmp_path)
    try:
        raise OSError("disk on fire")
    except OSError:
        logger.exception("append failed")
    (line,) = lines(tmp_path)
    assert line["event"] == "append failed"
    assert line["traceback"].startswith("Traceback")
    assert line["traceback"].endswith("OSError: disk on fire")


# -- secrets and strangers' text -------------------------------------------------------------------


def test_secrets_are_never_written(log: Configure, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log("client1", tmp_path, console=True)
    logger.info("secret=hunter2 token: hunter2, Authorization: Bearer hunter2 etcd://me:hunter2@host:1/x")
    logger.info('{"password": "hunter2"}', extra={"secret": "hunter2", "peer_token": b"hunter2"})
    logger.info("peer", extra={"peer": {"api_key": "hunter2", "deep": [{"password": "hunter2"}]}})
    try:
        raise ValueError("password=hunter2")
    except ValueError:
        logger.exception("failed")
    written = (tmp_path / "client1.jsonl").read_text() + capfd.readouterr().err
    assert "hunter2" not in written
    assert written.count("[redacted]") >= 16


def test_words_that_are_no_secrets_stay(log: Configure, tmp_path: Path) -> None:
    log("client1", tmp_path)
    logger.info(
        "wrong secret from 127.0.0.1:99 at 12:30", extra={"key": "cluster.nodes", "url": "http://a:1/b"}
    )
    (line,) = lines(tmp_path)
    assert line["event"] == "wrong secret from 127.0.0.1:99 at 12:30"
    assert (line["key"], line["url"]) == ("cluster.nodes", "http://a:1/b")


def test_text_of_strangers_cannot_reach_the_terminal(
    log: Configure, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log("client1", tmp_path, console=True)
    logger.info("name %s", "\x1b]0;owned\x07\nINFO fake line\x9b31m", extra={"peer": "\x1b[2J"})
    try:
        raise ValueError("\x1b[31m")
    except ValueError:
        logger.exception("failed")
    shown = capfd.readouterr().err
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", shown)
    assert "name \\x1b]0;owned\\x07\\x0aINFO fake line\\x9b31m peer=\\x1b[2J\n" in shown
    assert len(lines(tmp_path)) == 2


def test_a_line_has_a_bounded_length_and_is_valid_json(log: Configure, tmp_path: Path) -> None:
    log("client1", tmp_path)
    deep: list[Any] = []
    for _ in range(2000):
        deep = [deep]
    fields = {
        "text": "x" * 100_000,
        "list": list(range(100_000)),
        "deep": deep,
        "nan": float("nan"),
        "octets": b"\xff" * 100_000,
        "object": object(),
        "path": Path("/a"),
        "many": {str(number): number for number in range(100_000)},
    }
    logger.info("y" * 100_000, extra=fields)
    (text,) = (tmp_path / "client1.jsonl").read_text().splitlines()
    assert len(text) < 10_000
    line = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert (line["nan"], line["path"], len(line["list"])) == ("nan", "/a", 64)


def test_a_field_cannot_pose_as_the_line_itself(log: Configure, tmp_path: Path) -> None:
    log("client1", tmp_path)
    logger.info("true", extra={"event": "false", "level": "error", "time": "never", "pid": 0})
    (line,) = lines(tmp_path)
    assert (line["event"], line["level"], line["pid"]) == ("true", "info", os.getpid())


# -- files -----------------------------------------------------------------------------------------


def test_files_are_rotated_by_size_and_few_are_kept(log: Configure, tmp_path: Path) -> None:
    log("client1", tmp_path, file_size=4096, files=3)
    for number in range(200):
        logger.info("event", extra={"number": number})
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["client1.jsonl", "client1.jsonl.1", "client1.jsonl.2"]
    assert all(path.stat().st_size <= 4096 for path in tmp_path.iterdir())
    kept = [line["number"] for name in reversed(names) for line in lines(tmp_path, name)]
    assert kept == list(range(kept[0], 200))


def test_a_restarted_process_goes_on_in_its_file(log: Configure, tmp_path: Path) -> None:
    log("client1", tmp_path).close()
    with configure("client1", tmp_path):
        logger.info("before")
    with configure("client1", tmp_path):
        logger.info("after")
    assert [line["event"] for line in lines(tmp_path)] == ["before", "after"]


def test_a_torn_line_costs_only_itself(log: Configure, tmp_path: Path) -> None:
    (tmp_path / "client1.jsonl").write_text('{"event": "whole"}\n{"event": "to')
    log("client1", tmp_path)
    logger.info("after")
    whole, torn, after = (tmp_path / "client1.jsonl").read_text().splitlines()
    assert torn == '{"event": "to'
    assert json.loads(whole)["event"] == "whole"
    assert json.loads(after)["event"] == "after"


def test_a_second_configuration_replaces_the_first(log: Configure, tmp_path: Path) -> None:
    log("client1", tmp_path / "first")
    log("client1", tmp_path / "second")
    logger.info("once")
    assert not (tmp_path / "first").exists()
    assert len(lines(tmp_path / "second")) == 1


def test_closing_leaves_logging_as_it_was(tmp_path: Path) -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    with configure("client1", tmp_path, "debug", console=True) as output:
        assert output.path == tmp_path / "client1.jsonl"
    assert (root.level, root.handlers) == before


# -- disks that fail -------------------------------------------------------------------------------


def test_a_full_disk_is_said_once_and_survived(
    log: Configure, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "client1.jsonl"
    path.symlink_to("/dev/full")
    log("client1", tmp_path)
    for _ in range(100):
        logger.info("lost")
    assert capfd.readouterr().err == (
        f"p2px: {path} cannot be written: No space left on device; records are lost until it can be\n"
    )
    path.unlink()
    logger.info("kept")
    assert capfd.readouterr().err == f"p2px: {path} is written again; 100 log records were lost\n"
    assert [line["event"] for line in lines(tmp_path)] == ["kept"]


def test_a_folder_that_cannot_be_made_is_said_once_and_survived(
    log: Configure, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "logs").write_text("a file where the folder should be")
    log("client1", tmp_path / "logs")
    for _ in range(10):
        logger.info("lost")
    assert capfd.readouterr().err.count("cannot be written: File exists") == 1
    (tmp_path / "logs").unlink()
    logger.info("kept")
    assert [line["event"] for line in lines(tmp_path / "logs")] == ["kept"]


def test_a_malformed_call_costs_its_record_and_is_named(
    log: Configure, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log("client1", tmp_path)
    ours = logging.getLogger().handlers[-1]  # pytest's own would raise
    ours.handle(logger.makeRecord("a", logging.INFO, __file__, 7, "%d orders", ("many",), None))
    logger.info("next")
    assert [line["event"] for line in lines(tmp_path)] == ["next"]
    assert re.match(
        r"p2px: a log record of .*test_logging\.py:7 cannot be written: TypeError", capfd.readouterr().err
    )


# -- the console -----------------------------------------------------------------------------------


def test_the_console_has_the_event_and_its_fields(log: Configure, capfd: pytest.CaptureFixture[str]) -> None:
    output = log("client1", None, console=True)
    assert output.path is None
    logger.warning("peer is slow", extra={"peer": "client2", "ms": 120})
    line = capfd.readouterr().err
    assert re.fullmatch(r"\S{23}Z WARNING client1: peer is slow peer=client2 ms=120\n", line)


@pytest.mark.parametrize(
    ("color", "environ", "colored"),
    [
        ("auto", {}, True),
        ("auto", {"NO_COLOR": "1"}, False),
        ("auto", {"NO_COLOR": ""}, True),
        ("never", {"FORCE_COLOR": "1"}, False),
        ("always", {"NO_COLOR": "1"}, True),
    ],
)
def test_a_terminal_is_colored_unless_told_otherwise(
    color: str, environ: dict[str, str], colored: bool
) -> None:
    shown = logged_on_a_terminal(color, environ)
    assert "client1: hello" in shown
    assert ("\x1b[" in shown) is colored


def test_a_pipe_is_never_colored_by_itself(log: Configure, capfd: pytest.CaptureFixture[str]) -> None:
    log("client1", None, console=True)
    logger.error("hello")
    assert "\x1b" not in capfd.readouterr().err


def logged_on_a_terminal(color: str, environ: dict[str, str]) -> str:
    script = (
        "import logging, sys; from p2pcli.logging import configure\n"
        "with configure('client1', None, console=True, color=sys.argv[1]): logging.error('hello')"
    )
    ours, theirs = pty.openpty()
    clean = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    try:
        command = [sys.executable, "-c", script, color]
        subprocess.run(command, stderr=theirs, env={**clean, **environ}, timeout=30, check=True)
        return os.read(ours, 4096).decode()
    finally:
        os.close(ours)
        os.close(theirs)
