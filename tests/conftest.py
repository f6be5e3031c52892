"""What every test stands on: settings of nobody, a home of nobody, and the same examples each time."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# What tests of several floors compare with (the naive twin, ...): importlib mode leaves sys.path alone.
sys.path.insert(0, str(Path(__file__).parent / "oracles"))

# `make test` is the same run every time; `make simulate SEED=...` and HYPOTHESIS_PROFILE=search look further.
settings.register_profile(
    "repeatable",
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "search",
    max_examples=2000,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

_homes = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """Take the settings of whoever runs the tests out of the way, and give state a folder to vanish with."""
    kept = {"P2PX_NODE_MODULES"}  # where npm packages are: about the machine, not a setting
    for name in [name for name in os.environ if name.startswith("P2PX_") and name not in kept]:
        del os.environ[name]
    folder = Path(tempfile.mkdtemp(prefix="p2px-tests-"))
    config.stash[_homes] = folder
    os.environ["XDG_STATE_HOME"] = str(folder / "state")
    os.environ["XDG_CONFIG_HOME"] = str(folder / "config")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what hypothesis feeds, so that `make simulate` finds it."""
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker("property")


@pytest.fixture(scope="session")
def etcd_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One member of etcd for every test that needs no more; each takes its own prefix. It syncs nothing."""
    from etcd_members import MISSING, EtcdMembers

    if MISSING:
        pytest.skip(MISSING)
    folder = tmp_path_factory.mktemp("etcd")
    with EtcdMembers(folder / "one", 1, "--unsafe-no-fsync") as members:
        yield members.url


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(config.stash[_homes], ignore_errors=True)
