"""What lines of order files were answered: found again by whoever opens the file next."""

import sqlite3
import stat
from pathlib import Path

import pytest

from p2pcli.cluster import answered
from p2pcli.cluster.answered import AnsweredLines, LineAnswer, Newest, NotNoted
from p2pcli.market.events import Placed, Reason, Refused, Status

PLACED = LineAnswer(7, Placed(3, Status.FILLED, 5, 0))
REFUSED = LineAnswer(8, Refused(Reason.HALTED, 4))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "default" / "answered.sqlite"


def note(path: Path, *rows: tuple[bytes, LineAnswer], newest: Newest | None = None) -> None:
    lines = AnsweredLines(path)
    lines.add(rows, newest)
    lines.close()


def found(path: Path, *keys: bytes) -> dict[bytes, LineAnswer]:
    lines = AnsweredLines(path)
    try:
        return lines.find(keys)
    finally:
        lines.close()


def test_nothing_is_written_before_there_is_something_to_note(path: Path) -> None:
    lines = AnsweredLines(path)
    assert (lines.find([]), lines.newest()) == ({}, [])
    lines.add([], None)
    assert not path.parent.exists()


def test_answers_are_found_by_the_next_import(path: Path) -> None:
    note(path, (b"a", PLACED), (b"b", REFUSED), newest=Newest("BTC/USD", 3, "c-3"))
    assert found(path, b"b", b"x", b"a") == {b"a": PLACED, b"b": REFUSED}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    lines = AnsweredLines(path)
    assert lines.newest() == [Newest("BTC/USD", 3, "c-3")]


def test_the_first_answer_stays(path: Path) -> None:
    note(path, (b"a", PLACED))
    note(path, (b"a", REFUSED))
    assert found(path, b"a") == {b"a": PLACED}


def test_what_is_forgotten_is_gone(path: Path) -> None:
    note(path, (b"a", PLACED), newest=Newest("BTC/USD", 3, "c-3"))
    lines = AnsweredLines(path)
    lines.forget()
    assert (lines.find([b"a"]), lines.newest()) == ({}, [])


def test_only_the_last_lines_are_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answered, "KEPT", 2)
    for key in (b"c", b"b", b"a"):
        note(path, (key, PLACED))
    assert set(found(path, b"a", b"b", b"c")) == {b"a", b"b"}


def test_a_kill_in_the_middle_of_noting_leaves_what_was_noted_before(path: Path) -> None:
    note(path, (b"a", PLACED))
    half = sqlite3.connect(path, isolation_level=None)
    half.execute("BEGIN IMMEDIATE")
    half.execute("INSERT INTO new (key, answer) VALUES (?, ?)", (b"b", b""))
    half.close()
    assert set(found(path, b"a", b"b")) == {b"a"}


@pytest.mark.parametrize("content", [b"no database", b"\0" * 4096])
def test_a_damaged_file_is_named_and_not_taken_for_an_empty_one(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(NotNoted, match=r"answered\.sqlite"):
        found(path, b"a")


def test_another_layout_is_refused(path: Path) -> None:
    note(path, (b"a", PLACED))
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version=9")
    with pytest.raises(NotNoted, match="layout 9, this p2px knows 1"):
        found(path, b"a")


def test_a_folder_that_takes_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "default").write_text("a file where a folder belongs")
    with pytest.raises(NotNoted, match=r"answered\.sqlite"):
        note(tmp_path / "default" / "answered.sqlite", (b"a", PLACED))
