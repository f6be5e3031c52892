"""Last lines, lines as they come, and last words."""

import json
import os
from pathlib import Path

import pytest

from p2pcli.cluster.folder import ClusterFolder
from p2pcli.cluster.logs import all_lines, follow, last_lines, last_words, log_files, readable
from p2pcli.cluster.plan import ClusterPlan, MemberSlot, NodeSlot
from p2pcli.cluster.report import NoSuchChild

RECORD = {
    "time": "2026-01-02T03:04:05.678901Z",
    "level": "error",
    "pid": 41,
    "event": "fell over",
    "order": 7,
}


def write(path: Path, *lines: str) -> None:
    with path.open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


@pytest.mark.parametrize("length", [1, 100, 60_000])
@pytest.mark.parametrize("count", [0, 1, 3, 100])
def test_the_last_lines_are_the_last_ones_whatever_their_length(
    tmp_path: Path, length: int, count: int
) -> None:
    lines = [str(number) * length for number in range(10)]
    write(tmp_path / "log", *lines)
    assert last_lines(tmp_path / "log", count) == (lines[-count:] if count else [])


def test_a_line_that_is_being_written_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("whole\nhal")
    assert last_lines(tmp_path / "log") == ["whole"]


def test_no_file_has_no_lines(tmp_path: Path) -> None:
    assert last_lines(tmp_path / "log") == []


def test_bytes_that_are_no_text_are_shown_as_such(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"\xff\n")
    assert last_lines(tmp_path / "log") == ["\N{REPLACEMENT CHARACTER}"]


def test_following_shows_what_is_written_from_now_on_through_a_rotation(tmp_path: Path) -> None:
    log = tmp_path / "client1.jsonl"
    write(log, "old")
    lines = follow({"client1": log}, poll_s=0.001)
    write(log, "new")
    assert next(lines) == ("client1", "new")
    os.replace(log, tmp_path / "client1.jsonl.1")
    write(log, "newer")
    assert next(lines) == ("client1", "newer")


def test_following_may_begin_with_lines_that_are_there(tmp_path: Path) -> None:
    log = tmp_path / "client1.jsonl"
    write(log, "oldest", "old")
    lines = follow({"client1": log}, count=1, poll_s=0.001)
    write(log, "new")
    assert [next(lines), next(lines)] == [("client1", "old"), ("client1", "new")]


def test_a_line_written_in_two_pieces_is_one_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    lines = follow({"x": log}, poll_s=0.001)
    with log.open("w") as file:
        file.write("one ")
        file.flush()
        file.write("line\n")
    assert next(lines) == ("x", "one line")


def test_a_record_is_readable() -> None:
    assert readable(json.dumps(RECORD)) == "03:04:05 error fell over"
    trace = RECORD | {"traceback": "Traceback ...\nValueError: bad\n"}
    assert readable(json.dumps(trace)) == "03:04:05 error fell over (ValueError: bad)"
    assert readable("Fatal Python error") == "Fatal Python error"


def test_last_words_are_those_of_one_process(tmp_path: Path) -> None:
    for pid in (40, 41):
        write(tmp_path / "client1.jsonl", json.dumps(RECORD | {"pid": pid, "event": f"event of {pid}"}))
    write(tmp_path / "client1.out", "printed by 40")
    output_from = (tmp_path / "client1.out").stat().st_size
    write(tmp_path / "client1.out", "printed by 41")
    assert last_words(tmp_path, "client1", 41, output_from) == ("03:04:05 error event of 41", "printed by 41")


def test_log_files_are_found_by_name(tmp_path: Path) -> None:
    folder = ClusterFolder(tmp_path, "default")
    folder.prepare()
    folder.keep_plan(
        ClusterPlan(name="default", nodes=(NodeSlot("client1"),), members=(MemberSlot("r1"),), markets=())
    )
    assert list(log_files(folder)) == ["client1", "r1", "supervisor"]
    assert log_files(folder, ("client1",)) == {"client1": folder.logs / "client1.jsonl"}
    with pytest.raises(NoSuchChild, match="client9"):
        log_files(folder, ("client9",))


def test_all_lines_begin_with_the_oldest_rotated_file(tmp_path: Path) -> None:
    log = tmp_path / "client1.jsonl"
    write(log, "4", "5")
    write(tmp_path / "client1.jsonl.1", "3")
    write(tmp_path / "client1.jsonl.10", "1")
    write(tmp_path / "client1.jsonl.2", "2")
    write(tmp_path / "client1.jsonl.bak", "not a log")
    with log.open("a") as file:
        file.write("being writ")
    assert list(all_lines(log)) == ["1", "2", "3", "4", "5"]


def test_of_no_file_there_are_no_lines_at_all(tmp_path: Path) -> None:
    assert list(all_lines(tmp_path / "log")) == []
