"""What one source says, checked against what settings there are. Pure.

A complaint is one line: where (source and line, or the variable), which setting, expected, found.
"""

import os.path
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from p2pcli.config.settings import (
    HOME,
    KEY,
    MARKETS,
    SECTIONS,
    Setting,
    all_settings,
    environment_name,
    section_settings,
)
from p2pcli.config.tree import Sequence, Table, Text, Tree, described
from p2pcli.config.values import FILE, FOLDER, HOSTING, BadValue, ListOf, shown
from p2pcli.errors import BadInput


class BadSetting(BadInput):
    """A setting whose value is not what it should be."""

    code = "bad_setting"


class UnknownSetting(BadSetting):
    """A name that is no setting."""

    code = "unknown_setting"


FLAG = "flag"


class Layer(msgspec.Struct, frozen=True):
    """The settings one source gives, by full key."""

    source: str  # FLAG, "environment", "default" or the path of a file
    values: dict[str, Tree]
    folder: Path  # where relative paths start
    user_home: Path  # what ~ stands for
    variables: bool = False  # whether it names settings by their environment variables
    typed: Mapping[str, str] = {}  # of a command line, by setting: ``option --name``

    def place(self, key: str, line: int = 0) -> str:
        """Return where a value stands: ``environment P2PX_LOG_URL``, ``/path/p2px.yaml line 12``."""
        if line:
            return f"{self.source} line {line}"
        return f"{self.source} {environment_name(_variable_of(key))}" if self.variables else self.source

    def origin(self, key: str) -> str:
        """Return the place of a setting that this layer gives."""
        return self.place(key, self.values[key].line)

    def about(self, key: str, line: int = 0) -> str:
        """Return how a message about a value begins: where it stands, and which it is."""
        return self.typed.get(_variable_of(key)) or f"{self.place(key, line)}: {key}"

    def value(self, key: str, setting: Setting) -> Any:
        """Return the value this layer gives a setting. Raises ``BadSetting``."""
        return self.read(key, setting, self.values[key])

    def read(self, key: str, setting: Setting, tree: Tree) -> Any:
        """Return what ``tree`` says as a value of ``setting``. Raises ``BadSetting``."""
        kind = setting.kind
        if isinstance(kind, ListOf):
            return self._list(key, setting, kind, tree)
        if not isinstance(tree, Text):
            self.refuse(key, tree, setting, f"expected {kind.expected}, found {described(tree)}")
        try:
            value = kind.read(tree.text)
        except BadValue as error:
            self.refuse(key, tree, setting, error.message)
        return self._folder(value) if kind in (FILE, FOLDER) else value

    def refuse(self, key: str, tree: Tree, setting: Setting, what: str) -> NoReturn:
        """Raise ``BadSetting`` about the value at ``tree``."""
        typed = self.typed.get(_variable_of(key))
        if not setting.default:
            hint = f"or leave {typed.split()[-1]} out" if typed else f"or leave {key} empty"
        elif self.variables:
            hint = f"for example {environment_name(_variable_of(key))}={setting.default}"
        elif self.source == FLAG:
            hint = f"for example {setting.default}"
        else:
            hint = f"for example {key}: {setting.default}"
        raise BadSetting(f"{self.about(key, tree.line)}: {what}", hint=hint)

    def _list(self, key: str, setting: Setting, kind: ListOf[Any], tree: Tree) -> tuple[Any, ...]:
        if isinstance(tree, Text) and not tree.text:
            return ()
        if not isinstance(tree, Sequence):
            self.refuse(key, tree, setting, f"expected {kind.expected}, found {described(tree)}")
        if len(tree.items) > kind.limit:
            self.refuse(key, tree, setting, f"expected {kind.expected}, found {len(tree.items)}")
        item = Setting(kind.item, setting.default, setting.comment)
        return tuple(self.read(key, item, one) for one in tree.items)

    def _folder(self, text: str) -> Path | None:
        if not text:
            return None
        path = self.user_home / text[2:] if text.startswith("~/") else self.folder / text
        return Path(os.path.normpath(path))


def _variable_of(key: str) -> str:
    return MARKETS if key.startswith(f"{MARKETS}.") else key  # one variable holds all of them


def flatten(document: Table, source: str) -> dict[str, Tree]:
    """Return a document's settings by full key. Raises ``UnknownSetting`` and ``BadSetting``."""
    values: dict[str, Tree] = {}
    for name, tree in document.entries.items():
        place = f"{source} line {document.lines[name]}"
        if name in (HOME, KEY, MARKETS):
            values[name] = tree
        elif name not in SECTIONS:
            raise unknown(place, name, [*SECTIONS, *all_settings()])
        elif isinstance(tree, Table):
            values |= _section(name, tree, source)
        elif not (isinstance(tree, Text) and not tree.text):  # every line commented out: fine
            key, setting = next((key, one) for key, one in section_settings(name).items() if one.default)
            raise BadSetting(
                f"{place}: {name}: expected a mapping of settings, found {described(tree)}",
                hint=f"write it like {name}: {{{key}: {setting.default}}}",
            )
    return values


def unknown(place: str, name: str, known: list[str]) -> UnknownSetting:
    """Return the complaint about a name that is no setting, with what was probably meant."""
    import difflib  # here, because a good configuration need not wait for its import

    # Perhaps the name is right and its section wrong or forgotten; otherwise it is misspelt.
    last = {one.rpartition(".")[2]: one for one in reversed(known)}
    near = difflib.get_close_matches(name.rpartition(".")[2], last, n=1, cutoff=0.6)
    hint = f"did you mean {last[near[0]]}?" if near else "p2px config show lists every setting"
    return UnknownSetting(f"{place}: unknown setting {shown(name)}", hint=hint)


def one_line(setting: Setting, text: str) -> Tree:
    """Return a value written on one line as a tree: a list's items are separated by commas."""
    if not isinstance(setting.kind, ListOf):
        return Text(text)
    return Sequence(tuple(Text(item.strip()) for item in text.split(","))) if text.strip() else Sequence(())


def _section(section: str, table: Table, source: str) -> dict[str, Tree]:
    known = section_settings(section)
    for name in table.entries:
        if name not in known:
            place = f"{source} line {table.lines[name]}"
            raise unknown(
                place, f"{section}.{name}", [*(f"{section}.{one}" for one in known), *all_settings()]
            )
    return {f"{section}.{name}": _as_list(known[name], tree) for name, tree in table.entries.items()}


def _as_list(setting: Setting, tree: Tree) -> Tree:
    """Return a mapping of nodes to their markets as the list of texts that it stands for."""
    if not isinstance(tree, Table) or not (isinstance(setting.kind, ListOf) and setting.kind.item is HOSTING):
        return tree
    items = []
    for name, value in tree.entries.items():
        texts = value.items if isinstance(value, Sequence) else (value,)
        listed = "+".join(one.text if isinstance(one, Text) else described(one) for one in texts)
        items.append(Text(f"{name}={listed}", tree.lines[name]))
    return Sequence(tuple(items), tree.line)
