"""Several sources, one configuration: the strongest source that names a setting wins. Pure.

Every value of every source is checked, also one that a stronger source hides: a mistake in a file shows
on the day it is made, not on the day a flag is left away.
"""

from pathlib import Path
from typing import Any

from p2pcli.config.layers import Layer, one_line
from p2pcli.config.markets import instruments
from p2pcli.config.settings import HOME, KEY, MARKETS, SECTIONS, Config, Row, all_settings
from p2pcli.config.tree import Sequence, Text, Tree


def merge(layers: list[Layer], state_folder: Path, files: tuple[Path, ...]) -> Config:
    """Return the configuration of some layers, strongest first. Raises ``BadSetting``.

    ``state_folder`` is the home when no layer names one; ``files`` are those that were read.
    """
    settings = all_settings()
    texts = {key: setting.default for key, setting in settings.items()} | {HOME: str(state_folder)}
    defaults = {key: one_line(settings[key], text) for key, text in texts.items()}
    ordered = [*layers, Layer("default", defaults, state_folder, state_folder)]
    values: dict[str, Any] = {}
    rows: dict[str, Row] = {}
    for key, setting in settings.items():
        if key == MARKETS:  # they need the market_defaults
            continue
        givers = [layer for layer in ordered if key in layer.values]
        values[key], *_ = [layer.value(key, setting) for layer in givers]
        written = values[key] if isinstance(values[key], Path) else _written(givers[0].values[key])
        rows[key] = Row(key, str(written), givers[0].origin(key))
    fields = {key.partition(".")[2]: row for key, row in rows.items() if key.startswith("market_defaults.")}
    listed = [instruments(layer, fields) for layer in ordered if MARKETS in layer.values]
    markets, market_rows = listed[0]
    return Config(
        markets=markets,
        home=values[HOME] or state_folder,
        key=values[KEY],
        files=files,
        found=(*rows.values(), *market_rows),
        **{section: _section(section, values) for section in SECTIONS},
    )


def _section(section: str, values: dict[str, Any]) -> Any:
    fields = SECTIONS[section].__struct_fields__
    return SECTIONS[section](**{name: values[f"{section}.{name}"] for name in fields})


def _written(tree: Tree) -> str:
    """Return a value as it would be written on one line."""
    match tree:
        case Text(text):
            return " ".join(text.split()) if "\n" in text else text
        case Sequence(items):
            return ", ".join(_written(item) for item in items)
        case _:
            raise AssertionError(tree)
