"""The pictures show what the program shows, and draw what they say."""

import re
import socket
from pathlib import Path

import pytest

from p2pcli.cluster.ports import free_port

from .examples import comparable
from .pictures import FOLDER, PICTURES, ROOT, description, drawn, shown, visible


def picture(name: str) -> str:
    return (FOLDER / f"{name}.svg").read_text()


def lasting(lines: list[str]) -> list[str]:
    """Return lines without what differs from run to run; a member's pid stands behind its two addresses."""
    return comparable(re.sub(r"^(registry.*) \d+$", r"\1 <n>", line) for line in lines)


@pytest.mark.slow
def test_every_picture_shows_what_the_program_shows_today(tmp_path: Path) -> None:
    ports = {
        "P2PX_REGISTRY_HTTP_PORTS": socket.SOCK_STREAM,
        "P2PX_REGISTRY_DHT_PORTS": socket.SOCK_DGRAM,
    }
    settings = {
        name: ",".join(str(free_port("127.0.0.1", kind)) for _ in range(2)) for name, kind in ports.items()
    }
    for name, text in shown(tmp_path, settings).items():
        now = lasting(description(drawn(name, text)))
        assert lasting(description(picture(name))) == now, f"make pictures ({name})"


@pytest.mark.parametrize("name", [each.name for each in PICTURES])
def test_a_picture_draws_what_it_says_and_nothing_from_elsewhere(name: str) -> None:
    svg = picture(name)
    assert visible(svg) == ["".join(line.split()) for line in description(svg) if line.strip()]
    assert "url(http" not in svg
    assert any(
        f"pictures/{name}.svg" in page.read_text() for page in (ROOT / "README.md", *ROOT.glob("docs/*.md"))
    )


def test_no_picture_is_left_over() -> None:
    assert {path.stem for path in FOLDER.glob("*.svg")} == {each.name for each in PICTURES}
