"""Settings: what a person may choose, read from six sources into one typed value with origins.

    flag > P2PX_* environment > .env > p2px.yaml > user's config.yaml > default

    settings.py   every setting: type, grammar, default, comment (start reading here)
    values.py     how texts become values: durations, sizes, decimals, addresses
    document.py   YAML bytes -> tree of texts with lines      env_file.py   the same for .env
    layers.py     one source against the settings             markets.py    its markets, in ticks and lots
    merge.py      the strongest source wins                   sources.py*   reads files and environment
    pages.py      the table, the YAML and the .env that document all this

Sources hand over *texts*; only the setting's own grammar turns one into a value, so what YAML would
guess (octal, base 60, yes/no, floats) never matters. Considered and left: pydantic-settings and
dynaconf (slow to import, values without line numbers), ``yaml.safe_load`` with msgspec.convert (a float
for the tick 0.01, a duplicate key silently wins, errors without line).
"""

from p2pcli.config.layers import BadSetting, UnknownSetting
from p2pcli.config.settings import Config, Row
from p2pcli.config.sources import load
from p2pcli.config.tree import BadConfigFile

__all__ = ["BadConfigFile", "BadSetting", "Config", "Row", "UnknownSetting", "load"]
