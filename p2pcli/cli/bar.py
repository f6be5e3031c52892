"""A progress bar on the last line of a terminal, below answers that go on above it."""

from typing import TextIO

from p2pcli.clock import monotonic

REDRAW_S = 0.1  # a terminal that is written to more often only flickers

_CLEAR = "\r\x1b[K"


class Bar:
    """Work done towards ``total``, as a bar with the time that is left. A context manager that removes it."""

    def __init__(self, total: int, terminal: TextIO) -> None:
        from click import progressbar  # only long work on a terminal pays for it

        self._terminal = terminal
        self._bar = progressbar(length=total, file=terminal, show_pos=False)
        self._drawn_at = 0.0
        self._is_shown = False

    def __enter__(self) -> "Bar":
        self._draw()
        return self

    def __exit__(self, *exc: object) -> None:
        self.make_way()

    def advance(self, steps: int) -> None:
        """Count work done, and show it when it is time."""
        self._bar.make_step(steps)
        if monotonic() - self._drawn_at >= REDRAW_S:
            self._draw()

    def make_way(self) -> None:
        """Clear the line, so that something else can be printed there."""
        if self._is_shown:
            self._write(_CLEAR)
            self._is_shown = False

    def _draw(self) -> None:
        self._drawn_at = monotonic()
        self._is_shown = True
        self._write(f"{_CLEAR}{self._bar.format_progress_line().strip()}")

    def _write(self, text: str) -> None:
        self._terminal.write(text)
        self._terminal.flush()
