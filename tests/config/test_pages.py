"""The pages about settings, and the files beside the code that are made from them."""

from pathlib import Path

import pytest

from p2pcli.config import document, load, pages
from p2pcli.config.settings import SECTIONS, all_settings, environment_name, section_settings

ROOT = Path(__file__).parents[2]
REMAKE = "it is not what `make settings` writes"


def test_the_table_of_settings_is_current() -> None:
    assert (ROOT / "docs/configuration.md").read_text() == pages.table(), REMAKE


def test_the_default_file_is_current() -> None:
    assert (ROOT / "configs/default.yaml").read_text() == pages.default_yaml(), REMAKE


def test_the_example_env_file_is_current() -> None:
    assert (ROOT / ".env.example").read_text() == pages.env_example(), REMAKE


def test_the_default_file_changes_nothing(tmp_path: Path) -> None:
    written = load(tmp_path, {}, ROOT / "configs/default.yaml")
    nothing = load(tmp_path, {})
    for part in ("markets", *SECTIONS):
        assert getattr(written, part) == getattr(nothing, part)
    assert {row.origin for row in written.found if "line" not in row.origin} == set()


def test_the_example_env_file_can_be_copied_as_it_is_and_uncommented(tmp_path: Path) -> None:
    text = (ROOT / ".env.example").read_text()
    (tmp_path / ".env").write_text(text)
    assert {row.origin for row in load(tmp_path, {}).found} == {"default"}
    (tmp_path / ".env").write_text(text.replace("\n#P2PX_", "\nP2PX_"))
    assert load(tmp_path, {}).cluster == load(Path("/"), {}).cluster
    assert ".env line" in load(tmp_path, {}).origin("cluster.nodes")


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.name)
def test_every_example_file_is_valid(path: Path, tmp_path: Path) -> None:
    assert load(tmp_path, {}, path).cluster.nodes == 3


def test_the_two_markets_of_the_example_differ(tmp_path: Path) -> None:
    first, second = load(tmp_path, {}, ROOT / "configs/two-markets.yaml").markets
    assert (first.price_text(1), second.price_text(1)) == ("0.01", "0.05")
    assert (first.price_band, second.price_band) == (1000, 500)


def test_the_example_in_the_table_is_valid() -> None:
    example = pages.table().partition("```yaml\n")[2].partition("```")[0]
    assert "markets" in document.parse(example.encode(), "example").entries


def test_every_setting_has_a_default_of_its_own_kind_and_a_comment() -> None:
    config = load(Path("/"), {})
    for section in SECTIONS:
        for name, setting in section_settings(section).items():
            assert hasattr(getattr(config, section), name)
            assert setting.comment.endswith((".", ",", ")"))
    assert len({environment_name(key) for key in all_settings()}) == len(all_settings())
