"""A table on a terminal. The one room that imports rich, which costs as much time as an order."""

import sys

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from p2pcli.cli.render.table import Table, cell_of

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
    """Print a table in ``width`` columns; cells that do not fit are folded, never cut."""
    shown = RichTable(box=SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    for column in table.columns:
        shown.add_column(column.title, justify="right" if column.right else "left", overflow="fold")
    for row in table.rows:
        shown.add_row(*(Text(cell.text, style=COLORS[cell.style]) for cell in map(cell_of, row)))
    console = Console(
        file=sys.stdout, width=width, no_color=not colored, highlight=False, markup=False, emoji=False
    )
    console.print(shown)
