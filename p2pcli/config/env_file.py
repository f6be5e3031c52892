"""A ``.env`` file as named texts with line numbers. Bytes in, texts out; python-dotenv lives here.

Its parser is used without its expansion: ``${NAME}`` would mix in variables of whoever runs p2px.
"""

import io
import re

from dotenv.parser import parse_stream

from p2pcli.config.tree import BadConfigFile, Text

_EXPANSION = re.compile(r"\$\{")


def parse(data: bytes, name: str, prefix: str) -> dict[str, Text]:
    """Return the variables whose names start with ``prefix``; the others belong to other programs.

    Raises ``BadConfigFile`` for a line that is not ``NAME=value``, whoever it belongs to, and for a
    variable of ours without value, given twice, or with an expansion.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadConfigFile(
            f"{name} line {line}: expected UTF-8, found byte 0x{data[error.start]:02x}",
            hint="save the file as UTF-8",
        ) from None
    texts: dict[str, Text] = {}
    for binding in parse_stream(io.StringIO(text)):
        original = binding.original
        # A statement's original begins with the blank lines before it.
        blank = len(original.string) - len(original.string.lstrip())
        line = original.line + original.string.count("\n", 0, blank)
        if binding.error:
            raise _bad_line(f"{name} line {line}", original.string.strip())
        if binding.key is None or not binding.key.startswith(prefix):
            continue
        if binding.value is None:
            raise BadConfigFile(f"{name} line {line}: {binding.key} has no value", hint=f"{binding.key}=...")
        if _EXPANSION.search(binding.value):
            raise BadConfigFile(
                f"{name} line {line}: {binding.key} uses ${{...}}, which p2px does not expand",
                hint="write out what it stands for",
            )
        if binding.key in texts:
            raise BadConfigFile(
                f"{name} line {line}: {binding.key} is there twice, first on line {texts[binding.key].line}",
                hint="keep one of them",
            )
        texts[binding.key] = Text(binding.value, line)
    return texts


def _bad_line(where: str, statement: str) -> BadConfigFile:
    # The name only: what follows the sign may be somebody's password.
    start, sign, value = statement.partition("\n")[0].partition("=")
    if sign and value.strip()[:1] in ("'", '"'):
        return BadConfigFile(
            f"{where}: the quotes of {start.strip()[:40]!a} do not go around the whole value",
            hint="write it like NAME='some value'",
        )
    return BadConfigFile(f"{where}: expected NAME=value, found {start[:40]!a}", hint="begin a comment with #")
