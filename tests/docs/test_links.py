"""What the pages point at is there: links, files, tests, commands, targets, payloads."""

import json
import re
from pathlib import Path

import click
import pytest

from p2pcli.cli.main import p2px
from p2pcli.config.settings import all_settings
from p2pcli.grenache.exchange import parse_ask

from .examples import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return FENCED.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and MyST make them."""
    titles = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def named(pattern: str) -> list[tuple[Path, str]]:
    """Return every match of ``pattern`` in the inline code of a page."""
    found = [(page, code) for page in PAGES for code in CODE.findall(prose(page))]
    return [(page, match[0]) for page, code in found for match in re.finditer(pattern, code)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(prose(page)):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), f"{page.name}: {link} leaves the repository"
        assert target.exists(), f"{page.name}: {link} leads nowhere"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link} has no such heading"


def test_every_page_is_reached_from_the_index_and_from_the_readme() -> None:
    index, readme = (ROOT / "docs/index.md").read_text(), (ROOT / "README.md").read_text()
    for page in PAGES[2:]:
        assert page.stem == "index" or re.search(rf"^{page.stem}$", index, re.MULTILINE), page.name
        assert page.stem in ("index", "api", "changelog") or f"docs/{page.name}" in readme, page.name


def test_every_file_that_is_named_exists() -> None:
    for page, path in named(r"^(?:p2pcli|tests|docs|benchmarks|configs)/[\w./-]*$"):
        made = path.startswith("docs/_build")
        assert made or (ROOT / path).exists(), f"{page.name}: {path}"
    rooms = {path.relative_to(ROOT / "p2pcli").as_posix() for path in (ROOT / "p2pcli").rglob("*.py")}
    for page, path in named(r"^[a-z]+/\w+\.py$"):
        assert path in rooms or (ROOT / path).exists(), f"{page.name}: {path}"


def test_every_test_that_is_named_exists() -> None:
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    for page, name in named(r"^test_\w+$"):
        assert f"def {name}(" in tests, f"{page.name}: {name}"


def test_every_command_that_is_named_exists() -> None:
    context = click.Context(p2px)
    for page, text in named(r"^p2px [a-z][a-z -]*"):
        words = text.removeprefix("p2px ").split()
        group: click.Command | None = p2px
        for word in words:
            if not isinstance(group, click.Group) or word.startswith("-"):
                break
            group = group.get_command(context, word)
            assert group is not None, f"{page.name}: {text}"


def test_every_option_that_is_named_exists() -> None:
    rooms = (*(ROOT / "p2pcli/cli").glob("*.py"), *(ROOT / "benchmarks").glob("*.py"))
    sources = "\n".join(path.read_text() for path in rooms)
    for page, option in named(r"(?<![\w-])--[a-z-]{2,}"):
        known = f'"{option}"' in sources or option in ("--help", "--strict", "--quota-backend-bytes")
        assert known, f"{page.name}: {option}"


def test_every_make_target_that_is_named_exists() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for page, text in named(r"^make [a-z-]+"):
        assert text.removeprefix("make ") in targets, f"{page.name}: {text}"


def test_every_setting_that_is_named_exists() -> None:
    settings = set(all_settings())
    sections = {key.partition(".")[0] for key in settings}
    for page, key in named(r"^[a-z]+\.[a-z_]+(?=$|: )"):
        if key.partition(".")[0] in sections and not key.endswith((".py", ".md", ".db", ".json", ".yaml")):
            assert key in settings, f"{page.name}: {key}"


def test_every_grenache_payload_is_understood() -> None:
    blocks = re.findall(r"^```json\n(.*?)^```$", (ROOT / "docs/grenache.md").read_text(), re.DOTALL | re.M)
    payloads = [json.loads(line) for block in blocks for line in block.splitlines()]
    assert {payload["action"] for payload in payloads if parse_ask(payload)} == {
        "place",
        "cancel",
        "amend",
        "book",
        "trades",
        "order",
        "orders",
        "markets",
    }
