"""Print one of the pages about the settings: ``python -m p2pcli.config table|yaml|env``."""

import sys

from p2pcli.config import pages

_PAGES = {"table": pages.table, "yaml": pages.default_yaml, "env": pages.env_example}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in _PAGES:
        sys.exit(f"usage: python -m p2pcli.config {'|'.join(_PAGES)}")
    sys.stdout.write(_PAGES[sys.argv[1]]())
