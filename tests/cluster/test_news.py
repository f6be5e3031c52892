"""What a child tells its supervisor."""

import msgspec
import pytest

from p2pcli.cluster.news import MAX_NEWS, Failed, Serving, decode, encode, exit_text


@pytest.mark.parametrize("news", [Serving({"rpc": "127.0.0.1:1"}), Failed("no room")])
def test_news_survive_the_way(news) -> None:
    assert decode(encode(news)) == news


def test_a_long_reason_is_cut_to_fit() -> None:
    assert len(encode(Failed("\N{PILE OF POO}" * 100_000))) <= MAX_NEWS


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b'{"type": "serving"}'])
def test_garbage_is_no_news(data: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode(data)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (0, "ended with exit code 0"),
        (3, "ended with exit code 3"),
        (-9, "was ended by SIGKILL"),
        (-64, "was ended by SIGRTMAX"),
        (-99, "was ended by signal 99"),
        (None, "could not be started"),
    ],
)
def test_an_end_is_put_in_words(code: int | None, text: str) -> None:
    assert exit_text(code) == text
