"""Any Python book can be measured beside ours, and its trades are judged first."""

import sys
from pathlib import Path

import msgspec
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))  # as for a script there

from book import Verdict, judge  # noqa: E402
from book_engines import ENGINES, stretches, tape  # noqa: E402
from order_flows import Flow, Operation, Tape  # noqa: E402

FLOW = Flow(
    "small",
    [
        Operation(1, 0, 100, 5),
        Operation(2, 0, 100, 5),
        Operation(3, 1, 101, 4),
        Operation(1, 0, 0, 0),
        Operation(4, 1, 99, 7),
        Operation(5, 0, 101, 3),
    ],
)
NOTHING = """
def engine():
    return list, list
def trades(operations):
    return iter(())
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "small"
    path.write_bytes(msgspec.msgpack.encode(FLOW))
    return path


def test_all_engines_make_the_same_trades(path):
    expected = tape(str(BENCHMARKS / "peer_book.py"), path)
    assert (expected.trades, expected.volume) == (3, 5 + 2 + 1)
    assert {name: tape(name, path) for name in ENGINES} == dict.fromkeys(ENGINES, expected)


def test_book_of_a_file_is_measured_as_ours_is(path):
    (seconds,) = stretches(str(BENCHMARKS / "peer_book.py"), path)
    assert seconds > 0


def test_it_is_said_when_the_book_of_a_file_trades_otherwise(path, tmp_path):
    other = tmp_path / "other.py"
    other.write_text(NOTHING)
    verdict = judge(str(other), path, Tape(3, 8, 1))
    assert verdict == Verdict("  OTHER TRADES: 0 of 0 lots, not 8")


def test_it_is_said_when_the_book_of_a_file_does_not_get_to_the_end(path, tmp_path):
    other = tmp_path / "other.py"
    other.write_text(NOTHING.replace("iter(())", "operations[0].sides"))
    verdict = judge(str(other), path, Tape(3, 8, 1))
    assert not verdict.ends
    assert verdict.remark.startswith("does not get to the end: AttributeError: ")
    assert not judge(str(tmp_path / "missing.py"), path, Tape(3, 8, 1)).ends


def test_one_of_ours_that_trades_otherwise_ends_the_benchmark(path):
    with pytest.raises(SystemExit, match="error: book made other trades of small"):
        judge("book", path, Tape(3, 8, 1))
