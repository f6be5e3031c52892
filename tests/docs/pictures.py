"""The terminal pictures of README and docs: what the real program shows on a real terminal, as SVG.

    python tests/docs/pictures.py

(``make pictures``) starts a cluster, runs the commands of ``PICTURES`` on a pseudo-terminal and writes
docs/pictures/*.svg. Each picture carries its text as its description too: for readers who cannot see it, and
for the test that compares it with what the program shows today.
"""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Mapping
from html import escape, unescape
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from p2pcli.cluster.down import down
from p2pcli.cluster.folder import ClusterFolder

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "pictures"
COLUMNS, ROWS = 80, 24
DEADLINE_S = 60.0

# Fonts from elsewhere are left out: a picture should be shown without asking anybody.
_SVG = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
_DESCRIPTION = re.compile(r"<desc>(.*?)</desc>", re.DOTALL)
_TEXT = re.compile(r'<text class="[^"]*-r\d+" x="([\d.]+)" y="([\d.]+)"[^>]*>(.*?)</text>')


_INDENTED = re.compile(
    r'(<text class="[^"]*" x=")([\d.]+)(" y="[\d.]+" textLength=")([\d.]+)("[^>]*>)((?:&#160;)+)'
)
_CELL = 12.2  # width of a character in rich's drawing


class Picture(NamedTuple):
    """Commands whose output is shown, and those that come before, unseen."""

    name: str
    before: tuple[str, ...]
    commands: tuple[str, ...]


PICTURES = (
    Picture(
        "first-minute",
        (),
        (
            "p2px order sell 1.5@30000 --node client2",
            "p2px order buy 0.5@30000 --node client1",
            "p2px book show --node client2",
            "p2px trades tail",
        ),
    ),
    Picture(
        "depth",
        ("p2px client run client3 --seed 7 --count 60 --interval 1ms",),
        ("p2px book show --chart",),
    ),
    Picture("book", (), ("p2px book show --node client3 --depth 8",)),
    Picture("status", (), ("p2px cluster status",)),
)


def shown(folder: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """Return what each picture shows, with colours, from a cluster of its own below ``folder``."""
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "P2PX_HOME": str(folder / "home"),
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        **settings,
    }

    def run(command: str) -> str:
        text, code = on_a_terminal(command.split(), environment, folder)
        assert code == 0, f"{command} failed:\n{text}"
        return text

    try:
        run("p2px cluster up -n 3 --ephemeral")
        found = {}
        for picture in PICTURES:
            for command in picture.before:
                run(command)
            found[picture.name] = "".join(f"$ {command}\n{run(command)}" for command in picture.commands)
        return found
    finally:
        down(ClusterFolder(folder / "home", "default"), wipe=True)


def on_a_terminal(words: list[str], environment: Mapping[str, str], folder: Path) -> tuple[str, int]:
    """Run a command on a terminal of its own; return what it shows and its exit code."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    with subprocess.Popen(
        words, stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=folder
    ) as process:
        os.close(slave)
        data = b""
        try:
            while piece := os.read(master, 65536):
                data += piece
        except OSError:  # Linux: the last holder of the other side has closed it
            pass
        code = process.wait(DEADLINE_S)
    os.close(master)
    return data.decode().replace("\r\n", "\n"), code


def drawn(name: str, text: str) -> str:
    """Return a terminal's text as SVG."""
    width = max(COLUMNS, max(Text.from_ansi(line).cell_len for line in text.splitlines()))
    console = Console(record=True, width=width, file=StringIO(), force_terminal=True, highlight=False)
    console.print(Text.from_ansi(text.rstrip("\n")), soft_wrap=True)
    svg = console.export_svg(title="p2px", code_format=_SVG, unique_id=f"p2px-{name}")
    head, end, rest = _INDENTED.sub(_begun_at_its_text, svg).partition(">")
    described = escape(
        "\n".join(line.rstrip() for line in Text.from_ansi(text).plain.splitlines()), quote=False
    )
    return f"{head}{end}\n    <desc>{described}</desc>{rest}"


def _begun_at_its_text(found: re.Match[str]) -> str:
    """Move a piece of text behind its leading spaces, which not every viewer draws."""
    begin, x, between, length, end, spaces = found.groups()
    width = spaces.count(";") * _CELL
    return f"{begin}{float(x) + width:g}{between}{float(length) - width:g}{end}"


def description(svg: str) -> list[str]:
    """Return the lines that a picture says it shows."""
    found = _DESCRIPTION.search(svg)
    assert found is not None, "the picture has no description"
    return unescape(found[1]).splitlines()


def visible(svg: str) -> list[str]:
    """Return the characters that a picture draws, without spaces, line by line."""
    rows: dict[float, list[tuple[float, str]]] = {}
    for x, y, text in _TEXT.findall(svg):
        rows.setdefault(float(y), []).append((float(x), unescape(text)))
    lines = ("".join(text for _, text in sorted(row)) for _, row in sorted(rows.items()))
    return ["".join(line.split()) for line in lines]


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        for name, text in shown(Path(place), {}).items():
            (FOLDER / f"{name}.svg").write_text(drawn(name, text) + "\n")
