"""How Sphinx builds these pages: ``make docs``. Pages are Markdown; the API comes from the docstrings."""

import re
from typing import Any

from p2pcli import __version__

project = "p2px"
author = "The p2px maintainers"
project_copyright = f"2026, {author}"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.viewcode"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}  # the API stubs are .rst
exclude_patterns = ["_build"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"

suppress_warnings = ["ref.python"]  # a package's page offers names that are defined in its rooms

html_theme = "furo"
html_title = f"p2px {release}"

_LIST_ITEM = re.compile(r"\s*([-*]|\d+\.) ")


def literal_drawings(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Make every indented or fenced block of a docstring a literal one: they are drawings and tables."""
    kept: list[str] = []
    fenced = indented = False
    for line in lines:
        before = next((one for one in reversed(kept) if one.strip()), "")
        if line.startswith("```"):
            fenced = not fenced
            kept += ["", "::", ""] if fenced else [""]
            continue
        starts = line.startswith("  ") and not _LIST_ITEM.match(before) and not before.startswith("  ")
        if not fenced and not indented and starts:
            kept += [""] if before.rstrip().endswith("::") else ["", "::", ""]
            indented = True
        elif line.strip() and not line.startswith(" "):
            kept += [""] if indented else []
            indented = False
        kept.append(f"    {line}" if fenced else line)
    lines[:] = kept


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", literal_drawings)
