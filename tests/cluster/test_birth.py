"""What a supervisor says to its launcher."""

import pytest

from p2pcli.cluster.birth import AlreadyRuns, Born, decode, encode
from p2pcli.cluster.requests import as_refused


@pytest.mark.parametrize("birth", [Born(), as_refused(AlreadyRuns("somebody was first"))])
def test_a_birth_survives_the_way(birth) -> None:
    assert decode(encode(birth)) == birth


@pytest.mark.parametrize("data", [b"", b"Traceback", b'{"type": "born"', b"\xff"])
def test_anything_else_is_no_birth(data: bytes) -> None:
    assert decode(data) is None
