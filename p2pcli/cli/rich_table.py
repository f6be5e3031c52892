"""A table on a terminal. The one room that imports rich, which costs as much time as an order."""

import sys

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from p2pcli.cli.render.table import GAP, Table, cell_of

NARROWEST_WRAPPED = 15  # columns: an address

# The meanings of ink.STYLES in rich's words.
COLORS = {
    "": "",
    "head": "bold",
    "dim": "dim",
    "bid": "green",
    "ask": "red",
    "good": "green",
    "warn": "yellow",
    "bad": "red",
    "own": "cyan",
}


def print_table(table: Table, width: int, colored: bool) -> None:
    """Print a table in ``width`` columns: words wrap where a column may, numbers are never cut.

    A table that cannot be that narrow is left to the terminal, which continues it on the next line.
    """
    shown = RichTable(box=None, padding=(0, len(GAP), 0, 0), pad_edge=False, header_style="bold")
    rows = [[cell_of(value) for value in row] for row in table.rows]
    needed = -len(GAP)
    for place, column in enumerate(table.columns):
        longest = max(len(column.title), *(len(row[place].text) for row in rows))
        needed += len(GAP) + (min(longest, NARROWEST_WRAPPED) if column.wraps else longest)
        shown.add_column(
            column.title,
            justify="right" if column.right else "left",
            no_wrap=not column.wraps,
            overflow="fold",
        )
    for row in rows:
        shown.add_row(*(Text(cell.text, style=COLORS[cell.style]) for cell in row))
    console = Console(
        file=sys.stdout,
        width=max(width, needed + len(GAP)),
        no_color=not colored,
        highlight=False,
        markup=False,
        emoji=False,
    )
    console.print(shown, soft_wrap=needed > width)
