"""What the registry's tests share: the captured traffic of real Grapes, and members to ask."""

import json
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from members import RunningMember

from p2pcli.registry.process import MemberPlan

Start = Callable[..., RunningMember]


@pytest.fixture(scope="session")
def vectors() -> dict[str, Any]:
    """Requests, replies and packets of real Grapes; ``meta.conventions`` says how they are written down."""
    text = Path(__file__).with_name("vectors.json").read_text(encoding="utf-8")
    vectors: dict[str, Any] = json.loads(text)
    return vectors


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start real members, each in its own folder unless told otherwise; all are stopped at the end."""
    names = count(1)
    running: list[RunningMember] = []

    def start_one(**options: Any) -> RunningMember:
        name = f"member{next(names)}"
        plain = {"name": name, "folder": str(tmp_path / name), "http_port": 0, "dht_port": 0}
        running.append(RunningMember(MemberPlan(**{**plain, **options})))
        return running[-1]

    yield start_one
    for member in running:
        member.stop()
