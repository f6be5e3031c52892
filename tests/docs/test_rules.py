"""The rules quote the scenarios that the machine is tested with; the guarantees are told alike everywhere."""

import re

import pytest

from .examples import ROOT

PAGE = (ROOT / "docs/matching-rules.md").read_text()
QUOTES = re.findall(r"<!-- scenario: (\S+) -->\n```text\n(.*?)```\n", PAGE, re.DOTALL)


@pytest.mark.parametrize(("name", "quote"), QUOTES, ids=[f"{name}-{i}" for i, (name, _) in enumerate(QUOTES)])
def test_a_quoted_scenario_is_a_piece_of_its_file(name: str, quote: str) -> None:
    lines = (ROOT / "tests/scenarios" / name).read_text().splitlines()
    quoted = quote.splitlines()
    assert any(lines[start : start + len(quoted)] == quoted for start in range(len(lines))), quote


def test_a_quote_ends_with_all_that_its_last_command_causes() -> None:
    for name, quote in QUOTES:
        text = (ROOT / "tests/scenarios" / name).read_text() + "\n"
        after = text.partition(quote)[2]
        assert not after.startswith("  "), (
            f"{name}: the quote leaves out what follows {quote.splitlines()[-1]}"
        )


def test_every_block_of_the_page_is_a_quote() -> None:
    assert PAGE.count("```text\n") == len(QUOTES)


def test_every_rule_stands_in_the_table_and_has_a_quote() -> None:
    for number in range(1, 14):
        assert f"| M{number} | " in PAGE
    assert {name[:3] for name, _ in QUOTES} >= {f"m{number:02}" for number in range(1, 14)}


def test_the_guarantees_are_told_in_the_same_words_by_the_readme() -> None:
    told = {
        path: re.findall(r"^\| (S\d+) \| ([^|]+) \|", (ROOT / path).read_text().replace("(docs/", "("), re.M)[
            :13
        ]
        for path in ("README.md", "docs/guarantees.md")
    }
    assert [name for name, _ in told["README.md"]] == [f"S{number}" for number in range(1, 14)]
    assert told["README.md"] == told["docs/guarantees.md"]
