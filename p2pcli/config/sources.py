"""Where settings come from: flags, environment, ``.env``, ``p2px.yaml``, the user's own file. Reads disks.

What is not there costs no import: yaml, dotenv and (on Linux) platformdirs are loaded when needed.
"""

import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path

from p2pcli.config.layers import FLAG, BadSetting, Layer, flatten, one_line, unknown
from p2pcli.config.merge import merge
from p2pcli.config.settings import ENVIRONMENT_PREFIX, Config, Setting, all_settings, environment_name
from p2pcli.config.tree import BadConfigFile, Sequence, Text, Tree
from p2pcli.config.values import shown

PROJECT_FILE = "p2px.yaml"
USER_FILE = "config.yaml"
ENV_FILE = ".env"
FILE_VARIABLE = "P2PX_CONFIG"
DEBUG_VARIABLE = (
    "P2PX_DEBUG"  # the command line shows the traceback of a bug; a setting could not be read yet
)
MAX_BYTES = 1 << 20  # of one file

_PROGRAM = "p2px"
_SPECIAL = (FILE_VARIABLE, DEBUG_VARIABLE)


def load(
    cwd: Path,
    environ: Mapping[str, str],
    config_file: Path | None = None,
    flags: Mapping[str, object] | None = None,
    typed: Mapping[str, str] | None = None,
) -> Config:
    """Return the settings that hold in folder ``cwd``, each with its origin.

    Flag > ``P2PX_*`` environment > ``.env`` > ``p2px.yaml`` > the user's config.yaml > default.
    ``config_file`` (``--config``, else ``P2PX_CONFIG``) replaces the search for p2px.yaml upwards from
    ``cwd``. ``.env`` lies beside the p2px.yaml that was found, else in ``cwd``. ``flags`` are by key
    (``cluster.nodes``); None and an empty list mean that a flag was not given. ``typed`` says how messages
    call them (``option --nodes``).

    Raises ``BadConfigFile``, ``BadSetting`` or ``UnknownSetting``: one line naming the file, the line,
    the key, what was expected and what was found.
    """
    cwd = cwd.absolute()
    user_home = Path(environ.get("HOME") or os.path.expanduser("~"))
    named = config_file or (Path(environ[FILE_VARIABLE]) if environ.get(FILE_VARIABLE) else None)
    project = None if named else _found_upwards(cwd)
    layers = [
        Layer(FLAG, _from_flags(flags or {}), cwd, user_home, typed=typed or {}),
        Layer("environment", _from_environment(environ), cwd, user_home, variables=True),
        _env_file(project.parent if project else cwd, user_home),
        _yaml_file(cwd / named, user_home, wanted=True, pipe=True) if named else None,
        _yaml_file(project, user_home, wanted=True) if project else None,
        _yaml_file(user_folder("config", environ, user_home) / USER_FILE, user_home),
    ]
    given = [layer for layer in layers if layer is not None]
    files = tuple(Path(layer.source) for layer in given[2:])
    return merge(given, user_folder("state", environ, user_home), files)


def user_folder(purpose: str, environ: Mapping[str, str], user_home: Path) -> Path:
    """Return p2px's folder for "config" or "state" among the user's own.

    On Linux by the XDG rules, here in full, so that an environment can be given and 12 ms of import
    are saved on every command; elsewhere as platformdirs says.
    """
    if sys.platform != "linux":
        import platformdirs

        folders = platformdirs.PlatformDirs(_PROGRAM, appauthor=False)
        return folders.user_config_path if purpose == "config" else folders.user_state_path
    start = environ.get(f"XDG_{purpose.upper()}_HOME", "")
    usual = {"config": ".config", "state": ".local/state"}[purpose]
    # The XDG specification: a relative path is invalid and to be ignored.
    return (Path(start) if os.path.isabs(start) else user_home / usual) / _PROGRAM


def _found_upwards(start: Path) -> Path | None:
    for folder in (start, *start.parents):
        if os.path.lexists(folder / PROJECT_FILE):
            return folder / PROJECT_FILE
    return None


def _from_flags(flags: Mapping[str, object]) -> dict[str, Tree]:
    settings = all_settings()
    values: dict[str, Tree] = {}
    for key, value in flags.items():
        if key not in settings:
            raise unknown(FLAG, key, list(settings))
        if value is None or value == () or value == []:
            continue
        values[key] = _flag_tree(key, settings[key], value)
    return values


def _flag_tree(key: str, setting: Setting, value: object) -> Tree:
    match value:
        case bool():
            return Text("true" if value else "false")
        case str():
            return one_line(setting, value)
        case int() | Path():
            return Text(str(value))
        case list() | tuple():
            return Sequence(tuple(Text(str(item)) for item in value))
        case _:
            raise BadSetting(f"flag: {key}: expected text, a number or a list, found {type(value).__name__}")


def _from_environment(environ: Mapping[str, str]) -> dict[str, Tree]:
    ours = {
        name: Text(value)
        for name, value in environ.items()
        if name.startswith(ENVIRONMENT_PREFIX) and name not in _SPECIAL
    }
    return _from_variables(ours, "environment")


def _from_variables(texts: Mapping[str, Text], source: str) -> dict[str, Tree]:
    settings = all_settings()
    keys = {environment_name(key): key for key in settings}
    values: dict[str, Tree] = {}
    for name, text in texts.items():
        if name in _SPECIAL:
            raise BadSetting(
                f"{source} line {text.line}: {name} is read from the environment only, before any file",
                hint=f"export {name}=...",
            )
        if name not in keys:
            raise unknown(f"{source} line {text.line}" if text.line else source, name, list(keys))
        if text.text:  # an empty variable is one that is not set
            tree = one_line(settings[keys[name]], text.text)
            values[keys[name]] = _on_line(tree, text.line)
    return values


def _on_line(tree: Tree, line: int) -> Tree:
    match tree:
        case Text(text):
            return Text(text, line)
        case Sequence(items):
            return Sequence(tuple(_on_line(item, line) for item in items), line)
        case _:
            raise AssertionError(tree)


def _env_file(folder: Path, user_home: Path) -> Layer | None:
    path = folder / ENV_FILE
    data = _read(path)
    if data is None:
        return None
    from p2pcli.config import env_file

    if path.stat().st_mode & stat.S_IWOTH:  # another user of this machine could say where the log is
        raise BadConfigFile(f"{path} may be written by everybody", hint=f"chmod o-w {path}")
    texts = env_file.parse(data, str(path), ENVIRONMENT_PREFIX)
    return Layer(str(path), _from_variables(texts, str(path)), folder, user_home, variables=True)


def _yaml_file(path: Path, user_home: Path, wanted: bool = False, pipe: bool = False) -> Layer | None:
    data = _read(path, wanted, pipe)
    if data is None:
        return None
    from p2pcli.config import document

    table = document.parse(data, str(path))
    return Layer(str(path), flatten(table, str(path)), path.parent, user_home)


def _read(path: Path, wanted: bool = False, pipe: bool = False) -> bytes | None:
    """Return a file's bytes, or None when it is not there and not ``wanted``. Raises ``BadConfigFile``.

    A pipe is read only where one was named: a stray one in some folder above would hang p2px.
    """
    try:
        if not pipe and not stat.S_ISREG(os.stat(path).st_mode):
            raise BadConfigFile(
                f"{path}: expected a file, found something else",
                hint="move it away, or name another --config",
            )
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        if wanted:
            raise BadConfigFile(
                f"{path}: there is no such configuration file", hint="p2px config path shows which are read"
            ) from None
        return None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BadConfigFile(f"{shown(str(path))}: cannot be read: {reason}") from None
    if len(data) > MAX_BYTES:
        raise BadConfigFile(
            f"{path}: expected at most {MAX_BYTES} bytes, found more",
            hint="all settings together need about 10,000; is this the file you mean?",
        )
    return data
