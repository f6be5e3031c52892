"""Styles, and text that cannot drive a terminal."""

from collections.abc import Callable

from p2pcli.errors import harmless as harmless  # what prints foreign text finds it beside the colours

Paint = Callable[[str, str], str]  # text, style -> text

# Meanings, not colours, so that one table decides how the whole program looks.
STYLES = {
    "": "",
    "head": "1",
    "dim": "2",
    "bid": "32",
    "ask": "31",
    "good": "32",
    "warn": "33",
    "bad": "31",
    "own": "36",
    "name1": "36",
    "name2": "33",
    "name3": "35",
    "name4": "34",
    "name5": "32",
    "name6": "96",
    "error": "1;31",
    "hint": "36",
}


def plain(text: str, style: str) -> str:
    """Return ``text`` without colour."""
    return text


def ansi(text: str, style: str) -> str:
    """Return ``text`` in the colour of a style of ``STYLES``."""
    code = STYLES[style]
    return f"\x1b[{code}m{text}\x1b[0m" if code and text else text
