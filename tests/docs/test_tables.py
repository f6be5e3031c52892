"""The tables that pages show are what the code says."""

import re

import pytest

from p2pcli.errors import P2pxError

from .tables import PAGES, ROOT, TABLES, all_errors, current


@pytest.mark.parametrize("page", PAGES)
def test_the_tables_of_a_page_are_current(page: str) -> None:
    text = (ROOT / page).read_text()
    assert text == current(text), "it is not what `python tests/docs/tables.py` writes"


def test_every_table_stands_in_one_page() -> None:
    shown = [
        name for page in PAGES for name in re.findall(r"<!-- table: (\w+) -->", (ROOT / page).read_text())
    ]
    assert sorted(shown) == sorted(TABLES)


def test_every_error_is_listed_once_with_its_meaning() -> None:
    page = (ROOT / "docs/errors.md").read_text()
    for error in all_errors():
        place = error.__module__.removeprefix("p2pcli.")
        rows = re.findall(
            rf"^\| `{error.code}` \| {error.__name__} \| {re.escape(place)} \| .+ \|$", page, re.M
        )
        assert len(rows) == 1, error


def test_every_error_has_a_code_of_its_own_kind_and_a_sentence() -> None:
    for error in all_errors():
        assert re.fullmatch(r"[a-z0-9_]+", error.code), error
        assert error is P2pxError or error.__doc__, error
        assert "Exception" not in (error.__doc__ or ""), error
