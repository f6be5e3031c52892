"""Click's commands and groups as p2px uses them: global options everywhere, groups imported when typed."""

import re
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, TypeVar

import click

from p2pcli.cli.failure import OUTPUTS, Usage

Callback = TypeVar("Callback", bound=Callable[..., Any])

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

_FROM_TO = re.compile(r"(\d+)<=x<=(\d+)")
_AT_LEAST = re.compile(r"x>=(\d+)")
_NEGATIVE = re.compile(r"-[0-9.@]")


class Verb(click.Command):
    """A command that takes the global options too and shows examples in its help.

    ``negative`` explains an argument such as ``-1@5``, which Click would take for an option: it
    raises the failure that the text deserves.
    """

    def __init__(
        self,
        *args: Any,
        examples: Sequence[str] = (),
        negative: Callable[[str], object] | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("context_settings", CONTEXT)
        super().__init__(*args, **kwargs)
        self.examples = examples
        self.negative = negative
        self.params += _global_options(self.params)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as mistake:
            wrong = [word for word in words if word.startswith(mistake.option_name)]
            if self.negative and wrong and _NEGATIVE.match(wrong[0]):
                self.negative(wrong[0])
            raise
        except click.UsageError as mistake:
            mistake.ctx = mistake.ctx or ctx  # the parser does not know whose options it parses
            raise

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _write_options(self, ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"{'':>{formatter.current_indent}}{example}\n")
        super().format_epilog(ctx, formatter)


class Group(click.Group):
    """A group of verbs. ``rooms`` are imported only when one of them is typed.

    ``rooms`` gives for each name the module, what to take from it and the line that help shows; ``order``
    the names in the order of help, which is that of writing without it.
    """

    command_class = Verb

    def __init__(
        self,
        *args: Any,
        rooms: Mapping[str, tuple[str, str, str]] | None = None,
        order: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("context_settings", CONTEXT)
        super().__init__(*args, **kwargs)
        self.rooms = rooms or {}
        self.order = order
        self.params += _global_options(self.params)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.rooms, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.rooms:
            return super().get_command(ctx, cmd_name)
        module, attribute, _ = self.rooms[cmd_name]
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        command = self.get_command(ctx, name)
        if command is None:
            raise self._unknown(ctx, name)
        return name, command, args[1:]

    def _unknown(self, ctx: click.Context, name: str) -> Usage:
        from p2pcli.cli.words import did_you_mean  # only a mistake pays for it

        path, known = ctx.command_path, self.list_commands(ctx)
        near = did_you_mean(name, known, f"{path} ")
        shown = name if len(name) <= 40 else name[:37] + "..."
        return Usage(f"{path} has no command {shown!a}", hint=near or f"{path} --help")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_commands(ctx, formatter)
        _write_options(self, ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_paragraph()
        formatter.write_text(f"{ctx.command_path} COMMAND --help shows its options, with examples.")

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, line) for name, (_, _, line) in self.rooms.items()]
        rows += [
            (name, command.get_short_help_str(limit=90))
            for name, command in sorted(self.commands.items(), key=_in_order_of_writing)
            if not command.hidden
        ]
        place = {name: number for number, name in enumerate(self.order)}
        rows.sort(key=lambda row: place.get(row[0], len(place)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _in_order_of_writing(item: tuple[str, click.Command]) -> int:
    callback = item[1].callback
    return callback.__code__.co_firstlineno if callback else 0


def _remember(ctx: click.Context, param: click.Parameter, value: object) -> None:
    if value not in (None, 0):
        setattr(ctx.obj, str(param.name), value)


def _global_options(taken: Sequence[click.Parameter]) -> list[click.Parameter]:
    """Return the options that every command takes, but for names the command uses itself."""
    used = {name for parameter in taken for name in parameter.opts}
    options = (
        click.Option(
            ["-o", "--output"],
            type=click.Choice(OUTPUTS),
            help="What to print: text for people, json (one document) or jsonl (one object a line).",
        ),
        click.Option(["--color"], type=click.Choice(["auto", "always", "never"]), help="When to use colour."),
        click.Option(
            ["--config", "config_file"],
            type=click.Path(dir_okay=False),
            metavar="FILE",
            help="Settings file to use instead of the p2px.yaml searched upwards from here.",
        ),
        click.Option(
            ["--key", "key_file"],
            type=click.Path(dir_okay=False),
            metavar="FILE",
            help="Act as the owner of this key (p2px keys create), without the cluster's secret.",
        ),
        click.Option(["--name", "cluster"], metavar="CLUSTER", help="Which cluster, when there are several."),
        click.Option(["-v", "--verbose"], count=True, help="Say more on stderr; twice for everything."),
    )
    for option in options:
        option.expose_value = False
        option.callback = _remember
    return [option for option in options if not used.intersection(option.opts)]


def _in_words(text: str) -> str:
    """Return help with limits as people say them, where Click writes ``1<=x<=64``."""
    return _AT_LEAST.sub(r"at least \1", _FROM_TO.sub(r"\1 to \2", text))


def _write_options(command: click.Command, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    own: list[tuple[str, str]] = []
    everywhere: list[tuple[str, str]] = []
    for parameter in command.get_params(ctx):
        # Newer Clicks list arguments among the options as well; the usage line has them already.
        record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
        if record is not None:
            record = record[0].replace("INTEGER RANGE", "N"), _in_words(record[1])
            general = getattr(parameter, "callback", None) is _remember or "--help" in parameter.opts
            (everywhere if general else own).append(record)
    for title, rows in (("Options", own), ("Global options", everywhere)):
        if rows:
            with formatter.section(title):
                formatter.write_dl(rows)
