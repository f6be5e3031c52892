"""The format of bad_input.txt: what somebody typed, in which surroundings, and everything p2px said to it.

    # a comment
    --- p2px.yaml
    cluster: {nodes: three}
    --- .env 0644
    P2PX_LOG_DURABLE=true
    $ P2PX_CLUSTER_HOST=:: p2px config show
    error: ...
    hint: ...
    exit 2

A block begins with the files of its folder, if any (a mode behind the name, ``stdin`` for what is piped in),
then the command, its output (stdout, then stderr) and its exit code. ``$`` runs where no cluster does, ``%``
where one of three nodes and two markets does. In files and words ``\\xNN`` is a byte, ``\\t`` a tab and
``«[*9»`` nine brackets; in the output ``.`` stands for the folder.
"""

import io
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from p2pcli.cli.main import main

TABLE = Path(__file__).with_name("bad_input.txt")
ALONE, IN_A_CLUSTER = "$", "%"

_FILE = re.compile(r"--- (\S+)(?: (0[0-7]{3}))?")
_ESCAPE = re.compile(rb"\\x([0-9a-f]{2})|\\t")
_TOOK = re.compile(r"\bin [0-9]+\.[0-9] s\b")
_REPEATED = re.compile("«(.+?)\\*([0-9]+)»")


@dataclass(frozen=True)
class Case:
    """One block of the table."""

    line: int  # of its command
    files: tuple[tuple[str, str, str], ...]  # name, mode, content
    where: str
    command: str
    said: tuple[str, ...]  # lines, the last one the exit code


def cases(text: str) -> Iterator[Case]:
    """Yield the blocks of a table."""
    files: list[tuple[str, str, list[str]]] = []
    command = where = ""
    said: list[str] = []
    begins = 0
    for number, line in enumerate(text.splitlines(), 1):
        if command:
            said.append(line)
            if re.fullmatch(r"exit [0-9]+", line):
                yield Case(
                    begins,
                    tuple((name, mode, "\n".join(content)) for name, mode, content in files),
                    where,
                    command,
                    tuple(said),
                )
                files, command, said = [], "", []
        elif found := _FILE.fullmatch(line):
            files.append((found[1], found[2] or "", []))
        elif line[:2] in (f"{ALONE} ", f"{IN_A_CLUSTER} "):
            where, command, begins = line[0], line[2:], number
        elif files:
            files[-1][2].append(line)
        else:
            assert not line or line.startswith("#"), f"line {number} of the table belongs to no block"
    assert not command, "the last block has no exit code"
    assert not files, "the last block has no command"


def written(case: Case, said: tuple[str, ...]) -> str:
    """Return the block as it stands in a table, with this output."""
    files = "".join(
        f"--- {name}{f' {mode}' if mode else ''}\n{content}\n" for name, mode, content in case.files
    )
    return f"{files}{case.where} {case.command}\n" + "\n".join(said) + "\n"


def prepared(case: Case, folder: Path, home: Path) -> tuple[list[str], dict[str, str], bytes]:
    """Write the block's files; return the words to type, the environment and what is piped in."""
    piped = b""
    for name, mode, content in case.files:
        data = meant(content)
        if name == "stdin":
            piped = data
            continue
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data + b"\n")
        if mode:
            path.chmod(int(mode, 8))
    words = [os.fsdecode(meant(word)) for word in shlex.split(case.command)]
    environ = {"HOME": str(folder), "P2PX_HOME": str(home), "PATH": os.environ["PATH"]}
    while "=" in words[0] and words[0].startswith(("P2PX", "NO_COLOR")):
        name, _, value = words.pop(0).partition("=")
        environ[name] = value
    assert words[0] == "p2px"
    return words[1:], environ, piped


def meant(text: str) -> bytes:
    """Return the bytes that the table's escapes stand for."""
    text = _REPEATED.sub(lambda found: found[1] * int(found[2]), text)
    return _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]) if found[1] else b"\t", os.fsencode(text))


def typed(words: list[str], environ: dict[str, str], piped: bytes) -> tuple[int, str]:
    """Run the program's own ``main`` in this process; return its exit code and all it wrote."""
    streams = sys.stdin, sys.stdout, sys.stderr
    before = dict(os.environ)
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    try:
        os.environ.clear()
        os.environ.update(environ)
        with tempfile.TemporaryFile() as pipe:
            pipe.write(piped)
            pipe.seek(0)
            sys.stdin, sys.stdout, sys.stderr = io.TextIOWrapper(pipe, "utf-8"), out, err
            code = main(words)
    finally:
        sys.stdin, sys.stdout, sys.stderr = streams
        os.environ.clear()
        os.environ.update(before)
    written = (stream.buffer.getvalue().decode() for stream in (out, err))  # type: ignore[attr-defined]
    return code, "".join(written)


def tidied(code: int, text: str, folder: Path) -> tuple[str, ...]:
    """Return output as the table has it."""
    text = _TOOK.sub("in 0.0 s", text.replace(str(folder), "."))
    return (*text.splitlines(), f"exit {code}")
