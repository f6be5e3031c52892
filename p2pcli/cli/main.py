"""``p2px``: the table of commands, and the one place where a failure becomes text and an exit code."""

import os
import sys
from collections.abc import Sequence

import click

from p2pcli.cli.failure import failure_document, failure_lines, unforeseen, usage_of, wanted_output
from p2pcli.cli.invocation import Invocation
from p2pcli.cli.verbs import Group
from p2pcli.errors import P2pxError

INTERRUPTED = 130
COMPLETION = "_P2PX_COMPLETE"  # set by the scripts that `p2px completion` prints

ROOMS = {
    name: (f"p2pcli.cli.{module}", attribute, line)
    for name, module, attribute, line in (
        ("cluster", "cluster", "cluster", "Start, watch and stop the processes of a cluster."),
        ("order", "order", "order", "Buy, sell, cancel, amend, show and list orders; import many."),
        ("book", "book", "book", "Show the order book, or how two nodes' books differ."),
        ("trades", "trades", "trades", "Show, follow and export trades."),
        ("market", "market", "market", "List markets; halt and resume one."),
        ("keys", "keys", "keys", "Create, list and revoke the keys that owners trade with."),
        ("client", "client", "client", "Run an example client that keeps trading."),
        ("verify", "verify", "verify", "Do all nodes agree? Exit code 1 when not."),
        ("chaos", "chaos", "chaos", "Kill and pause processes under load; is anything lost?"),
        ("export", "export", "export", "Write log, trades and books as files, for checks by others."),
        ("log", "log", "log", "Show the shared log, and check its hash chain."),
        ("bench", "bench", "bench", "How fast are orders answered, beside the disk's own sync time?"),
        ("node", "node", "node", "Ask one node how it is; run one more; send one away."),
        ("registry", "registry", "registry", "Who is where: look up, announce, run a member."),
        ("config", "config", "config", "Show every setting and where it comes from."),
        ("completion", "completion", "completion", "Print the completion script of a shell."),
    )
}


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from p2pcli import __version__

        print(f"p2px {__version__}")
        ctx.exit()


p2px = Group(
    "p2px",
    rooms=ROOMS,
    help="A peer-to-peer exchange: equal nodes, one order book.\n\n"
    "\b\nTo begin:\n  p2px cluster up -n 3\n  p2px order buy 0.5@30000 --node client1\n"
    "  p2px book show\n  p2px trades tail",
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_version,
            help="Print the version.",
        )
    ],
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; nothing it raises gets past here."""
    words = list(sys.argv[1:] if argv is None else argv)
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character gets an escape, not a traceback.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    if COMPLETION in os.environ:
        from click.shell_completion import shell_complete

        return shell_complete(
            p2px, {"obj": Invocation(os.environ)}, "p2px", COMPLETION, os.environ[COMPLETION]
        )
    invocation = Invocation(os.environ)
    try:
        code = _run(words, invocation)
        try:
            sys.stdout.flush()
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            code = _fail(unforeseen(error), words, invocation)
    except BrokenPipeError:
        _forget_stdout()
        return 0
    except KeyboardInterrupt:
        if sys.stderr.isatty():
            print(file=sys.stderr)  # the prompt should not follow ^C on its line
        return INTERRUPTED
    return code


def _run(words: list[str], invocation: Invocation) -> int:
    try:
        with p2px.make_context("p2px", list(words), obj=invocation) as ctx:
            code = p2px.invoke(ctx)
            return code if isinstance(code, int) else 0
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.exceptions.NoArgsIsHelpError as asked:
        print(asked.ctx.get_help() if asked.ctx else asked.format_message())
        return 0
    except click.Abort:
        return INTERRUPTED
    except click.ClickException as mistake:
        return _fail(usage_of(mistake), words, invocation)
    except P2pxError as failure:
        if invocation.environ.get("P2PX_DEBUG"):
            raise
        return _fail(failure, words, invocation)
    except BrokenPipeError:
        raise
    except Exception as error:
        # The outermost loop of the program: whatever nobody foresaw still ends in one clear line.
        if invocation.environ.get("P2PX_DEBUG"):
            raise
        return _fail(unforeseen(error), words, invocation)


def _fail(failure: P2pxError, words: Sequence[str], invocation: Invocation) -> int:
    output = wanted_output(words, invocation.environ.get("P2PX_CLIENT_OUTPUT", "text"))
    from p2pcli.cli.render.ink import ansi, plain
    from p2pcli.cli.screen import wants_color

    is_open = _is_written("")
    if output == "text":
        colored = wants_color(sys.stderr, invocation.color or "auto", invocation.environ)
        print("\n".join(failure_lines(failure, ansi if colored else plain)), file=sys.stderr)
    else:
        import json

        document = json.dumps(failure_document(failure), indent=2 if output == "json" else None)
        if not (is_open and _is_written(f"{document}\n")):
            print(document, file=sys.stderr)
    return failure.exit_code


def _open_what_is_closed() -> None:
    """Let a stream that whoever started us has closed (``>&-``) lead nowhere: Python gives None for it."""
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")


def _is_written(text: str) -> bool:
    """Write text behind what is on its way to stdout; False, and stdout is given up, when a disk is full."""
    try:
        print(text, end="", flush=True)
    except BrokenPipeError:
        raise
    except OSError:
        _forget_stdout()
        return False
    return True


def _forget_stdout() -> None:
    """Give stdout's rest to nobody: the reader has gone, and Python would complain about it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
