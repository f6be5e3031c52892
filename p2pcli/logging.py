"""What a process writes about itself: colour on the console, JSON lines in one rotating file. Touches disks.

Rooms log with the standard library, ``logging.getLogger(__name__)``, an event and its fields::

    logger.info("order accepted", extra={"order": 1042, "market": "BTC/USD", "sequence": 17})

and know nothing of files or colours; whoever owns the process calls ``configure`` once. A line of the file::

    {"time": "2026-01-02T03:04:05.678901Z", "level": "info", "process": "client1", "pid": 41,
     "logger": "p2pcli.node.process", "event": "order accepted", "order": 1042, ...}

Fields whose names say that they are secret are written as ``[redacted]``, long texts are cut, and control
characters cannot reach a terminal. A full disk or a folder that cannot be written stops neither the
process nor its other output: one line on stderr says so, another when it works again.
"""

import copy
import logging
import logging.handlers
import math
import os
import re
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from pythonjsonlogger.json import JsonFormatter

MAX_EVENT = 4096  # characters of an event; longer ones are cut
MAX_TEXT = 1024  # characters of a field
MAX_TRACE = 16 * 1024  # characters of a traceback, its end
MAX_ITEMS = 64  # of a list or mapping in a field
MAX_DEPTH = 4

REDACTED = "[redacted]"

_SECRET_NAME = re.compile(r"secret|token|password|passwd|authorization|credential|private_key|api_key", re.I)
_SECRET_TEXT = re.compile(
    r"((?:secret|token|password|passwd|authorization|api_key)['\"]?\s?[=:]\s?)(?:(?:Bearer|Basic) )?[^\s,;]+",
    re.I,
)
_URL_CREDENTIALS = re.compile(r"(://)[^/\s@]{1,256}@")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# "message" and "asctime" are added by formatters, "taskName" by Python 3.12.
_STANDARD = {*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName"}

_CONSOLE = "{asctime} {levelname:<7} {message}"
_CONSOLE_COLOUR = "{thin}{asctime}{reset} {log_color}{levelname:<7}{reset} {message}"
_COLOURS = {"DEBUG": "cyan", "INFO": "green", "WARNING": "yellow", "ERROR": "red", "CRITICAL": "bold_red"}


class LogOutput:
    """The outputs ``configure`` set up. Closing flushes and takes them away again."""

    def __init__(self, path: Path | None, handlers: list[logging.Handler], level: int) -> None:
        self.path = path  # of the JSON lines; older ones are path.1, path.2 ...
        self._handlers = handlers
        self._level_before = level

    def close(self) -> None:
        root = logging.getLogger()
        for handler in self._handlers:
            root.removeHandler(handler)
            handler.close()
        root.setLevel(self._level_before)

    def __enter__(self) -> "LogOutput":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def configure(
    process: str,
    folder: Path | None,
    level: str = "info",
    *,
    console: bool = False,
    environment: str = "",
    file_size: int = 10 * 1024 * 1024,
    files: int = 5,
    color: str = "auto",
) -> LogOutput:
    """Send this process's records to ``folder/<process>.jsonl`` and, with ``console``, to stderr.

    The file is rotated before it exceeds ``file_size`` bytes; ``files`` of them are kept, at least two.
    ``color`` is auto (a terminal without NO_COLOR), always or never. A second call replaces the first.
    Never raises for a folder that cannot be written.
    """
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler, _LinesFile | _Console):
            root.removeHandler(handler)
            handler.close()
    handlers: list[logging.Handler] = []
    path = folder / f"{process}.jsonl" if folder else None
    if path:
        handlers.append(_LinesFile(path, _JsonLine(process, environment), file_size, files))
    if console:
        handlers.append(_Console(process, color))
    for handler in handlers:
        root.addHandler(handler)
    output = LogOutput(path, handlers, root.level)
    root.setLevel(level.upper())
    return output


class _JsonLine(JsonFormatter):
    """A record as one line of JSON."""

    def __init__(self, process: str, environment: str) -> None:
        super().__init__(["asctime", "levelname", "process", "name", "message"])
        self._fixed = {"process": process, **({"environment": environment} if environment else {})}

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        seconds, microseconds = divmod(round(record.created * 1_000_000), 1_000_000)
        return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{microseconds:06d}Z"

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        line = {
            "time": log_data.pop("asctime"),
            "level": log_data.pop("levelname").lower(),
            **self._fixed,
            "pid": log_data.pop("process"),
            "logger": log_data.pop("name"),
            "event": _without_secrets(log_data.pop("message")[:MAX_EVENT]),
        }
        trace = log_data.pop("exc_info", None)
        for name, value in log_data.items():
            if name not in line:
                line[name] = _field(name, value)
        if trace:
            line["traceback"] = _without_secrets(str(trace)[-MAX_TRACE:])
        return line


class _LinesFile(logging.handlers.RotatingFileHandler):
    """A rotating file that survives a full disk and an unwritable folder, and says so once."""

    def __init__(self, path: Path, formatter: logging.Formatter, file_size: int, files: int) -> None:
        super().__init__(
            path, maxBytes=file_size, backupCount=max(1, files - 1), encoding="utf-8", delay=True
        )
        self.setFormatter(formatter)
        self._lost = 0  # records since the last one that was written

    def emit(self, record: logging.LogRecord) -> None:
        lost_before = self._lost
        super().emit(record)
        if lost_before and self._lost == lost_before:
            self._lost = 0
            _say(f"{self.baseFilename} is written again; {lost_before} log records were lost")

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):  # arguments that do not fit the text, say: a bug of the caller
            _say(f"a log record of {record.pathname}:{record.lineno} cannot be written: {error!r}")
            return
        self._drop_stream()
        self._lost += 1
        if self._lost == 1:
            _say(f"{self.baseFilename} cannot be written: {error.strerror}; records are lost until it can be")

    def _open(self) -> Any:
        path = Path(self.baseFilename)
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = super()._open()
        if _is_torn(path):  # by kill -9 or a full disk: the next record starts a line of its own
            stream.write("\n")
        return stream

    def _drop_stream(self) -> None:
        # What it still buffers would fail again; the next record opens the file anew.
        stream, self.stream = self.stream, None
        if stream is not None:
            try:
                stream.close()
            except OSError:
                pass


class _Console(logging.StreamHandler[Any]):
    """Lines for people on stderr: event, then the fields as name=value."""

    def __init__(self, process: str, color: str) -> None:
        super().__init__(sys.stderr)
        self._process = process
        on_terminal = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
        if color == "always" or (color == "auto" and on_terminal):
            import colorlog

            formatter: logging.Formatter = colorlog.ColoredFormatter(
                _CONSOLE_COLOUR, style="{", log_colors=_COLOURS, force_color=True
            )
        else:
            formatter = logging.Formatter(_CONSOLE, style="{")
        formatter.converter = time.gmtime
        formatter.default_time_format, formatter.default_msec_format = "%Y-%m-%dT%H:%M:%S", "%s.%03dZ"
        self.setFormatter(formatter)

    def format(self, record: logging.LogRecord) -> str:
        extra = {name: value for name, value in record.__dict__.items() if name not in _STANDARD}
        fields = "".join(f" {name}={_field(name, value)}" for name, value in extra.items())
        event = _without_secrets(record.getMessage()[:MAX_EVENT])
        line = copy.copy(record)
        line.msg, line.args = _CONTROL.sub(_escaped, f"{self._process}: {event}{fields}"), None
        if record.exc_info and self.formatter:
            trace = self.formatter.formatException(record.exc_info)[-MAX_TRACE:]
            line.exc_text = "\n".join(
                _CONTROL.sub(_escaped, one) for one in _without_secrets(trace).splitlines()
            )
        return super().format(line)

    def handleError(self, record: logging.LogRecord) -> None:
        """Nobody reads stderr any more; the file has the record."""


def _field(name: str, value: Any, depth: int = 0) -> Any:
    """Return a field's value as it may be written: without secrets, of bounded size, valid JSON."""
    if _SECRET_NAME.search(name):
        return REDACTED
    match value:
        case None | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case str():
            return _without_secrets(value[:MAX_TEXT])
        case bytes() | bytearray():
            return value[:32].hex()
        case dict() | list() | tuple() | set() | frozenset() if depth == MAX_DEPTH:
            return "..."
        case dict():
            items = list(value.items())[:MAX_ITEMS]
            return {str(key): _field(str(key), one, depth + 1) for key, one in items}
        case list() | tuple() | set() | frozenset():
            return [_field("", one, depth + 1) for one in list(value)[:MAX_ITEMS]]
        case _:
            return _without_secrets(str(value)[:MAX_TEXT])


def _without_secrets(text: str) -> str:
    return _URL_CREDENTIALS.sub(rf"\1{REDACTED}@", _SECRET_TEXT.sub(rf"\1{REDACTED}", text))


def _escaped(found: re.Match[str]) -> str:
    return f"\\x{ord(found[0]):02x}"


def _is_torn(path: Path) -> bool:
    if not path.is_file() or not path.stat().st_size:
        return False
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def _say(text: str) -> None:
    try:
        print(f"p2px: {text}", file=sys.stderr)
    except (OSError, ValueError):  # stderr is closed: nobody is left to tell
        pass
