"""Frames: any cutting of the stream gives the same payloads, and no announced length is believed."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pcli.rpc.frame import MAX_FRAME, FrameDecoder, FrameTooLarge, framed


@given(st.lists(st.binary(max_size=50), max_size=20), st.data())
def test_payloads_survive_any_cutting_of_the_stream(payloads, data):
    stream = b"".join(framed(payload) for payload in payloads)
    decoder = FrameDecoder()
    received = []
    start = 0
    while start < len(stream):
        end = data.draw(st.integers(start + 1, len(stream)), label="cut")
        received += decoder.feed(stream[start:end])
        start = end
    assert received == payloads
    assert not decoder.is_mid_frame


def test_a_frame_cut_at_every_byte_waits_for_the_rest():
    frame = framed(b"an order")
    for cut in range(1, len(frame)):
        decoder = FrameDecoder()
        assert decoder.feed(frame[:cut]) == []
        assert decoder.is_mid_frame
        assert decoder.feed(frame[cut:]) == [b"an order"]


def test_an_oversize_length_is_refused_before_its_bytes_arrive():
    with pytest.raises(FrameTooLarge, match=f"{MAX_FRAME + 1} bytes was announced, the limit is {MAX_FRAME}"):
        FrameDecoder().feed(struct.pack(">I", MAX_FRAME + 1))


def test_a_frame_of_exactly_the_limit_passes():
    payload = bytes(MAX_FRAME)
    assert FrameDecoder().feed(framed(payload)) == [payload]


def test_an_oversize_payload_is_not_framed():
    with pytest.raises(FrameTooLarge):
        framed(bytes(MAX_FRAME + 1))


@given(st.binary(max_size=200))
def test_garbage_gives_payloads_or_our_own_error(garbage):
    try:
        FrameDecoder(limit=100).feed(garbage)
    except FrameTooLarge:
        pass
