"""What README and the other pages show is what a real cluster prints."""

import shutil
import socket
from pathlib import Path

import pytest

from p2pcli.cluster.ports import free_port

from .examples import ROOT, comparable, examples, recorded, run

TOOLS = ("curl",)  # that a page may use and a machine may lack
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [page for page in PAGES if examples(page.read_text())], ids=lambda page: page.name
)
def test_every_console_example_prints_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    shown = examples(page.read_text())
    for tool in TOOLS:
        if shutil.which(tool) is None and any(tool in example.command.split() for example in shown):
            pytest.skip(f"{tool}, which {page.name} uses, is not installed")
    http = [str(free_port("127.0.0.1", socket.SOCK_STREAM)) for _ in range(2)]
    dht = [str(free_port("127.0.0.1", socket.SOCK_DGRAM)) for _ in range(2)]
    settings = {"P2PX_REGISTRY_HTTP_PORTS": ",".join(http), "P2PX_REGISTRY_DHT_PORTS": ",".join(dht)}
    printed = run([example.command for example in shown], tmp_path, settings)
    for example, lines in zip(shown, printed, strict=True):
        where = f"{page.name}:{example.line}: {example.command} (python tests/docs/examples.py {page.name})"
        assert comparable(lines) == comparable(example.output), where


def test_examples_are_commands_with_the_lines_below_them() -> None:
    text = "```console\n$ a \\\n> b\nx\n\ny\n$ c\n```\n$ no\n```sh\n$ neither\n```\n"
    assert [tuple(example) for example in examples(text)] == [(2, "a \\\nb", ["x", "", "y"]), (7, "c", [])]


def test_recording_puts_the_output_in_the_place_of_what_was_there() -> None:
    text = "a\n```console\n$ one\nold\n$ two\n```\nb\n```text\n$ kept\n```\n"
    anew = recorded(text, [["1"], ["2 ", ""]])
    assert anew == "a\n```console\n$ one\n1\n$ two\n2\n\n```\nb\n```text\n$ kept\n```\n"


def test_a_session_keeps_folder_and_status_between_commands(tmp_path: Path) -> None:
    commands = ["echo a; echo b >&2", "false", "echo $?", "cd .. && pwd", "echo ~ | cat"]
    assert run(commands, tmp_path, {}) == [["a", "b"], [], ["1"], [str(tmp_path)], ["/home/you"]]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("client1  at 127.0.0.1:4001", "client1    at 127.0.0.1:55555", True),
        (
            "agree at sequence 3  digest 254c68b46a5adee1",
            "agree at sequence 44  digest 0000000000000001",
            True,
        ),
        ('  "sequence": 3,', '  "sequence": 4,', True),
        ("2026-11-22T20:59:59.993Z  1", "2027-01-01T00:00:00.000Z  1", True),
        ("filled    0.5 @ 30000.00", "filled    0.6 @ 30000.00", False),
        ("30000.00         1       1", "30000.00         1       2", False),
        ("NAME   PID  STATE\na  7  running", "NAME   PID  STATE\na  1234  running", True),
        ("NAME   PID  STATE\na  7  running", "NAME   PID  STATE\na  7  stopped", False),
        ("NAME   PID  STATE\n\na  7", "NAME   PID  STATE\n\na  8", False),
    ],
)
def test_only_what_varies_is_passed_over(one: str, other: str, same: bool) -> None:
    assert (comparable(one.splitlines()) == comparable(other.splitlines())) is same
