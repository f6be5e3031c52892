"""What a child tells its supervisor: that it serves, why not yet, or why it ends. Values and bytes only.

One datagram is one message, as in requests.py. A child that ends without a word was killed or fell
over in a way Python could not see; then the exit code is all there is.
"""

import signal

import msgspec

from p2pcli.cluster.report import MAX_ERROR_TEXT

MAX_NEWS = 8192  # bytes


class Serving(msgspec.Struct, frozen=True, tag="serving"):
    """The child answers at these addresses now, by purpose: {"rpc": "127.0.0.1:4321"}."""

    addresses: dict[str, str]


class Waiting(msgspec.Struct, frozen=True, tag="waiting"):
    """The child goes on trying to start, and cannot for this reason yet."""

    message: str


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The child ends because of this."""

    message: str


News = Serving | Waiting | Failed

_news = msgspec.json.Decoder(News)


def encode(news: News) -> bytes:
    """Return news as one datagram of at most ``MAX_NEWS`` bytes."""
    if not isinstance(news, Serving):
        news = msgspec.structs.replace(news, message=news.message[:MAX_ERROR_TEXT])
    data = msgspec.json.encode(news)
    assert len(data) <= MAX_NEWS, "addresses are short"
    return data


def decode(data: bytes) -> News:
    """Return the news in a datagram. Raises ``msgspec.MsgspecError`` for anything else."""
    news: News = _news.decode(data)
    return news


def exit_text(code: int | None) -> str:
    """Return how a process ended, in words; ``code`` as multiprocessing gives it, negative for a signal."""
    if code is None:
        return "could not be started"
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
