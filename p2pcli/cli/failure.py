"""Every failure in the one shape people and programs read: what is wrong, and what to type next."""

import re
from collections.abc import Sequence
from typing import Any

import click

from p2pcli.cli.render.ink import Paint, plain
from p2pcli.errors import BadInput, P2pxError

OUTPUTS = ("text", "json", "jsonl")

_EXTRA = re.compile(r"Got unexpected extra arguments? \((.*)\)", re.DOTALL)


class Usage(BadInput):
    """Words or options that the command does not know, or that are missing."""

    code = "usage"


class SystemTrouble(P2pxError):
    """The operating system refused something: a full disk, a missing permission."""

    code = "system"


class Bug(P2pxError):
    """Something that p2px did not foresee. It is our mistake, not the reader's."""

    code = "internal"


def usage_of(mistake: click.ClickException) -> P2pxError:
    """Return what Click found as one of our failures: same words, our shape."""
    message = mistake.format_message().strip()
    ctx = mistake.ctx if isinstance(mistake, click.UsageError) else None
    hint = f"{ctx.command_path} --help" if ctx else None
    match mistake:
        case click.NoSuchOption(option_name=name, possibilities=close):
            message = f"{ctx.command_path if ctx else 'p2px'} has no option {name}"
            if close:
                hint = f"did you mean {' or '.join(sorted(close)[:2])}?"
        case click.MissingParameter(param=click.Argument() as argument):
            message = f"argument {argument.make_metavar(ctx) if ctx else argument.name} is missing"
            hint = _example(ctx) or hint
        case click.MissingParameter(param=click.Option() as option):
            message = f"option {'/'.join(option.opts)} is missing"
        case click.BadOptionUsage(option_name=name) if "requires" in message:
            message = f"option {name} needs a value"
        case click.BadParameter(param=click.Parameter() as parameter):
            message = f"{_name(parameter, ctx)}: {_expected(parameter, mistake.message)}"
            hint = _near(parameter, mistake.message) or hint
        case click.UsageError() if found := _EXTRA.match(message):
            message = f"{ctx.command_path if ctx else 'p2px'} takes no more arguments, found {found[1]!a}"
        case click.FileError():
            return BadInput(_sentence(message))
        case _:
            message = _sentence(message)
    return Usage(message, hint=hint)


def unforeseen(error: BaseException) -> P2pxError:
    """Return an exception that no room explained: trouble of the machine, or a bug worth reporting."""
    if isinstance(error, OSError):
        where = f": {error.filename}" if error.filename else ""
        return SystemTrouble(f"{error.strerror or error}{where}")
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return Bug(
        f"p2px has a bug: {said}",
        hint="run it again with P2PX_DEBUG=1 to see where, and report that",
    )


def failure_lines(error: P2pxError, paint: Paint = plain) -> list[str]:
    """Return the lines for people. A hint that continues the message is the next thing to type."""
    lines = [f"{paint('error:', 'error')} {error.message}"]
    if error.hint:
        lines.append(f"{paint('hint:', 'hint')} {error.hint}")
    return lines


def failure_document(error: P2pxError) -> dict[str, Any]:
    """Return the object for programs."""
    return {"error": {"code": error.code, "message": error.message, "hint": error.hint}}


def wanted_output(argv: Sequence[str], otherwise: str) -> str:
    """Return the output that a command line asks for, also when Click could not make sense of it."""
    wanted = otherwise if otherwise in OUTPUTS else "text"
    for place, word in enumerate(argv):
        if word == "--":
            break
        follows = argv[place + 1] if place + 1 < len(argv) else ""
        if word in ("-o", "--output"):
            value = follows
        elif word.startswith("--output="):
            value = word.removeprefix("--output=")
        elif word.startswith("-o"):
            value = word.removeprefix("-o").removeprefix("=")
        else:
            continue
        wanted = value if value in OUTPUTS else wanted
    return wanted


def _name(parameter: click.Parameter, ctx: click.Context | None) -> str:
    if isinstance(parameter, click.Option):
        return f"option {'/'.join(parameter.opts)}"
    return str(parameter.make_metavar(ctx) if ctx else parameter.name).strip("[].")


def _expected(parameter: click.Parameter, message: str) -> str:
    """Return Click's words about a value; about a number those that settings use."""
    kind = parameter.type
    if not isinstance(kind, click.types.IntParamType):
        return _sentence(message)
    low, high = (kind.min, kind.max) if isinstance(kind, click.IntRange) else (None, None)
    if low is not None and high is not None:
        limits = f" from {low} to {high}"
    else:
        limits = f" of at least {low}" if low is not None else ""
    return f"expected a whole number{limits}, found {_found(message)!a}"


def _near(parameter: click.Parameter, message: str) -> str | None:
    if not isinstance(parameter.type, click.Choice):
        return None
    from p2pcli.cli.words import did_you_mean  # only a mistake pays for it

    return did_you_mean(_found(message), [str(choice) for choice in parameter.type.choices])


def _found(message: str) -> str:
    """Return the value that a message of Click begins with."""
    return message.partition(" is not ")[0].strip("'\"")


def _example(ctx: click.Context | None) -> str | None:
    examples: Sequence[str] = getattr(ctx.command, "examples", ()) if ctx else ()
    return examples[0] if examples else None


def _sentence(text: str) -> str:
    text = " ".join(text.split()).removesuffix(".")
    return text[:1].lower() + text[1:] if text[1:2].islower() else text
