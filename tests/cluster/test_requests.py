"""Requests and answers as datagrams."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pcli.cluster.report import ClusterReport, ClusterState, NoSuchChild
from p2pcli.cluster.requests import (
    MAX_REQUEST,
    REFUSALS,
    VERSION,
    Kill,
    OtherSupervisor,
    Refused,
    Report,
    Restart,
    Scale,
    Shutdown,
    Start,
    Stop,
    Watch,
    as_error,
    as_refused,
    decode_answer,
    decode_request,
    encode,
)
from p2pcli.errors import P2pxError


@pytest.mark.parametrize(
    "request_",
    [Report(), Watch(), Start("a"), Stop("a"), Restart("a"), Kill("a"), Scale(5), Shutdown()],
    ids=lambda request: type(request).__name__,
)
def test_every_request_survives_the_way(request_) -> None:
    assert decode_request(encode(request_)) == request_


@pytest.mark.parametrize(
    "answer", [ClusterReport("default", ClusterState.READY, "sqlite", 7), Refused("bad_count", "no", None)]
)
def test_every_answer_survives_the_way(answer) -> None:
    assert decode_answer(encode(answer)) == answer


def test_another_version_is_refused() -> None:
    with pytest.raises(OtherSupervisor, match="another version"):
        decode_request(b"\x02" + encode(Report())[1:])


def test_an_oversize_request_is_refused() -> None:
    with pytest.raises(OtherSupervisor):
        decode_request(encode(Start("x" * MAX_REQUEST)))


@given(st.binary(max_size=200))
def test_garbage_is_refused_and_nothing_else(data: bytes) -> None:
    for datagram in (data, VERSION + data):
        with pytest.raises(OtherSupervisor):
            decode_request(datagram)


def test_nesting_without_end_is_refused() -> None:
    with pytest.raises(OtherSupervisor):
        decode_request(VERSION + b"[" * (MAX_REQUEST - 1))


def test_an_error_keeps_its_kind_message_and_hint() -> None:
    error = as_error(as_refused(NoSuchChild("no x", hint="try y")), REFUSALS)
    assert isinstance(error, NoSuchChild)
    assert (error.message, error.hint) == ("no x", "try y")


def test_an_error_of_an_unknown_kind_is_still_an_error() -> None:
    assert type(as_error(Refused("brand_new", "because"), REFUSALS)) is P2pxError
