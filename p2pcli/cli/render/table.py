"""Rows and columns, aligned as plain text. On a terminal ``screen`` gives the same table to rich."""

from collections.abc import Sequence

import msgspec

from p2pcli.cli.render.ink import Paint, harmless, plain

GAP = "  "


class Column(msgspec.Struct, frozen=True):
    """A column's title; numbers stand to the right, so that their digits line up."""

    title: str
    right: bool = False
    wraps: bool = False  # on a narrow terminal, between words


class Cell(msgspec.Struct, frozen=True):
    """Text with a meaning that has a colour (``ink.STYLES``)."""

    text: str
    style: str = ""


class Table(msgspec.Struct, frozen=True):
    """What a command shows. A row has one text or cell for every column."""

    columns: tuple[Column, ...]
    rows: list[tuple[str | Cell, ...]]
    empty: str = "nothing to show"  # said on stderr instead of a table without rows


def cell_of(value: str | Cell) -> Cell:
    """Return a cell whose text cannot drive a terminal."""
    cell = value if isinstance(value, Cell) else Cell(value)
    return cell if cell.text.isprintable() else Cell(harmless(cell.text), cell.style)


def aligned(table: Table, paint: Paint = plain) -> list[str]:
    """Return the table as lines, titles first, columns two spaces apart, nothing behind the last word."""
    rows = [[cell_of(value) for value in row] for row in table.rows]
    widths = [
        max([len(column.title), *(len(row[place].text) for row in rows)])
        for place, column in enumerate(table.columns)
    ]
    titles = [Cell(column.title, "head") for column in table.columns]
    return [_line(row, table.columns, widths, paint) for row in [titles, *rows]]


def _line(row: Sequence[Cell], columns: Sequence[Column], widths: Sequence[int], paint: Paint) -> str:
    parts = []
    last = len(row) - 1
    for place, (cell, column, width) in enumerate(zip(row, columns, widths, strict=True)):
        padding = " " * (width - len(cell.text))
        shown = paint(cell.text, cell.style)
        parts.append(padding + shown if column.right else shown if place == last else shown + padding)
    return GAP.join(parts).rstrip()
