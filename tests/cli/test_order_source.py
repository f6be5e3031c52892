"""Order files are read line by line, whatever the lines are like and however they arrive."""

import os
from io import FileIO
from pathlib import Path

import pytest

from p2pcli.cli.order_lines import MAX_LINE
from p2pcli.cli.order_source import READ_BYTES, lines


def read(data: bytes, tmp_path: Path) -> list[str]:
    path = tmp_path / "orders"
    path.write_bytes(data)
    counted: list[int] = []
    with FileIO(path) as stream:
        found = list(lines(stream, counted.append, lambda: pytest.fail("a file is not waited for")))
    assert sum(counted) == len(data)
    return found


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"a\nb", ["a\n", "b"]),
        (b"a\r\n\r\nb\n", ["a\r\n", "\r\n", "b\n"]),
        (b"a\rb\r", ["a\r", "b\r"]),
        ("é\n".encode() + b"\xff\n", ["é\n", "\ufffd\n"]),
    ],
)
def test_lines_end_as_editors_end_them(data: bytes, expected: list[str], tmp_path: Path) -> None:
    assert read(data, tmp_path) == expected


def test_a_line_may_lie_across_two_reads(tmp_path: Path) -> None:
    first = b"x" * (READ_BYTES - 1) + b"\r"
    assert read(first + b"\nab\n", tmp_path) == ["x" * (READ_BYTES - 1) + "\r\n", "ab\n"]


def test_a_line_that_is_too_long_is_cut_and_the_next_one_is_whole(tmp_path: Path) -> None:
    long, after = read(b"x" * (40 * MAX_LINE) + b"\nafter\n", tmp_path)
    assert MAX_LINE < len(long) < 10 * MAX_LINE
    assert after == "after\n"


def test_what_a_pipe_brought_is_handed_on_before_it_is_waited_for(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    seen: list[str] = []
    os.write(writing, b"a\nb\n")

    def before_waiting() -> None:
        seen.append("waits")
        if len(seen) > 1:  # everything so far was taken: now the writer ends
            os.write(writing, b"c\n")
            os.close(writing)

    with FileIO(reading) as stream:
        for line in lines(stream, lambda _: None, before_waiting):
            seen.append(line)
    assert seen == ["a\n", "b\n", "waits", "c\n"]
