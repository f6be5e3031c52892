"""Aligned columns."""

from p2pcli.cli.render.ink import ansi
from p2pcli.cli.render.table import Cell, Column, Table, aligned


def test_columns_line_up_and_nothing_trails():
    table = Table(
        (Column("NAME"), Column("SIZE", right=True), Column("STATE")),
        [("a", "1", "up"), ("bcdef", "200", "")],
    )
    assert aligned(table) == ["NAME   SIZE  STATE", "a         1  up", "bcdef   200"]


def test_colour_does_not_move_columns():
    table = Table((Column("A"), Column("B")), [(Cell("x", "good"), "1"), ("yyy", "2")])
    assert aligned(table, ansi)[1] == "\x1b[32mx\x1b[0m    1"


def test_unprintable_text_is_escaped():
    assert aligned(Table((Column("A"),), [("\x1b[1mbold",)]))[1] == "\\x1b[1mbold"


def test_a_table_without_rows_still_has_titles():
    assert aligned(Table((Column("A"), Column("B")), [])) == ["A  B"]
