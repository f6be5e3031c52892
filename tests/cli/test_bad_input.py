"""Whatever somebody types wrong, p2px says what is wrong and what to do: bad_input.txt, block by block.

A failure shows the block as it reads now, to be put into the table when the words changed on purpose.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .bad_input import ALONE, TABLE, Case, cases, prepared, tidied, typed, written

CASES = list(cases(TABLE.read_text(encoding="utf-8")))
AS_A_PROCESS = 40  # every such block is also run by a process of its own


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "work").mkdir()
    before = Path.cwd()
    os.chdir(tmp_path / "work")
    yield tmp_path / "work"
    os.chdir(before)


def named(case: Case) -> str:
    return f"line {case.line}"


def is_plain(case: Case) -> bool:
    """Whether the block is an error in text, and nothing else: no import with a result for every line."""
    return case.where == ALONE and "json" not in case.command and case.said[0].startswith("error: ")


@pytest.mark.parametrize("case", [case for case in CASES if case.where == ALONE], ids=named)
def test_a_mistake_is_named_before_anything_is_looked_for(folder, case):
    words, environ, piped = prepared(case, folder, folder / "home")
    said = tidied(*typed(words, environ, piped), folder)
    assert said == case.said, written(case, said)
    assert {path.name for path in folder.iterdir()} <= {name.partition("/")[0] for name, _, _ in case.files}


@pytest.mark.parametrize("case", [case for case in CASES if is_plain(case)], ids=named)
def test_a_program_is_told_the_same_as_people(folder, case):
    words, environ, piped = prepared(case, folder, folder / "home")
    code, out = typed(["-o", "json", *words], environ, piped)
    document = json.loads(out.replace(str(folder), "."))
    assert document.keys() == {"error"}
    assert document["error"].keys() == {"code", "message", "hint"}
    hint = document["error"]["hint"]
    lines = (f"error: {document['error']['message']}", *([f"hint: {hint}"] if hint else []), f"exit {code}")
    assert lines == case.said


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if case.where != ALONE], ids=named)
def test_a_mistake_is_named_by_what_the_cluster_has(folder, p2px, case):
    words, environ, piped = prepared(case, folder, p2px.home)
    said = tidied(*typed(words, environ, piped), folder)
    assert said == case.said, written(case, said)
    client = p2px.client()
    assert not any(client.orders(symbol, closed=False) for symbol in client.instruments)


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if case.where == ALONE][::AS_A_PROCESS], ids=named)
def test_a_process_says_the_same(folder, case):
    words, environ, piped = prepared(case, folder, folder / "home")
    done = subprocess.run(
        [sys.executable, "-m", "p2pcli.cli.main", *words],
        input=piped,
        capture_output=True,
        env={**os.environ, **environ},
        check=False,
    )
    said = tidied(done.returncode, (done.stdout + done.stderr).decode(), folder)
    assert said == case.said, written(case, said)


def test_the_table_is_long_and_each_block_is_there_once():
    typed_in = [(case.where, case.command, case.files) for case in CASES]
    assert len(typed_in) >= 150
    assert len(set(typed_in)) == len(typed_in)


def test_every_failure_is_one_line_with_at_most_one_hint_and_never_a_traceback():
    for case in CASES:
        *lines, code = case.said
        assert code in {f"exit {number}" for number in range(1, 7)}, case
        assert not any("Traceback" in line or "has a bug" in line for line in lines), case
        errors = [line for line in lines if line.startswith("error: ")]
        if not any("json" in word for word in case.command.split()):
            assert len(errors) == 1, case
        assert sum(line.startswith("hint: ") for line in lines) <= 1, case
        assert all(re.sub("[«»]", "", line).isprintable() for line in lines), case
