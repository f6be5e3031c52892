"""What docs/deployment.md gives to copy: files are well formed, and every p2px line is a command."""

import configparser
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from p2pcli.cli.invocation import Invocation
from p2pcli.cli.main import p2px

from .examples import ROOT

PAGE = ROOT / "docs/deployment.md"
DEPLOY = ROOT / "docs/deploy"
UNITS = sorted(DEPLOY.glob("*.service")) + sorted(DEPLOY.glob("*.timer"))
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def p2px_lines(text: str) -> Iterator[str]:
    """Yield every p2px command of a page's shell blocks and of its tables."""
    text = text.replace("\\\n", " ")
    for block in re.findall(r"```sh\n(.*?)```", text, re.S):
        yield from (line.strip() for line in block.splitlines() if line.startswith("p2px "))
    for line in text.splitlines():
        if line.startswith("| "):
            yield from re.findall(r"`(p2px [^`]+)`", line)


def unit(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(path.read_text())
    return parser


def lines() -> Iterator[str]:
    yield from p2px_lines(PAGE.read_text())
    for path in UNITS:
        start = unit(path).get("Service", "ExecStart", fallback="")
        if start:
            yield start.replace("/opt/p2px/bin/", "").replace("%i", "bob")
    for service in COMPOSE["services"].values():
        if service["image"] == "p2px":
            yield shlex.join(["p2px", *service["command"]])
    for line in (DEPLOY / "compose.yaml").read_text().replace("\\\n#", " ").splitlines():
        if found := re.search(r"(?:--rm first|exec (?:-T )?first p2px) ([a-z][^)]*)", line):
            yield f"p2px {found[1]}"


LINES = sorted(set(lines()))


def test_the_page_and_its_files_have_commands():
    assert len(LINES) > 12, LINES


@pytest.mark.parametrize("line", LINES)
def test_every_line_is_a_command_with_its_options(line: str):
    context = p2px.make_context("p2px", shlex.split(line)[1:], obj=Invocation({}))
    while isinstance(context.command, click.Group):
        name, command, words = context.command.resolve_command(
            context, [*context._protected_args, *context.args]
        )
        assert command is not None, name
        context = command.make_context(name, words, parent=context)


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_names_what_systemd_knows(path: Path, tmp_path: Path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here")
    copy = tmp_path / path.name.replace("@", "@bob")
    text = path.read_text().replace("/opt/p2px/bin/p2px", "/bin/true")
    (tmp_path / "p2px-backup.service").write_text("[Service]\nType=oneshot\nExecStart=/bin/true\n")
    copy.write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True)
    about = [line for line in done.stderr.splitlines() if "p2px" in line]
    assert not about, about


def test_every_container_has_an_address_of_its_own_and_a_volume_that_is_declared():
    addresses = [service["networks"]["inside"]["ipv4_address"] for service in COMPOSE["services"].values()]
    assert len(set(addresses)) == len(addresses)
    volumes = {
        volume.split(":")[0] for service in COMPOSE["services"].values() for volume in service["volumes"]
    }
    assert volumes == set(COMPOSE["volumes"])
