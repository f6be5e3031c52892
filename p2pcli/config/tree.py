"""What a source says, before anyone knows what it means: texts, lists and mappings with their lines."""

import msgspec

from p2pcli.errors import BadInput


class BadConfigFile(BadInput):
    """A configuration file that cannot be read: missing, unreadable, or wrong in its syntax."""

    code = "bad_config_file"


class Text(msgspec.Struct, frozen=True):
    """One value as it is written, and where. Line 0: the source has no lines."""

    text: str
    line: int = 0


class Sequence(msgspec.Struct, frozen=True):
    """A list, in order."""

    items: tuple["Tree", ...]
    line: int = 0


class Table(msgspec.Struct, frozen=True):
    """A mapping of names to values; ``lines`` tells where each name stands."""

    entries: dict[str, "Tree"]
    lines: dict[str, int]
    line: int = 0


Tree = Text | Sequence | Table


def described(tree: Tree) -> str:
    """Return what an error calls a tree of the wrong shape."""
    match tree:
        case Text(""):
            return "nothing"
        case Text():
            return "one value"
        case Sequence():
            return "a list"
        case Table():
            return "a mapping"
