"""The console examples of the documentation: found, run for real, compared, and written down anew.

    python tests/docs/examples.py README.md docs/tutorial.md

runs every ``console`` block of the pages and puts what it prints in the place of what stands there. A block
is what a terminal shows: a line that begins with ``$`` is a command (``>`` continues it), the others are
what it prints. All blocks of one page are one shell session, in a home and a folder of their own.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from p2pcli.cluster.down import down
from p2pcli.cluster.folder import clusters

ROOT = Path(__file__).parents[2]
HOME = "/home/you"  # what pages call the home of whoever reads them
COLUMNS = 80
SESSION_S = 100.0  # longest time for all commands of one page

_FENCE = re.compile(r"^```(\w*).*$")
_MARK = "=== end of a command ==="
# What differs from run to run, and what stands for it where two outputs are compared.
_VARIES = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "<time>"),
    (re.compile(r"\b\d\d:\d\d:\d\d(\.\d+)?\b"), "<time>"),
    (re.compile(r"127\.0\.0\.1:\d+( {2}127\.0\.0\.1:\d+)*"), "<address>"),
    (re.compile(r"\b[0-9a-f]{16,64}\b"), "<hex>"),
    (re.compile(r"\b(sequence\W{1,4})\d+"), r"\1<n>"),
    (re.compile(r"\b(pid\W{1,4})\d+"), r"\1<n>"),
    (re.compile(r"\b(entries )\d+ to \d+"), r"\1<n> to <n>"),
    (re.compile(r"\b(lines in )\d+\.\d+ s\b"), r"\1<duration>"),
    (re.compile(r"\b(up(?:time_s)?\W{1,4})\d+(\.\d+)?( ?(?:ms|s|m|h))?"), r"\1<duration>"),
)
_VARYING_COLUMNS = {"PID", "UPTIME", "SEQUENCE", "TIME", "DIGEST", "CHAIN"}
_HEADER = re.compile(r"[A-Z0-9 ]{3,}")


class Example(NamedTuple):
    """One command of a page and the lines that should follow it."""

    line: int  # where the command stands, from 1
    command: str
    output: list[str]


def examples(text: str) -> list[Example]:
    """Return every command in the ``console`` blocks of a page, in order."""
    found: list[Example] = []
    fence = ""
    for number, line in enumerate(text.splitlines(), 1):
        if mark := _FENCE.match(line):
            fence = "" if fence else mark[1] or "text"
        elif fence == "console" and line.startswith("$ "):
            found.append(Example(number, line[2:], []))
        elif fence == "console" and line.startswith("> "):
            found[-1] = found[-1]._replace(command=f"{found[-1].command}\n{line[2:]}")
        elif fence == "console":
            found[-1].output.append(line)
    return found


def run(commands: Sequence[str], folder: Path, settings: Mapping[str, str]) -> list[list[str]]:
    """Run commands in one shell in an empty home below ``folder``; return the lines that each printed.

    ``settings`` are P2PX_* variables. Clusters that are left running are taken down.
    """
    home, place = folder / "home", folder / "work"
    home.mkdir()
    place.mkdir()
    (place / "configs").symlink_to(ROOT / "configs")
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "COLUMNS": str(COLUMNS),
        **settings,
    }
    # The status of a command is handed to the next one, so that a page can show ``echo $?``.
    steps = (f'(exit $status)\n{command}\nstatus=$?\nprintf "\\n%s\\n" "{_MARK}"\n' for command in commands)
    try:
        ended = subprocess.run(
            ["bash", "-c", "exec 2>&1 </dev/null\nstatus=0\n" + "".join(steps)],
            cwd=place,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            timeout=SESSION_S,
            check=False,
        )
    finally:
        for cluster in clusters(home / ".local/state/p2px"):
            down(cluster, wipe=True)
    printed = ended.stdout.replace(str(place), f"{HOME}/work").replace(str(home), HOME)
    outputs = printed.split(f"\n{_MARK}\n")
    assert len(outputs) == len(commands) + 1, f"the session ended early:\n{printed}"
    return [output.splitlines() for output in outputs[:-1]]


def comparable(lines: Iterable[str]) -> list[str]:
    """Return lines without what differs from run to run: times, addresses, hashes, widths of columns."""
    varying: set[int] = set()
    kept = []
    for line in lines:
        for pattern, stands_for in _VARIES:
            line = pattern.sub(stands_for, line)
        cells = re.split(r" {2,}", line.strip())
        if len(cells) > 1 and all(_HEADER.fullmatch(cell) for cell in cells):
            varying = {place for place, cell in enumerate(cells) if cell in _VARYING_COLUMNS}
        elif varying and len(cells) > max(varying):
            cells = ["<n>" if place in varying else cell for place, cell in enumerate(cells)]
        else:
            varying = set()
        kept.append(" ".join(cells))
    while kept and not kept[-1]:
        kept.pop()
    return kept


def recorded(text: str, outputs: Sequence[Sequence[str]]) -> str:
    """Return the page with these outputs below its commands."""
    kept: list[str] = []
    fence = ""
    following = iter(outputs)
    pending: Sequence[str] = ()
    for line in text.splitlines():
        if mark := _FENCE.match(line):
            fence = "" if fence else mark[1] or "text"
            kept += pending
            pending = ()
        elif fence == "console" and line.startswith("$ "):
            kept += pending
            pending = [each.rstrip() for each in next(following)]
        elif fence == "console" and not line.startswith("> "):
            continue
        kept.append(line)
    return "\n".join(kept) + "\n"


def _record(page: Path) -> None:
    text = page.read_text()
    shown = examples(text)
    with tempfile.TemporaryDirectory(prefix="p2px-docs-") as folder:
        printed = run([example.command for example in shown], Path(folder), {})
    # What only varies stays as it is, so that a page changes where something did.
    outputs = [
        example.output if comparable(example.output) == comparable(lines) else lines
        for example, lines in zip(shown, printed, strict=True)
    ]
    page.write_text(recorded(text, outputs))


if __name__ == "__main__":
    for name in sys.argv[1:]:
        _record(Path(name))
