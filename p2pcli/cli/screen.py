"""The way out: answers on stdout as text or JSON, messages on stderr, colour and width of the terminal."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from p2pcli.cli.failure import failure_lines
from p2pcli.cli.render.ink import Paint, ansi, plain
from p2pcli.errors import P2pxError

if TYPE_CHECKING:
    from p2pcli.cli.bar import Bar
    from p2pcli.cli.render.table import Table

DEFAULT_WIDTH = 80
NARROWEST = 40

_HOME = "\x1b[H"
_CLEAR_LINE = "\x1b[K"
_CLEAR_BELOW = "\x1b[J"
_OTHER_SCREEN = "\x1b[?1049h\x1b[?25l\x1b[?7l"  # the alternate screen, no cursor, long lines cut
_OWN_SCREEN = "\x1b[?7h\x1b[?25h\x1b[?1049l"


def wants_color(stream: TextIO, color: str, environ: Mapping[str, str]) -> bool:
    """Return whether to colour: only on a terminal, never with NO_COLOR, unless ``color`` says otherwise."""
    if color != "auto":
        return color == "always"
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


class Screen:
    """Where answers go. ``output`` is text, json (one document) or jsonl (one object a line)."""

    def __init__(self, output: str, color: str, environ: Mapping[str, str]) -> None:
        self.output = output
        self._environ = environ
        self._bar: Bar | None = None  # drawn now, below what is printed
        self.colored = wants_color(sys.stdout, color, environ)
        self.paint: Paint = ansi if self.colored else plain
        self.message_paint: Paint = ansi if wants_color(sys.stderr, color, environ) else plain

    @property
    def is_text(self) -> bool:
        return self.output == "text"

    @property
    def is_terminal(self) -> bool:
        return sys.stdout.isatty()

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows to write in; COLUMNS and LINES count more than what the terminal says."""
        columns, rows = DEFAULT_WIDTH, 24
        if sys.stdout.isatty():
            columns, rows = os.get_terminal_size(sys.stdout.fileno())
        given = [self._environ.get(name, "") for name in ("COLUMNS", "LINES")]
        columns, rows = (
            int(text) if text.isascii() and text.isdigit() and int(text) else found
            for text, found in zip(given, (columns, rows), strict=True)
        )
        return max(columns or DEFAULT_WIDTH, NARROWEST), max(rows, 5)

    # -- answers ----------------------------------------------------------------------------------

    def lines(self, lines: Iterable[str]) -> None:
        """Print lines of text on stdout."""
        shown = list(lines)
        if shown:
            self._make_way()
            print("\n".join(shown))

    def table(self, table: "Table") -> None:
        """Print a table: rich on a terminal, aligned columns elsewhere, a message when it has no rows."""
        if not table.rows:
            self.note(table.empty)
        elif self.is_terminal:
            from p2pcli.cli.rich_table import print_table  # slow to import, so only where it is seen

            print_table(table, self.size[0], self.colored)
        else:
            from p2pcli.cli.render.table import aligned

            self.lines(aligned(table, self.paint))

    def document(self, document: Any) -> None:
        """Print one JSON document: indented for json, on one line for jsonl."""
        if self.output == "jsonl":
            self.json_line(document)
        else:
            import msgspec

            print(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())

    def json_line(self, document: Any) -> None:
        """Print one JSON object on one line."""
        import msgspec

        self._make_way()
        print(msgspec.json.encode(document).decode())

    @contextmanager
    def stream(self, name: str) -> Iterator[Callable[[Any], None]]:
        """Give a function that prints one object after the other without keeping any.

        For jsonl one a line; for json as the array ``name`` of one document.
        """
        if self.output == "jsonl":
            yield self.json_line
            return
        import msgspec

        begin = f'{{"{name}": [\n'
        before = begin

        def add(document: Any) -> None:
            nonlocal before
            self._make_way()
            print(before + msgspec.json.encode(document).decode(), end="")
            before = ",\n"

        try:
            yield add
        except BaseException:
            if before != begin:  # else the failure is the document
                print("\n]}")
            raise
        print("\n]}" if before != begin else f'{{"{name}": []}}')

    def objects(self, objects: Iterable[Any]) -> None:
        """Print several objects: one a line for jsonl, one array for json."""
        if self.output == "jsonl":
            for each in objects:
                self.document(each)
        else:
            self.document(list(objects))

    def flush(self) -> None:
        """Let what was printed be seen now, also through a pipe."""
        sys.stdout.flush()

    # -- messages ---------------------------------------------------------------------------------

    def note(self, message: str) -> None:
        """Print a message on stderr, where it cannot be mistaken for data."""
        sys.stdout.flush()
        self._make_way()
        print(message, file=sys.stderr)

    def failure(self, error: P2pxError) -> None:
        """Print a failure that does not end the command."""
        self.note("\n".join(failure_lines(error, self.message_paint)))

    def hint(self, hint: str) -> None:
        """Print the next thing to type on stderr."""
        self.note(f"{self.message_paint('hint:', 'hint')} {hint}")

    @contextmanager
    def one_line(self) -> Iterator[Callable[[str], None]]:
        """Give a function that shows what is under way on one line of stderr, where a person sees it."""
        if not sys.stderr.isatty():
            yield lambda _: None
            return

        def show(text: str) -> None:
            sys.stderr.write("\r" + text[: self.size[0] - 1] + _CLEAR_LINE)
            sys.stderr.flush()

        try:
            yield show
        finally:
            sys.stderr.write("\r" + _CLEAR_LINE)
            sys.stderr.flush()

    @contextmanager
    def progress(self, total: int | None) -> Iterator[Callable[[int], None]]:
        """Give a function that counts work done towards ``total``.

        A bar is drawn on stderr where a person sees it, below what is printed meanwhile.
        """
        if not sys.stderr.isatty() or self._environ.get("TERM") == "dumb" or not total:
            yield lambda _: None
            return
        from p2pcli.cli.bar import Bar

        with Bar(total, sys.stderr) as self._bar:
            yield self._bar.advance
        self._bar = None

    def _make_way(self) -> None:
        if self._bar is not None:
            self._bar.make_way()

    # -- answers that change ----------------------------------------------------------------------

    @contextmanager
    def redrawn(self) -> Iterator[Callable[[Sequence[str]], None]]:
        """Give a function that shows lines in place of those before, without flicker.

        It writes over the old lines instead of clearing first. Not on a terminal it prints each
        state after the other, with an empty line between.
        """
        if not self.is_terminal:
            yield self._show_below
            return
        sys.stdout.write(_OTHER_SCREEN)
        try:
            yield self._show_over
        finally:
            sys.stdout.write(_OWN_SCREEN)
            sys.stdout.flush()

    def _show_over(self, lines: Sequence[str]) -> None:
        rows = self.size[1]
        shown = [line + _CLEAR_LINE for line in lines[: rows - 1]]
        sys.stdout.write(_HOME + "\r\n".join(shown) + _CLEAR_BELOW)
        sys.stdout.flush()

    def _show_below(self, lines: Sequence[str]) -> None:
        print("\n".join(lines), end="\n\n", flush=True)
