"""The tables of the documentation that are made from the code: errors, and what travels on the wire.

    python tests/docs/tables.py

writes them anew into their pages, each between ``<!-- table: NAME -->`` and ``<!-- end of table -->``.
"""

import importlib
import inspect
import pkgutil
import re
import typing
from collections.abc import Callable, Iterable, Iterator
from enum import IntEnum
from pathlib import Path
from types import UnionType

import msgspec

import p2pcli
from p2pcli.errors import BadInput, Conflict, NotFound, NotRunning, P2pxError, TimedOut
from p2pcli.log.entry import Entry
from p2pcli.market import views
from p2pcli.market.commands import Command
from p2pcli.market.events import Outcome
from p2pcli.node.body import Body
from p2pcli.node.requests import Greeting, Reply, Request
from p2pcli.node.snapshots import SnapshotPiece
from p2pcli.rpc import auth

ROOT = Path(__file__).parents[2]
PAGES = ("docs/errors.md", "docs/wire.md")

_FIELD = re.compile(r"    (\w+): (.+?)(?: = (.+?))?(?:  # (.*))?$")
_MEMBER = re.compile(r"    ([A-Z_]+) = (\d+)(?:  # (.*))?$")
_REGION = re.compile(r"(<!-- table: (\w+) -->\n).*?(\n<!-- end of table -->)", re.DOTALL)

Struct = type[msgspec.Struct]


# -- errors -------------------------------------------------------------------------------------------


def all_errors() -> list[type[P2pxError]]:
    """Return every error p2px defines, with all of its modules imported."""
    for module in pkgutil.walk_packages(p2pcli.__path__, "p2pcli."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found: set[type[P2pxError]] = set()
    rest = [P2pxError]
    while rest:
        kind = rest.pop()
        found.add(kind)
        rest += kind.__subclasses__()
    return sorted(
        (kind for kind in found if kind.__module__.startswith("p2pcli.")),
        key=lambda kind: (kind.code, kind.__module__, kind.__name__),
    )


def error_table(kind: type[P2pxError]) -> str:
    """Return the table of one kind of error: itself and what has its exit code."""
    rows = ["| code | error | raised in | meaning |", "| --- | --- | --- | --- |"]
    for error in all_errors():
        if error.exit_code == kind.exit_code:
            place = error.__module__.removeprefix("p2pcli.")
            rows.append(f"| `{error.code}` | {error.__name__} | {place} | {first_paragraph(error)} |")
    return "\n".join(rows)


# -- messages -----------------------------------------------------------------------------------------


def message_table(structs: Iterable[Struct]) -> str:
    """Return one table of several messages: a row for each, and one for each of its fields."""
    rows = ["| message | tag | field | type | default | meaning |", "| --- | --- | --- | --- | --- | --- |"]
    for struct in structs:
        tag = struct.__struct_config__.tag
        shown = "" if tag is None else f"`{tag}`" if isinstance(tag, int) else f'`"{tag}"`'
        rows.append(f"| **{struct.__name__}** | {shown} | | | | {first_paragraph(struct)} |")
        for name, kind, default, comment in fields(struct):
            value = f"`{default}`" if default else ""
            rows.append(f"| | | `{name}` | {_cell(f'`{kind}`')} | {value} | {_cell(comment)} |")
    return "\n".join(rows)


def fields(struct: Struct) -> list[tuple[str, str, str, str]]:
    """Return name, type, default and comment of each field, as the source has them."""
    found = []
    for line in inspect.getsource(struct).splitlines():
        match = _FIELD.match(line)
        if match and match[1] in struct.__struct_fields__:
            found.append((match[1], match[2].strip('"'), match[3] or "", match[4] or ""))
    assert [name for name, *_ in found] == list(struct.__struct_fields__), struct
    return found


def enum_table(enums: Iterable[type[IntEnum]]) -> str:
    """Return one table of the numbers that stand for words."""
    rows = ["| type | number | word | meaning |", "| --- | --- | --- | --- |"]
    for enum in enums:
        rows.append(f"| **{enum.__name__}** | | | {first_paragraph(enum)} |")
        members = [match for line in inspect.getsource(enum).splitlines() if (match := _MEMBER.match(line))]
        assert [match[1] for match in members] == [member.name for member in enum], enum
        rows += [f"| | {match[2]} | `{match[1]}` | {_cell(match[3] or '')} |" for match in members]
    return "\n".join(rows)


def union(kinds: UnionType) -> tuple[Struct, ...]:
    """Return the messages that a union is made of, by tag."""
    members: tuple[Struct, ...] = typing.get_args(kinds)
    return tuple(sorted(members, key=lambda member: str(member.__struct_config__.tag).zfill(3)))


HANDSHAKE = (
    auth.Hello,
    auth.AskAuthority,
    auth.Authority,
    auth.Challenge,
    auth.Proof,
    auth.Welcome,
    auth.Away,
    Greeting,
)
VIEWS = (
    views.BookView,
    views.OrderView,
    views.TradeView,
    views.DayView,
    views.NodeStatus,
    SnapshotPiece,
)


def parts(roots: Iterable[Struct]) -> tuple[list[Struct], list[type[IntEnum]]]:
    """Return every struct and enum in the fields of ``roots``, at any depth, without the roots."""
    structs: list[Struct] = []
    enums: list[type[IntEnum]] = []
    roots = list(roots)
    rest = list(roots)
    while rest:
        for kind in _kinds(typing.get_type_hints(rest.pop(0)).values()):
            if isinstance(kind, type) and issubclass(kind, IntEnum) and kind not in enums:
                enums.append(kind)
            elif isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind not in structs:
                structs.append(kind)
                rest.append(kind)
    return [struct for struct in structs if struct not in roots], enums


def _kinds(hints: Iterable[object]) -> Iterator[object]:
    for hint in hints:
        yield hint
        yield from _kinds(typing.get_args(hint))


def first_paragraph(thing: type) -> str:
    """Return the first paragraph of a docstring as one line of Markdown."""
    text = inspect.getdoc(thing) or ""
    return _cell(" ".join(text.partition("\n\n")[0].split()).replace("``", "`"))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


# -- pages --------------------------------------------------------------------------------------------

_COMMANDS, _OUTCOMES, _REQUESTS, _REPLIES = union(Command), union(Outcome), union(Request), union(Reply)
_TOP: list[Struct] = [*HANDSHAKE, *_REQUESTS, *_REPLIES, *_COMMANDS, *_OUTCOMES, *VIEWS, Entry, Body]
_PARTS, _ENUMS = parts(_TOP)

TABLES: dict[str, Callable[[], str]] = {
    "failed": lambda: error_table(P2pxError),
    "bad_input": lambda: error_table(BadInput),
    "not_running": lambda: error_table(NotRunning),
    "not_found": lambda: error_table(NotFound),
    "timed_out": lambda: error_table(TimedOut),
    "conflict": lambda: error_table(Conflict),
    "handshake": lambda: message_table(HANDSHAKE),
    "requests": lambda: message_table(_REQUESTS),
    "replies": lambda: message_table(_REPLIES),
    "commands": lambda: message_table(_COMMANDS),
    "outcomes": lambda: message_table(_OUTCOMES),
    "views": lambda: message_table(VIEWS),
    "log": lambda: message_table((Entry, Body)),
    "parts": lambda: message_table(_PARTS),
    "numbers": lambda: enum_table(_ENUMS),
}


def current(text: str) -> str:
    """Return a page with all of its tables as the code has them now."""
    return _REGION.sub(lambda match: f"{match[1]}\n{TABLES[match[2]]()}\n{match[3]}", text)


if __name__ == "__main__":
    for page in PAGES:
        path = ROOT / page
        path.write_text(current(path.read_text()))
