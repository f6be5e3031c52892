"""The settings as pages for people: a table, a YAML file and a .env file with every default. Pure.

``make settings`` writes them to docs/configuration.md, configs/default.yaml and .env.example, and a test
compares: what is written about a setting cannot differ from what the program does.
"""

import textwrap
from collections.abc import Iterator
from itertools import groupby

from p2pcli.config.settings import HOME, KEY, MARKETS, SECTIONS, Setting, all_settings, environment_name
from p2pcli.config.values import ListOf

_WIDTH = 100

_INTRODUCTION = """\
# Settings

Every setting can be given in six places. The first that names it wins:

1. an option of the command line, such as `--node client1`
2. an environment variable, such as `P2PX_CLIENT_NODE=client1`
3. the same variable in a file `.env`, beside `p2px.yaml`, else in the current folder
4. `p2px.yaml`, in the current folder or the nearest one above it; `--config FILE` or `P2PX_CONFIG=FILE`
   names another file instead
5. the user's own `config.yaml`, in `~/.config/p2px`
6. the default

`p2px config show` prints every setting with its value and where that came from. A name that is no
setting, and a value that does not fit, are errors that name the file and the line; an empty variable is
one that is not set. Durations are written with a unit (`500ms`, `30s`, `5m`), sizes too (`64kB`,
`10MiB`). Decimal numbers are taken exactly as they are written, never as floats. YAML anchors, aliases
and tags are refused, and so is a name that is there twice. Paths are relative to the file that holds
them, else to the current folder.

Two variables are not settings: `P2PX_CONFIG` (above), and `P2PX_DEBUG=1`, with which the command line shows
the traceback of a bug in p2px itself.
"""

_MARKETS = """
## markets

{comment} `P2PX_MARKETS` takes symbols separated by commas. Default: `{default}`.

```yaml
markets:
  - BTC/USD
  - symbol: ETH/USD
    tick: 0.05
    self_trade: cancel-newest
```
"""

_YAML_HEAD = """\
# Every setting of p2px with its default. Copy what you change into your own p2px.yaml.
# Written by `make settings` from p2pcli/config/settings.py.
"""

_ENV_HEAD = """\
# Copy this file to .env and take the # away before what you change.
# Written by `make settings` from p2pcli/config/settings.py.
"""


def table() -> str:
    """Return docs/configuration.md."""
    parts = [_INTRODUCTION]
    for section, settings in _by_section():
        if section == MARKETS:
            ((_, setting),) = settings
            parts.append(_MARKETS.format(comment=setting.comment, default=setting.default))
            continue
        parts.append(f"\n## {section}\n")
        if section in SECTIONS:
            parts.append(f"\n{SECTIONS[section].__doc__}\n")
        parts.append("\n| setting | environment variable | default | values | what it is for |\n")
        parts.append("| --- | --- | --- | --- | --- |\n")
        for key, setting in settings:
            default = f"`{setting.default}`" if setting.default else "(empty)"
            cells = (
                f"`{key}`",
                f"`{environment_name(key)}`",
                default,
                setting.kind.expected,
                setting.comment,
            )
            parts.append(f"| {' | '.join(cells)} |\n")
    return "".join(parts)


def default_yaml() -> str:
    """Return configs/default.yaml."""
    parts = [_YAML_HEAD]
    for section, settings in _by_section():
        indent = "  " if section in SECTIONS else ""
        parts.append(f"\n{section}:\n" if indent else "\n")
        for key, setting in settings:
            name = key.rpartition(".")[2]
            parts.append(f"{_comment(setting, indent)}{indent}{name}: {_yaml_value(setting)}\n")
    return "".join(parts)


def env_example() -> str:
    """Return .env.example."""
    parts = [_ENV_HEAD]
    for key, setting in all_settings().items():
        parts.append(f"\n{_comment(setting, '')}#{environment_name(key)}={setting.default}\n")
    return "".join(parts)


def _by_section() -> Iterator[tuple[str, list[tuple[str, Setting]]]]:
    for section, items in groupby(all_settings().items(), key=lambda item: item[0].partition(".")[0]):
        assert section in SECTIONS or section in (HOME, KEY, MARKETS)
        yield section, list(items)


def _comment(setting: Setting, indent: str) -> str:
    wrapper = textwrap.TextWrapper(
        _WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ", break_on_hyphens=False
    )
    return "".join(
        f"{wrapper.fill(text)}\n" for text in (setting.comment, f"Value: {setting.kind.expected}.")
    )


def _yaml_value(setting: Setting) -> str:
    if isinstance(setting.kind, ListOf):
        return f"[{setting.default}]"
    return setting.default or '""'
