"""``p2px config``: every setting, its value and where it comes from."""

from pathlib import Path

import click

from p2pcli.cli.invocation import Invocation
from p2pcli.cli.render.table import Cell, Column, Table
from p2pcli.cli.verbs import Group
from p2pcli.cli.words import did_you_mean
from p2pcli.config import UnknownSetting

config = Group("config", help="Show every setting and where it comes from.")


@config.command(
    "show", examples=("p2px config show", "p2px config show registry", "p2px config show -o json")
)
@click.argument("prefix", metavar="[SETTING]", default="")
@click.option("--changed", is_flag=True, help="Only what is not a default.")
@click.pass_obj
def show(invocation: Invocation, prefix: str, changed: bool) -> None:
    """Show each setting with its value and origin; all, or those that begin with SETTING."""
    rows = [
        row
        for row in invocation.config.found
        if row.key.startswith(prefix) and not (changed and row.origin == "default")
    ]
    known = [row.key for row in invocation.config.found]
    if not any(key.startswith(prefix) for key in known):
        raise UnknownSetting(
            f"no setting begins with {prefix[:60]!a}",
            hint=did_you_mean(prefix, known, "p2px config show ") or "p2px config show lists every setting",
        )
    screen = invocation.screen
    if screen.is_text:
        screen.table(
            Table(
                columns=(Column("SETTING"), Column("VALUE", wraps=True), Column("ORIGIN", wraps=True)),
                rows=[
                    (r.key, r.text, Cell(r.origin, "dim" if r.origin == "default" else "own")) for r in rows
                ],
                empty="every setting has its default",
            )
        )
    else:
        screen.objects({"setting": row.key, "value": row.text, "origin": row.origin} for row in rows)


@config.command("path", examples=("p2px config path",))
@click.pass_obj
def path(invocation: Invocation) -> None:
    """Print the settings files that were read, strongest first, and the folder of all state."""
    screen, files = invocation.screen, [str(file) for file in invocation.config.files]
    if screen.is_text:
        screen.lines(files)
        if not files:
            screen.note(f"no settings file was found from {Path.cwd()} upwards")
        screen.note(f"state is kept in {invocation.config.home}")
    else:
        screen.document({"files": files, "home": str(invocation.config.home)})
