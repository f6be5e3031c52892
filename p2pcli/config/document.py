"""A YAML file as a tree of texts with line numbers. Bytes in, ``Table`` out; the yaml module lives here.

Only PyYAML's events are used: nothing is constructed, resolved or guessed, so no tag can name a Python
object and no scalar changes its text. Refused besides bad syntax: anchors, aliases and tags (a few lines
of aliases can stand for gigabytes), a key twice, a second document, anything but a mapping on top, more
than ``MAX_DEPTH`` levels, and any encoding but UTF-8.
"""

import re
from collections.abc import Iterator
from typing import Any, NoReturn

import yaml

from p2pcli.config.tree import BadConfigFile, Sequence, Table, Text, Tree
from p2pcli.config.values import shown

MAX_DEPTH = 8  # p2px.yaml needs four: the document, markets, one market, its fields

_BYTE_ORDER_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\x00\x00\xfe\xff": "UTF-32"}
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_EXAMPLE = "write it like cluster: {nodes: 3}"
_SAVE = "save the file as UTF-8"
_NOTHING = ("", "~", "null")  # plain scalars that say "no value"
# Measured on 1 MiB of short settings: libyaml 0.45 s, the Python scanner 4.7 s; both are safe.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse(data: bytes, name: str) -> Table:
    """Return the mapping a file holds; an empty one for a file of comments. Raises ``BadConfigFile``."""
    text = _decoded(data, name)
    try:
        return _Reader(name, yaml.parse(text, Loader=_LOADER)).document()
    except yaml.YAMLError as error:
        raise _syntax_error(name, text, error) from None


class _Reader:
    """Builds the tree from the parser's events, refusing what a configuration has no use for."""

    def __init__(self, name: str, events: Iterator[yaml.Event]) -> None:
        self._name = name
        self._events = events

    def document(self) -> Table:
        next(self._events)  # the stream starts
        event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            return Table({}, {})
        top = self._tree(next(self._events), 1)
        next(self._events)  # the document ends
        event = next(self._events)
        if not isinstance(event, yaml.StreamEndEvent):
            self._refuse(event, "a second document starts here; p2px reads one per file", "keep one of them")
        match top:
            case Table():
                return top
            case Text(""):
                return Table({}, {})
            case _:
                raise BadConfigFile(
                    f"{self._name} line {top.line}: expected a mapping of settings, "
                    f"found {'a list' if isinstance(top, Sequence) else shown(top.text)}",
                    hint=_EXAMPLE,
                )

    def _tree(self, event: yaml.Event, depth: int) -> Tree:
        if isinstance(event, yaml.AliasEvent):
            self._refuse(event, f"an alias (*{str(event.anchor)[:30]}) is not allowed", "write it out")
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        if anchor is not None:
            self._refuse(event, f"an anchor (&{anchor[:30]}) is not allowed", "write it out")
        if tag is not None:
            self._refuse(event, f"the tag {shown(tag)} is not allowed", "leave it out")
        if depth > MAX_DEPTH:
            self._refuse(event, f"nested more than {MAX_DEPTH} deep", _EXAMPLE)
        if isinstance(event, yaml.ScalarEvent):
            plain = event.implicit[0]  # no quotes, so that ~ and null are not words
            return Text("" if plain and event.value in _NOTHING else event.value, _line(event))
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(event, depth)
        assert isinstance(event, yaml.MappingStartEvent), event
        return self._table(event, depth)

    def _sequence(self, start: yaml.Event, depth: int) -> Sequence:
        items = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._tree(event, depth + 1))
        return Sequence(tuple(items), _line(start))

    def _table(self, start: yaml.Event, depth: int) -> Table:
        entries: dict[str, Tree] = {}
        lines: dict[str, int] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._tree(event, depth + 1)
            if not isinstance(key, Text):
                self._refuse(
                    event, "expected the name of a setting, found a list or mapping as key", _EXAMPLE
                )
            if key.text in entries:
                self._refuse(
                    event,
                    f"{shown(key.text)} is there twice, first on line {lines[key.text]}",
                    "keep one of them",
                )
            entries[key.text] = self._tree(next(self._events), depth + 1)
            lines[key.text] = _line(event)
        return Table(entries, lines, _line(start))

    def _refuse(self, event: yaml.Event, what: str, hint: str | None = None) -> NoReturn:
        raise BadConfigFile(f"{self._name} line {_line(event)}: {what}", hint=hint)


def _decoded(data: bytes, name: str) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if data.startswith(mark):
            raise BadConfigFile(f"{name}: expected UTF-8, found {encoding}", hint=_SAVE)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadConfigFile(
            f"{name} line {line}: expected UTF-8, found byte 0x{data[error.start]:02x}", hint=_SAVE
        ) from None
    if found := _UNPRINTABLE.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise BadConfigFile(
            f"{name} line {line}: the character U+{ord(found[0]):04X} is not allowed", hint="leave it out"
        )
    return text


def _syntax_error(name: str, text: str, error: yaml.YAMLError) -> BadConfigFile:
    if not isinstance(error, yaml.MarkedYAMLError) or not error.problem_mark:
        return BadConfigFile(f"{name}: not YAML: {shown(str(error))}", hint=_EXAMPLE)
    number = error.problem_mark.line
    lines = text.splitlines()
    content = lines[number] if number < len(lines) else ""
    if "\t" in content[: len(content) - len(content.lstrip())]:
        return BadConfigFile(f"{name} line {number + 1}: a tab in the indentation", hint="indent with spaces")
    if "maximum nesting depth" in str(error.problem):  # newer libyaml's own limit, far above ours
        return BadConfigFile(f"{name} line {number + 1}: nested more than {MAX_DEPTH} deep", hint=_EXAMPLE)
    return BadConfigFile(f"{name} line {number + 1}: not YAML: {error.problem}", hint=_EXAMPLE)


def _line(event: yaml.Event) -> int:
    assert event.start_mark is not None  # the stubs think of events made by hand
    return event.start_mark.line + 1
