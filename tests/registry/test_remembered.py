from p2pcli.registry import remembered
from p2pcli.registry.remembered import KEPT_S, RememberedTokens

HOLDERS = [(("10.0.0.1", 1), b"token")]


def test_tokens_are_remembered_for_a_while():
    tokens = RememberedTokens()
    tokens.keep(b"key", HOLDERS, version=1, now=0.0)
    assert tokens.get(b"key", 1, KEPT_S - 1) == HOLDERS
    assert tokens.get(b"key", 1, KEPT_S) == []
    assert tokens.get(b"other", 1, 0.0) == []


def test_tokens_are_forgotten_when_somebody_comes_or_goes():
    tokens = RememberedTokens()
    tokens.keep(b"key", HOLDERS, version=1, now=0.0)
    assert tokens.get(b"key", 2, 0.0) == []


def test_a_lookup_without_holders_leaves_nothing():
    tokens = RememberedTokens()
    tokens.keep(b"key", HOLDERS, version=1, now=0.0)
    tokens.keep(b"key", [], version=1, now=1.0)
    assert tokens.get(b"key", 1, 1.0) == []


def test_memory_is_bounded_and_the_oldest_goes(monkeypatch):
    monkeypatch.setattr(remembered, "_MAX_TOKENS", 10)
    tokens = RememberedTokens()
    for number in range(100):
        tokens.keep(b"%d" % number, HOLDERS * 2, version=1, now=0.0)
    assert [number for number in range(100) if tokens.get(b"%d" % number, 1, 0.0)] == [95, 96, 97, 98, 99]


def test_long_names_are_kept_apart():
    tokens = RememberedTokens()
    tokens.keep(b"n" * 8000 + b"1", HOLDERS, version=1, now=0.0)
    assert tokens.get(b"n" * 8000 + b"1", 1, 0.0) == HOLDERS
    assert tokens.get(b"n" * 8000 + b"2", 1, 0.0) == []
