"""What a person gets with ``pip install`` and ``make``: the metadata, the wheel, the targets."""

import ast
import configparser
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import p2pcli

ROOT = Path(__file__).parents[1]
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg")

# Where the name to install is not the name to import.
IMPORTED_AS = {
    "python-dotenv": "dotenv",
    "python-json-logger": "pythonjsonlogger",
    "PyYAML": "yaml",
    "grpcio": "grpc",
    "protobuf": "google",
}
PLUGIN = "pytest_plugin.py"  # only pytest imports it, so whoever does has pytest


def declared(section: str, key: str) -> set[str]:
    lines = SETUP[section][key].strip().splitlines()
    return {re.split(r"[ <>=]", line.strip())[0] for line in lines}


def imported_by_the_package() -> set[str]:
    found = set()
    for path in (ROOT / "p2pcli").rglob("*.py"):
        if path.name == PLUGIN:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"p2pcli"}


def test_everything_imported_is_declared() -> None:
    needed = declared("options", "install_requires") | declared("options.extras_require", "etcd")
    names = {IMPORTED_AS.get(name, name) for name in needed}
    assert imported_by_the_package() <= names


def test_what_an_extra_brings_is_imported_only_by_the_room_that_needs_it() -> None:
    extra = {IMPORTED_AS.get(name, name) for name in declared("options.extras_require", "etcd")}
    rooms = ("log/etcd_client.py", "log/etcd_messages.py")
    for path in (ROOT / "p2pcli").rglob("*.py"):
        found = {name for name in extra if re.search(rf"^\s*(from|import) {name}\b", path.read_text(), re.M)}
        assert not found or str(path.relative_to(ROOT / "p2pcli")) in rooms, path


def test_metadata_lives_in_one_file() -> None:
    # With a [project] table in pyproject.toml as well, setuptools drops the entry point without a word.
    assert "project" not in tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_changelog_knows_this_version() -> None:
    assert f"## [{p2pcli.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_program_has_an_entry_point_that_exists() -> None:
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    name, _, value = settings["options.entry_points"]["console_scripts"].strip().partition(" = ")
    module, _, function = value.partition(":")
    assert name == "p2px"
    assert callable(getattr(importlib.import_module(module), function))
    (entry,) = importlib.metadata.entry_points(group="console_scripts", name="p2px")
    assert callable(entry.load())


def test_pytest_finds_the_fixtures_by_an_entry_point() -> None:
    (entry,) = importlib.metadata.entry_points(group="pytest11", name="p2px")
    assert entry.value == "p2pcli.pytest_plugin"
    assert hasattr(entry.load(), "p2px_cluster")


@pytest.mark.slow
def test_the_wheel_has_every_room_and_nothing_else(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, source)
    (source / "README.md").write_text("# p2px\n")
    shutil.copytree(ROOT / "p2pcli", source / "p2pcli", ignore=shutil.ignore_patterns("__pycache__"))
    (source / "tests").mkdir()
    (source / "tests" / "__init__.py").write_text("")
    command = [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation", "--quiet"]
    done = subprocess.run([*command, "-w", "out"], cwd=source, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    (wheel,) = (source / "out").glob("p2px-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    rooms = {str(path.relative_to(source)) for path in (source / "p2pcli").rglob("*.py")}
    assert packed == rooms | {"p2pcli/py.typed"}


# -- make and the checks ---------------------------------------------------------------------------


def make(*arguments: str) -> str:
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True).stdout


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_make_lists_its_targets_and_knows_what_each_does() -> None:
    listed = re.findall(r"^  make (\S+) +\S", make(), re.MULTILINE)
    assert {"run", "test", "check", "lint", "slow", "simulate", "bench", "docs", "clean", "setup"} <= set(
        listed
    )
    for target in listed:
        assert make("--dry-run", target)


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_the_first_run_types_what_the_readme_shows() -> None:
    typed = re.findall(r"^\S+/bin/p2px (.*)$", make("--dry-run", "run"), re.MULTILINE)
    assert typed == [
        "cluster up -n 3",
        "order sell 1.5@30000 --node client2",
        "order buy 0.5@30000 --node client1",
        "book show",
        "trades tail",
    ]


def test_the_checks_of_a_fresh_clone_are_a_valid_script() -> None:
    script = ROOT / ".ci/run"
    assert script.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", str(script)], check=True, timeout=30)


def test_the_benchmarks_that_make_runs_exist() -> None:
    for name in re.findall(r"benchmarks/\w+\.py", (ROOT / "Makefile").read_text()):
        assert (ROOT / name).is_file(), name
